"""CSR and CSC matrices in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.entries import entry_dtype, new_entries
from scpdex.kernels.gather import count_columns, count_rows, gather_columns, gather_rows, seek_rows
from scpdex.matrix._block import GeneBlock
from scpdex.plan import MatrixFacts

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray


@dataclass(frozen=True)
class RowSource:
    """Compared rows and tested columns of a CSR matrix."""

    matrix: Any
    cells: NDArray[np.int64]
    codes: NDArray[np.int32]
    columns: NDArray[np.int64]
    slots: NDArray[np.int32]
    facts: MatrixFacts
    entry: np.dtype[Any]

    @classmethod
    def open(
        cls,
        matrix: Any,
        cells: NDArray[np.int64],
        codes: NDArray[np.int32],
        columns: NDArray[np.int64],
        n_codes: int,
        pool: Executor,
        n_threads: int,
    ) -> RowSource:
        """Count the stored values of each gene; unsorted or repeated indices are put right in a copy."""
        slots = np.full(matrix.shape[1], -1, dtype=np.int32)
        slots[columns] = np.arange(columns.size)

        def count(part: NDArray[np.int64]) -> tuple[NDArray[np.int64], bool]:
            counts = np.zeros(columns.size, dtype=np.int64)
            return counts, count_rows(matrix.indices, matrix.indptr, part, slots, counts)

        parts = list(pool.map(count, np.array_split(cells, n_threads)))
        if not all(increasing for _, increasing in parts):
            return cls.open(_canonical(matrix), cells, codes, columns, n_codes, pool, n_threads)
        stored = np.stack([counts for counts, _ in parts]).sum(axis=0)
        entry = entry_dtype(matrix.dtype, n_codes)
        facts = MatrixFacts("CSR", str(matrix.dtype), _n_bytes(matrix), cells.size, entry.itemsize, stored)
        return cls(matrix, cells, codes, columns, slots, facts, entry)

    def reader(self, run: tuple[range, ...]) -> _RowReader:
        """Open a run of neighbouring blocks."""
        cursors = np.empty(self.cells.size, dtype=np.int64)
        seek_rows(self.matrix.indices, self.matrix.indptr, self.cells, self.columns[run[0].start], cursors)
        return _RowReader(self, cursors, _room(run, self.facts.stored, self.entry))


@dataclass(frozen=True)
class _RowReader:
    source: RowSource
    cursors: NDArray[np.int64]
    entries: NDArray[Any]

    def read(self, genes: range) -> GeneBlock:
        source = self.source
        starts, lengths, not_finite = _layout(source.facts.stored[genes.start : genes.stop])
        counts_like = gather_rows(
            source.matrix.data,
            source.matrix.indices,
            source.matrix.indptr,
            source.cells,
            source.codes,
            source.slots,
            genes.start,
            source.columns[genes.stop - 1] + 1,
            self.cursors,
            self.entries,
            starts,
            lengths,
            not_finite,
        )
        return GeneBlock(genes, self.entries, starts, lengths, not_finite, counts_like)


@dataclass(frozen=True)
class ColumnSource:
    """Compared rows and tested columns of a CSC matrix."""

    matrix: Any
    cells: NDArray[np.int64]
    codes: NDArray[np.int32]
    columns: NDArray[np.int64]
    facts: MatrixFacts
    entry: np.dtype[Any]

    @classmethod
    def open(
        cls,
        matrix: Any,
        cells: NDArray[np.int64],
        codes: NDArray[np.int32],
        columns: NDArray[np.int64],
        n_codes: int,
        pool: Executor,
        n_threads: int,
    ) -> ColumnSource:
        """Count the stored values of each gene; unsorted or repeated indices are put right in a copy."""
        times = np.bincount(cells, minlength=matrix.shape[0])

        def count(part: NDArray[np.int64]) -> tuple[NDArray[np.int64], bool]:
            counts = np.zeros(part.size, dtype=np.int64)
            return counts, count_columns(matrix.indices, matrix.indptr, part, times, counts)

        parts = list(pool.map(count, np.array_split(columns, n_threads)))
        if not all(increasing for _, increasing in parts):
            return cls.open(_canonical(matrix), cells, codes, columns, n_codes, pool, n_threads)
        stored = np.concatenate([counts for counts, _ in parts])
        entry = entry_dtype(matrix.dtype, n_codes)
        facts = MatrixFacts("CSC", str(matrix.dtype), _n_bytes(matrix), cells.size, entry.itemsize, stored)
        return cls(matrix, cells, codes, columns, facts, entry)

    def reader(self, run: tuple[range, ...]) -> _ColumnReader:
        """Open a run of neighbouring blocks."""
        entries = _room(run, self.facts.stored, self.entry)
        if (np.diff(self.cells) <= 0).any():
            return _ColumnReader(self, entries, self.codes, reorders=True)
        row_codes = np.full(self.matrix.shape[0], -1, dtype=np.int32)
        row_codes[self.cells] = self.codes
        return _ColumnReader(self, entries, row_codes, reorders=False)


@dataclass(frozen=True)
class _ColumnReader:
    source: ColumnSource
    entries: NDArray[Any]
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
        starts, lengths, not_finite = _layout(self.source.facts.stored[genes.start : genes.stop])
        counts_like = gather_columns(
            matrix.data,
            matrix.indices,
            matrix.indptr,
            columns,
            self.row_codes,
            self.entries,
            starts,
            lengths,
            not_finite,
        )
        return GeneBlock(genes, self.entries, starts, lengths, not_finite, counts_like)


def _canonical(matrix: Any) -> Any:
    """Copy with sorted indices, repeated ones summed."""
    copy = type(matrix)((matrix.data.copy(), matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
    copy.sum_duplicates()
    return copy


def _n_bytes(matrix: Any) -> int:
    return int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)


def _room(run: tuple[range, ...], stored: NDArray[np.int64], entry: np.dtype[Any]) -> NDArray[Any]:
    """Entries for the largest block of a run."""
    return new_entries(max(int(stored[block.start : block.stop].sum()) for block in run), entry)


def _layout(stored: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Lay out a block: starts of the genes in its entries, room for their lengths and counts of unusable values."""
    starts = np.concatenate([[0], np.cumsum(stored[:-1])]).astype(np.int64)
    return starts, np.empty_like(starts), np.empty_like(starts)
