"""CSR and CSC matrices in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.entries import entry_bytes, is_wide, new_entries
from scpdex.kernels.gather import count_columns, count_rows, gather_columns, gather_rows, seek_rows
from scpdex.matrix._block import GeneBlock
from scpdex.plan import MatrixFacts, cut

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.plan import Plan


_CACHE_LINE = 64


@dataclass(frozen=True)
class RowSource:
    """Compared rows and tested columns of a CSR matrix with sorted indices, none repeated."""

    matrix: Any
    cells: NDArray[np.int64]
    codes: NDArray[np.int32]
    columns: NDArray[np.int64]
    parts: tuple[slice, ...]
    """Runs of cells, each read by one thread."""
    stored: NDArray[np.int64]
    """Non-zero values in each part of the cells of each tested gene, parts x genes."""
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
    ) -> RowSource:
        """Count the values of each gene; unsorted or repeated indices are put right in a copy."""
        size = -(-cells.size // n_threads)
        parts = tuple(slice(part.start, part.stop) for part in cut(range(cells.size), size))

        def count(part: slice) -> tuple[NDArray[np.int64], bool]:
            counts = np.zeros(matrix.shape[1], dtype=np.int64)
            return counts, count_rows(matrix.data, matrix.indices, matrix.indptr, cells[part], counts)

        counts, canonical = zip(*pool.map(count, parts), strict=True)
        if not all(canonical):
            return cls.open(_canonical(matrix), cells, codes, columns, pool, n_threads)
        stored = np.stack(counts)[:, columns]
        return cls(matrix, cells, codes, columns, parts, stored, _facts(matrix, cells.size, stored.sum(axis=0)))

    def reader(self, plan: Plan, pool: Executor) -> _RowReader:
        """Open the plan's blocks, with room for the largest."""
        matrix = self.matrix
        cursors = np.empty(self.cells.size, dtype=np.int64)

        def seek(part: slice) -> None:
            seek_rows(matrix.indices, matrix.indptr, self.cells[part], self.columns[0], cursors[part])

        list(pool.map(seek, self.parts))
        slots = _slots(matrix.shape[1], self.columns)
        return _RowReader(self, _room(plan, self.facts, matrix), pool, slots, cursors)


@dataclass(frozen=True)
class _RowReader:
    source: RowSource
    entries: Any
    pool: Executor
    slots: NDArray[np.int32] | None
    cursors: NDArray[np.int64]

    def read(self, genes: range) -> GeneBlock:
        source = self.source
        matrix = source.matrix
        stored = source.stored[:, genes.start : genes.stop]
        starts, lengths = _layout(source.facts.stored, genes)
        # The cells of a part come after those of the parts before it, gene by gene.
        places = (starts + np.cumsum(stored, axis=0) - stored).astype(np.uint64)
        first = int(source.columns[genes.start]) if self.slots is None else genes.start
        stop = int(source.columns[genes.stop - 1]) + 1

        def gather(part: slice, places: NDArray[np.uint64]) -> bool:
            # Apart from those of other threads: who writes to one cache line waits for one another.
            own = np.pad(places, _CACHE_LINE // places.itemsize)[_CACHE_LINE // places.itemsize :]
            return gather_rows(
                matrix.data,
                matrix.indices,
                matrix.indptr,
                source.cells[part],
                source.codes[part],
                self.slots,
                first,
                stop,
                self.cursors[part],
                self.entries,
                own,
            )

        counts_like = all(list(self.pool.map(gather, source.parts, places)))
        return GeneBlock(genes, self.entries, starts, lengths, counts_like)


@dataclass(frozen=True)
class ColumnSource:
    """Compared rows and tested columns of a CSC matrix with sorted indices, none repeated."""

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
    ) -> ColumnSource:
        """Count the stored values of each gene; unsorted or repeated indices are put right in a copy."""
        times = np.bincount(cells, minlength=matrix.shape[0])
        stored = np.zeros(columns.size, dtype=np.int64)

        def count(part: range) -> bool:
            some = slice(part.start, part.stop)
            return count_columns(matrix.indices, matrix.indptr, columns[some], times, stored[some])

        if not all(list(pool.map(count, cut(range(columns.size), -(-columns.size // n_threads))))):
            return cls.open(_canonical(matrix), cells, codes, columns, pool, n_threads)
        return cls(matrix, cells, codes, columns, _facts(matrix, cells.size, stored))

    def reader(self, plan: Plan, pool: Executor) -> _ColumnReader:
        """Open the plan's blocks, with room for the largest."""
        room = _room(plan, self.facts, self.matrix)
        if (np.diff(self.cells) <= 0).any():
            return _ColumnReader(self, room, pool, plan.n_threads, self.codes, reorders=True)
        row_codes = np.full(self.matrix.shape[0], -1, dtype=np.int32)
        row_codes[self.cells] = self.codes
        return _ColumnReader(self, room, pool, plan.n_threads, row_codes, reorders=False)


@dataclass(frozen=True)
class _ColumnReader:
    source: ColumnSource
    entries: Any
    pool: Executor
    n_threads: int
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
        starts, lengths = _layout(self.source.facts.stored, genes)

        def gather(part: range) -> bool:
            some = slice(part.start, part.stop)
            return gather_columns(
                matrix.data,
                matrix.indices,
                matrix.indptr,
                columns[some],
                self.row_codes,
                self.entries,
                starts[some],
                lengths[some],
            )

        parts = cut(range(len(genes)), -(-len(genes) // self.n_threads))
        return GeneBlock(genes, self.entries, starts, lengths, all(list(self.pool.map(gather, parts))))


def _facts(matrix: Any, n_cells: int, stored: NDArray[np.int64]) -> MatrixFacts:
    n_bytes = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    one = entry_bytes(wide=is_wide(matrix.dtype))
    return MatrixFacts(matrix.format.upper(), str(matrix.dtype), n_bytes, n_cells, one, stored)


def _room(plan: Plan, facts: MatrixFacts, matrix: Any) -> Any:
    """Allocate entries for the largest block."""
    largest = max(int(facts.stored[block.start : block.stop].sum()) for block in plan.blocks)
    return new_entries(largest, wide=is_wide(matrix.dtype))


def _layout(stored: NDArray[np.int64], genes: range) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lay out a block: where each gene's entries start, and how many there are at most."""
    lengths = stored[genes.start : genes.stop].copy()
    return np.concatenate([[0], np.cumsum(lengths[:-1])]).astype(np.int64), lengths


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
