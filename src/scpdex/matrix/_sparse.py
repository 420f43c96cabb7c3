"""CSR and CSC matrices in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.entries import entry_bytes, is_wide, new_entries
from scpdex.kernels.gather import count_columns, count_rows, gather_columns, gather_rows, seek_rows
from scpdex.matrix._block import GeneBlock
from scpdex.plan import MatrixFacts

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.matrix._block import Reader


@dataclass(frozen=True)
class SparseSource:
    """Compared rows and tested columns of a CSR or CSC matrix with sorted indices, none repeated."""

    matrix: Any
    cells: NDArray[np.int64]
    codes: NDArray[np.int32]
    columns: NDArray[np.int64]
    facts: MatrixFacts

    @classmethod
    def open(
        cls,
        matrix: Any,
        cells: NDArray[np.int64],
        codes: NDArray[np.int32],
        columns: NDArray[np.int64],
        pool: Executor,
        n_threads: int,
    ) -> SparseSource:
        """Count the stored values of each gene; unsorted or repeated indices are put right in a copy."""
        count = _count_rows if matrix.format == "csr" else _count_columns
        stored, canonical = count(matrix, cells, columns, pool, n_threads)
        if not canonical:
            return cls.open(_canonical(matrix), cells, codes, columns, pool, n_threads)
        n_bytes = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
        one = entry_bytes(wide=is_wide(matrix.dtype))
        facts = MatrixFacts(matrix.format.upper(), str(matrix.dtype), n_bytes, cells.size, one, stored)
        return cls(matrix, cells, codes, columns, facts)

    def reader(self, run: tuple[range, ...]) -> Reader:
        """Open a run of neighbouring blocks, with room for the largest."""
        largest = max(int(self.facts.stored[block.start : block.stop].sum()) for block in run)
        entries = new_entries(largest, wide=is_wide(self.matrix.dtype))
        if self.matrix.format == "csr":
            cursors = np.empty(self.cells.size, dtype=np.int64)
            seek_rows(self.matrix.indices, self.matrix.indptr, self.cells, self.columns[run[0].start], cursors)
            return _RowReader(self, entries, _slots(self.matrix.shape[1], self.columns), cursors)
        if (np.diff(self.cells) <= 0).any():
            return _ColumnReader(self, entries, self.codes, reorders=True)
        row_codes = np.full(self.matrix.shape[0], -1, dtype=np.int32)
        row_codes[self.cells] = self.codes
        return _ColumnReader(self, entries, row_codes, reorders=False)

    def layout(self, genes: range) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Lay out a block: starts of the genes in its entries, and room for their lengths."""
        stored = self.facts.stored[genes.start : genes.stop]
        starts = np.concatenate([[0], np.cumsum(stored[:-1])]).astype(np.int64)
        return starts, np.empty_like(starts)


@dataclass(frozen=True)
class _RowReader:
    source: SparseSource
    entries: Any
    slots: NDArray[np.int32] | None
    cursors: NDArray[np.int64]

    def read(self, genes: range) -> GeneBlock:
        source = self.source
        starts, lengths = source.layout(genes)
        counts_like = gather_rows(
            source.matrix.data,
            source.matrix.indices,
            source.matrix.indptr,
            source.cells,
            source.codes,
            self.slots,
            source.columns[genes.start] if self.slots is None else genes.start,
            source.columns[genes.stop - 1] + 1,
            self.cursors,
            self.entries,
            starts,
            lengths,
        )
        return GeneBlock(genes, self.entries, starts, lengths, counts_like)


@dataclass(frozen=True)
class _ColumnReader:
    source: SparseSource
    entries: Any
    row_codes: NDArray[np.int32]
    reorders: bool
    """Whether the cells are in another order than the rows, or repeat, as views allow."""

    def read(self, genes: range) -> GeneBlock:
        matrix = self.source.matrix
        columns = self.source.columns[genes.start : genes.stop]
        if self.reorders:
            matrix = matrix[:, columns][self.source.cells]
            matrix.sort_indices()
            columns = np.arange(columns.size)
        starts, lengths = self.source.layout(genes)
        counts_like = gather_columns(
            matrix.data,
            matrix.indices,
            matrix.indptr,
            columns,
            self.row_codes,
            self.entries,
            starts,
            lengths,
        )
        return GeneBlock(genes, self.entries, starts, lengths, counts_like)


def _count_rows(
    matrix: Any, cells: NDArray[np.int64], columns: NDArray[np.int64], pool: Executor, n_threads: int
) -> tuple[NDArray[np.int64], bool]:
    """Count the stored values of each column in the cells of a CSR matrix; tell whether its rows are canonical."""

    def count(part: NDArray[np.int64]) -> tuple[NDArray[np.int64], bool]:
        counts = np.zeros(matrix.shape[1], dtype=np.int64)
        return counts, count_rows(matrix.indices, matrix.indptr, part, counts)

    counts, canonical = zip(*pool.map(count, np.array_split(cells, n_threads)), strict=True)
    return np.stack(counts).sum(axis=0)[columns], all(canonical)


def _count_columns(
    matrix: Any, cells: NDArray[np.int64], columns: NDArray[np.int64], pool: Executor, n_threads: int
) -> tuple[NDArray[np.int64], bool]:
    """Count the stored values of each column in the cells of a CSC matrix; tell whether its columns are canonical."""
    times = np.bincount(cells, minlength=matrix.shape[0])

    def count(part: NDArray[np.int64]) -> tuple[NDArray[np.int64], bool]:
        counts = np.zeros(part.size, dtype=np.int64)
        return counts, count_columns(matrix.indices, matrix.indptr, part, times, counts)

    counts, canonical = zip(*pool.map(count, np.array_split(columns, n_threads)), strict=True)
    return np.concatenate(counts), all(canonical)


def _slots(n_columns: int, columns: NDArray[np.int64]) -> NDArray[np.int32] | None:
    """Place of each matrix column among the tested ones, or -1; None where the tested ones are neighbours."""
    if columns[-1] - columns[0] + 1 == columns.size:
        return None
    slots = np.full(n_columns, -1, dtype=np.int32)
    slots[columns] = np.arange(columns.size)
    return slots


def _canonical(matrix: Any) -> Any:
    """Copy with sorted indices, repeated ones summed."""
    copy = type(matrix)((matrix.data.copy(), matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
    copy.sum_duplicates()
    return copy
