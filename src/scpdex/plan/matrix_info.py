"""Facts: what the plan is told of a matrix, of a test, and of what may be used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CODES_IN_16_BITS = 1 << 16


def code_dtype(n_codes: int) -> np.dtype[Any]:
    """Dtype in which the codes of so many groups are held beside values."""
    return np.dtype(np.uint16 if n_codes <= _CODES_IN_16_BITS else np.uint32)


@dataclass(frozen=True)
class Workers:
    """The workers of a dask cluster."""

    n_workers: int
    n_threads: int
    """Of all workers."""
    memory: int
    """Bytes for each thread of the worker that has least."""


@dataclass(frozen=True)
class MatrixInfo:
    """What the plan needs to know of a matrix."""

    format: str
    """``"dense"``, ``"CSR"`` or ``"CSC"``."""
    dtype: str
    place: str
    """``"in memory"``, ``"in an HDF5 file"``, ``"in a zarr store"`` or ``"in dask chunks"``."""
    n_bytes: int
    """Memory that the matrix takes, or would take."""
    n_cells: int
    """Cells that are compared."""
    key_dtype: np.dtype[Any]
    """What a non-zero is gathered as."""
    stored: NDArray[np.int64]
    """For each tested gene, the most non-zeros it can have."""
    chunked: bool = False
    """Whether the matrix is read part by part."""
    by_rows: bool = False
    """Whether only rows will do, since they lie together or are added up."""
    expected: NDArray[np.int64] | None = None
    """Where rows can be read: for each tested gene, the non-zeros it is expected to have."""
    n_values: int = 0
    """Chunked: values of the compared cells, of all genes."""
    reorders: bool = False
    """Chunked: whether cells are in another order than the rows, or repeat."""
    n_rows: int = 0
    """Chunked: rows of the matrix; dense: from the first to the last that is compared."""
    bytes_per_value: int = 0
    """Chunked: of a value as it is read, its index included."""
    chunk_starts: NDArray[np.int64] | None = None
    """Chunked and dense: for each tested gene, the chunk of columns that it is in."""
    are_counts: bool = False
    """Chunked: whether values are whole numbers from 0 up, as far as was looked."""
    longest_chunk: int = 0
    """Dask: values that the longest chunks that are computed together are expected to hold; 0 for other matrices."""
    workers: Workers | None = None
    """Dask: the workers that compute the chunks, if it is not this machine."""

    @property
    def is_dask(self) -> bool:
        """Whether chunks are computed by dask, each of them once."""
        return self.longest_chunk > 0

    @property
    def can_load(self) -> bool:
        """Whether the matrix may be brought to memory if it fits: sparse rows of a file."""
        return self.format == "CSR" and self.chunked and self.place != "in memory" and not self.is_dask

    @property
    def as_rows(self) -> MatrixInfo:
        """The same, with what is expected of rows for what genes have."""
        return self if self.expected is None else replace(self, stored=self.expected)


@dataclass(frozen=True)
class Requirements:
    """What a test needs."""

    work: str
    """What is done with the values, in a word or two."""
    n_groups: int
    """Tested groups, of all levels."""
    n_codes: int
    """Groups with the reference, of all levels and strata."""
    most_codes: int
    """The most of these that are ranked together."""
    together: bool
    """Whether all cells are ranked together, rather than those of each level or stratum."""
    moments: bool
    """Whether means and squares are all it takes."""
    with_expm1: bool
    """Whether sums of expm1 are kept too."""
    few_cells: bool
    """Whether sums over ties are whole numbers, which may be added up in any order."""
    in_order: bool
    """Whether the values of a gene are put in order, one by one."""
    of_statistics: int
    """Bytes of what is reported of a group and gene."""
    of_family: int
    """Bytes that adjusting p-values takes of each group and gene, beyond the result."""
    normalized: bool
    """Whether values are divided by library sizes on their way."""
