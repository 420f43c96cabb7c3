"""Matrix info: what the plan knows of a matrix, one record per storage family."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CODES_IN_16_BITS = 1 << 16


def code_dtype(n_codes: int) -> np.dtype[Any]:
    """Give the dtype that holds the group code of each value: uint16, or uint32 for more than 65,536 codes."""
    return np.dtype(np.uint16 if n_codes <= _CODES_IN_16_BITS else np.uint32)


def count_noun(n: int, noun: str, plural: str = "s") -> str:
    """Count things in words: ``"1 thread"``, ``"2 threads"``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}{plural}"


@dataclass(frozen=True, kw_only=True)
class MatrixInfo:
    """What every storage tells: the compared cells and the tested genes of a matrix."""

    format: str
    """``"dense"``, ``"CSR"`` or ``"CSC"``, or several of these, such as ``"CSR/dense"``."""
    dtype: str
    place: str
    """Where the matrix is, in words, such as ``"in memory"``."""
    n_bytes: int
    """Memory that the whole matrix takes, or would take."""
    n_cells: int
    """Compared cells."""
    key_dtype: np.dtype[Any]
    """Dtype that non-zero values are gathered as."""
    max_nonzeros: NDArray[np.int64]
    """For each tested gene, the most non-zeros it can have."""
    are_counts: bool = False
    """Whether all sampled values are whole numbers from 0 up; a matrix in memory is not sampled."""

    @property
    def n_genes(self) -> int:
        """Tested genes."""
        return self.max_nonzeros.size

    @property
    def likely_nonzeros(self) -> NDArray[np.int64]:
        """For each tested gene, the non-zeros that it is expected to have."""
        return self.max_nonzeros

    @property
    def reads_in_parts(self) -> bool:
        """Whether this process reads the matrix part by part."""
        return False

    def describe_threads(self, n_threads: int) -> str:
        """Say who works."""
        return count_noun(n_threads, "thread")

    def without_counts(self) -> Self:
        """Give the same matrix, whose values are not taken for counts."""
        return replace(self, are_counts=False)


@dataclass(frozen=True, kw_only=True)
class MemoryMatrix(MatrixInfo):
    """A matrix in memory, read where it lies."""

    place: str = "in memory"


@dataclass(frozen=True, kw_only=True)
class _PartsMatrix(MatrixInfo):
    """A matrix that is read in parts."""

    expected_nonzeros: NDArray[np.int64]
    """For each tested gene, the non-zeros that a sample of the cells lets expect, with a margin."""
    n_values: int
    """Values of the compared cells, of all genes, zeros included where they are stored."""
    n_spanned_rows: int
    """Rows that are read or indexed: all, or those of a dense file from the first to the last compared one."""
    bytes_per_value: int
    """Bytes of a value as it is read, its index included."""

    @property
    def reads_in_parts(self) -> bool:
        """Whether this process reads the matrix part by part."""
        return True

    @property
    def likely_nonzeros(self) -> NDArray[np.int64]:
        """For each tested gene, the non-zeros that it is expected to have."""
        return self.expected_nonzeros


@dataclass(frozen=True, kw_only=True)
class ChunkedMatrix(_PartsMatrix):
    """A matrix in a file, or in memory with ``low_memory=True``, read in runs of rows or blocks of columns."""

    may_load: bool
    """Whether its rows may be read into memory: not those that are ranked in parts though they are there."""
    reads_columns: bool
    """Whether blocks of columns can be read: CSC, and dense matrices that are not normalized row by row."""
    reads_rows: bool
    """Whether pieces of cells can be read: runs of rows of CSR and dense matrices, and all of several objects."""
    reorders_cells: bool
    """Whether cells come in another order than the rows, or repeat, as in views."""
    chunk_of_gene: NDArray[np.int64] | None
    """Dense: for each tested gene, the chunk of columns that holds it; None where each column can be read alone."""
    values_of_longest_column: int = 0
    """CSC among several objects, whose columns become pieces: values of the longest one; 0 elsewhere."""


@dataclass(frozen=True)
class Workers:
    """The workers of a dask cluster."""

    n_workers: int
    n_threads: int
    """Of all workers."""
    memory: int
    """Bytes for each thread of the worker that has least."""


@dataclass(frozen=True, kw_only=True)
class DaskMatrix(_PartsMatrix):
    """A dask array, each chunk of which is computed once."""

    place: str = "in dask chunks"
    values_of_longest_chunk: int
    """Values that the longest chunks which are computed together are expected to hold."""


@dataclass(frozen=True, kw_only=True)
class LocalDaskMatrix(DaskMatrix):
    """A dask array whose chunks this machine computes."""


@dataclass(frozen=True, kw_only=True)
class ClusterDaskMatrix(DaskMatrix):
    """A dask array whose chunks the workers of a cluster compute."""

    workers: Workers

    @property
    def reads_in_parts(self) -> bool:
        """Whether this process reads the matrix part by part: its workers do."""
        return False

    def describe_threads(self, _: int) -> str:
        """Say who works."""
        workers = self.workers
        return f"{count_noun(workers.n_threads, 'thread')} of {count_noun(workers.n_workers, 'dask worker')}"
