"""Spans: the values of some rows or columns of a stored matrix, read in runs and set side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.matrix.chunked._stored_matrix import StoredMatrix


@dataclass(frozen=True)
class StoredRun:
    """Some rows (CSR, dense) or columns (CSC) as they were read, with all that the file has between them."""

    majors: NDArray[np.int64]
    """These rows or columns, ascending."""
    n_values: int
    """Values that were read."""
    content: Any
    """CSR and CSC: values and indices that :meth:`StoredMatrix.decode_run` takes. Dense: a block of whole rows."""


def cut_into_runs(begins: NDArray[np.int64], ends: NDArray[np.int64], max_gap: int, max_length: int) -> Iterator[slice]:
    """Cut spans that ascend without overlap into runs that are read whole, as positions among the spans.

    Spans with at most ``max_gap`` between them share a run. A run has at most ``max_length`` in all, gaps included, or
    is one span that is longer.
    """
    breaks = np.flatnonzero(begins[1:] - ends[:-1] > max_gap) + 1
    for first, last in zip(np.r_[0, breaks].tolist(), np.r_[breaks, begins.size].tolist(), strict=True):
        start = first
        while start < last:
            n_fitting = int(np.searchsorted(ends[start:last], begins[start] + max_length, side="right"))
            stop = start + max(1, n_fitting)
            yield slice(start, stop)
            start = stop


def read_spans(matrix: StoredMatrix, majors: NDArray[np.int64], max_gap: int, max_values: int) -> list[StoredRun]:
    """Read some ascending rows (CSR, dense) or columns (CSC) in runs, in the form that they have in the file."""
    begins, ends = matrix.find_spans(majors)
    runs = []
    for run in cut_into_runs(begins, ends, max_gap, max_values):
        run_majors = majors[run]
        if matrix.format == "dense":
            content: Any = matrix.read_block(slice(int(run_majors[0]), int(run_majors[-1]) + 1), slice(None))
        else:
            content = matrix.read_run(int(begins[run][0]), int(ends[run][-1]))
        runs.append(StoredRun(run_majors, int(ends[run][-1] - begins[run][0]), content))
    return runs


def read_columns(matrix: StoredMatrix, columns: NDArray[np.int64]) -> list[StoredRun]:
    """Read neighbouring columns together, in the form that they have in the file."""
    return read_spans(matrix, columns, 0, int(matrix.indptr[-1]))


def decode_spans(matrix: StoredMatrix, runs: Sequence[StoredRun], pool: Executor | None = None) -> Any:
    """Give the rows of CSR, or the columns of CSC, in the order of the runs and without what lies between them."""
    parts = [_decode_run(matrix, run, pool) for run in runs]
    if len(parts) == 1:
        return parts[0]
    return sparse.vstack(parts, format="csr") if matrix.format == "CSR" else sparse.hstack(parts, format="csc")


def _decode_run(matrix: StoredMatrix, run: StoredRun, pool: Executor | None) -> Any:
    values, indices = matrix.decode_run(run.content, pool)
    begins, ends = matrix.find_spans(run.majors)
    lengths = ends - begins
    if (begins[1:] != ends[:-1]).any():
        gaps = np.r_[begins[1:], ends[-1]] - ends
        in_span = np.repeat(np.tile([True, False], begins.size), np.stack([lengths, gaps], axis=1).ravel())
        values, indices = values[in_span], indices[in_span]
    content = (values, indices, np.r_[0, np.cumsum(lengths)])
    if matrix.format == "CSR":
        return sparse.csr_matrix(content, shape=(run.majors.size, matrix.shape[1]))
    return sparse.csc_matrix(content, shape=(matrix.shape[0], run.majors.size))
