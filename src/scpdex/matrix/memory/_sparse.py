"""CSR and CSC matrices in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.gather import count_columns, count_rows, gather_columns, gather_rows, seek_rows
from scpdex.kernels.keys import key_dtype
from scpdex.matrix._gene_block import GeneBlock, Room, starts_of
from scpdex.matrix._source import Source
from scpdex.plan.gene_blocks import cut
from scpdex.plan.matrix_info import MemoryMatrix

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.matrix._compared_cells import ComparedCells
    from scpdex.plan.plan import Plan


_CACHE_LINE = 64
_MOST_IN_32_BITS = np.iinfo(np.int32).max


@dataclass(frozen=True)
class RowSource(Source):
    """Compared rows and tested columns of a CSR matrix with sorted indices, none repeated."""

    matrix: Any
    cells: ComparedCells
    columns: NDArray[np.int64]
    parts: tuple[range, ...]
    """Runs of the cells in the order of their groups, each gathered by one thread."""
    stored: NDArray[np.int64]
    """Non-zero values in each part of the cells of each tested gene, parts x genes."""
    info: MemoryMatrix

    @classmethod
    def open(
        cls, matrix: Any, cells: ComparedCells, columns: NDArray[np.int64], pool: Executor, n_threads: int
    ) -> RowSource:
        """Count the values of each gene; unsorted or repeated indices are put right in a copy."""
        n_cells = cells.rows.size
        parts = tuple(cut(range(n_cells), -(-n_cells // n_threads)))

        def count(part: range) -> tuple[NDArray[np.int64], bool]:
            counts = np.zeros(matrix.shape[1], dtype=np.int64)
            # As they lie in memory: gathering goes group by group, but counts are the same.
            rows = np.sort(cells.rows[part.start : part.stop])
            return counts, count_rows(matrix.data, matrix.indices, matrix.indptr, rows, counts)

        counts, canonical = zip(*pool.map(count, parts), strict=True)
        if not all(canonical):
            return cls.open(_canonical(matrix), cells, columns, pool, n_threads)
        stored = np.stack(counts)[:, columns]
        return cls(matrix, cells, columns, parts, stored, _describe(matrix, n_cells, stored.sum(axis=0)))

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, each overwriting the one before it."""
        matrix = self.matrix
        cursors = np.empty(self.cells.rows.size, dtype=np.int64)

        def seek(part: range) -> None:
            run = slice(part.start, part.stop)
            seek_rows(matrix.indices, matrix.indptr, self.cells.rows[run], self.columns[0], cursors[run])

        list(pool.map(seek, self.parts))
        slots = slots_of(matrix.shape[1], self.columns)
        reader = _RowReader(self, Room.of(plan, self.cells.group_stops.size), pool, slots, cursors)
        for genes in plan.blocks:
            yield reader.read(genes)


@dataclass(frozen=True)
class _RowReader:
    source: RowSource
    room: Room
    pool: Executor
    slots: NDArray[np.int32] | None
    cursors: NDArray[np.int64]

    def read(self, genes: range) -> GeneBlock:
        source, room = self.source, self.room
        matrix = source.matrix
        stored = source.stored[:, genes.start : genes.stop]
        starts = starts_of(source.info.max_nonzeros, genes)
        # The cells of a part come after those of the parts before it, gene by gene.
        places = (starts + np.cumsum(stored, axis=0) - stored).astype(np.uint64)
        first = int(source.columns[genes.start]) if self.slots is None else genes.start
        stop = int(source.columns[genes.stop - 1]) + 1

        def gather(part: range, places: NDArray[np.uint64]) -> None:
            run = slice(part.start, part.stop)
            # Apart from those of other threads: who writes to one cache line waits for one another.
            own = np.pad(places, _CACHE_LINE // places.itemsize)[_CACHE_LINE // places.itemsize :][: places.size]
            gather_rows(
                matrix.data,
                matrix.indices,
                matrix.indptr,
                source.cells.rows[run],
                source.cells.group_stops - part.start,
                self.slots,
                first,
                stop,
                self.cursors[run],
                room.keys,
                starts,
                own,
                room.ends,
            )

        list(self.pool.map(gather, source.parts, places))
        return GeneBlock(genes, room.keys, starts, room.ends[:, : len(genes)].T)


@dataclass(frozen=True)
class ColumnSource(Source):
    """Compared rows and tested columns of a CSC matrix with sorted indices, none repeated."""

    matrix: Any
    cells: ComparedCells
    columns: NDArray[np.int64]
    info: MemoryMatrix

    @classmethod
    def open(
        cls, matrix: Any, cells: ComparedCells, columns: NDArray[np.int64], pool: Executor, n_threads: int
    ) -> ColumnSource:
        """Count the stored values of each gene; unsorted or repeated indices are put right in a copy."""
        times = np.bincount(cells.rows, minlength=matrix.shape[0])
        stored = np.zeros(columns.size, dtype=np.int64)

        def count(part: range) -> bool:
            some = slice(part.start, part.stop)
            return count_columns(matrix.indices, matrix.indptr, columns[some], times, stored[some])

        if not all(list(pool.map(count, cut(range(columns.size), -(-columns.size // n_threads))))):
            return cls.open(_canonical(matrix), cells, columns, pool, n_threads)
        return cls(matrix, cells, columns, _describe(matrix, cells.rows.size, stored))

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, each overwriting the one before it."""
        gatherer = ColumnGatherer.of(self.cells, self.matrix.shape[0])
        room = Room.of(plan, self.cells.group_stops.size)
        for genes in plan.blocks:
            columns = self.columns[genes.start : genes.stop]
            yield gatherer.gather(self.matrix, columns, genes, self.info.max_nonzeros, room, pool, plan.n_threads)


@dataclass(frozen=True)
class ColumnGatherer:
    """Knows the group of each row of a CSC matrix."""

    cells: ComparedCells
    row_codes: NDArray[np.int32]

    @classmethod
    def of(cls, cells: ComparedCells, n_rows: int) -> ColumnGatherer:
        """Say which group each row is of; -1 where it is not compared."""
        if not cells.ascend:
            return cls(cells, cells.codes())
        row_codes = np.full(n_rows, -1, dtype=np.int32)
        row_codes[cells.rows] = cells.codes()
        return cls(cells, row_codes)

    def gather(
        self,
        matrix: Any,
        columns: NDArray[np.int64],
        genes: range,
        stored: NDArray[np.int64],
        room: Room,
        pool: Executor,
        n_threads: int,
    ) -> GeneBlock:
        """Bring the values of some columns together, which are those of ``genes``."""
        if not self.cells.ascend:
            # In another order than the rows, or repeated, as views allow.
            n_values = int(stored[genes.start : genes.stop].sum())
            matrix = with_indices_for(matrix[:, columns], n_values)[self.cells.rows]
            matrix.sort_indices()
            columns = np.arange(columns.size)
        starts = starts_of(stored, genes)

        def gather(part: range) -> None:
            some = slice(part.start, part.stop)
            longest = (matrix.indptr[columns[some] + 1] - matrix.indptr[columns[some]]).max()
            gather_columns(
                matrix.data,
                matrix.indices,
                matrix.indptr,
                columns[some],
                self.row_codes,
                np.empty(longest, dtype=np.int32),
                room.keys,
                starts[some],
                room.ends[:, some],
            )

        list(pool.map(gather, cut(range(len(genes)), -(-len(genes) // n_threads))))
        return GeneBlock(genes, room.keys, starts, room.ends[:, : len(genes)].T)


def _describe(matrix: Any, n_cells: int, stored: NDArray[np.int64]) -> MemoryMatrix:
    n_bytes = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    return MemoryMatrix(
        format=matrix.format.upper(),
        dtype=str(matrix.dtype),
        n_bytes=n_bytes,
        n_cells=n_cells,
        key_dtype=key_dtype(matrix.dtype),
        max_nonzeros=stored,
    )


def slots_of(n_columns: int, columns: NDArray[np.int64]) -> NDArray[np.int32] | None:
    """Place of each matrix column among the tested ones, or -1; None where the tested ones are neighbours."""
    if columns[-1] - columns[0] + 1 == columns.size:
        return None
    slots = np.full(n_columns, -1, dtype=np.int32)
    slots[columns] = np.arange(columns.size)
    return slots


def with_indices_for(matrix: Any, n_values: int) -> Any:
    """Give a CSR or CSC matrix whose indices can count ``n_values`` values: 64-bit ones where 32 bits are too few.

    Where rows repeat, scipy sums the numbers of their values in the dtype of the indices, and the sum may wrap.
    """
    if n_values <= _MOST_IN_32_BITS or matrix.indices.dtype.itemsize > 4:
        return matrix
    wide = type(matrix)(matrix.shape, dtype=matrix.dtype)
    # The constructor would narrow them again.
    wide.data, wide.indices, wide.indptr = matrix.data, matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return wide


def take_rows(matrix: Any, rows: NDArray[np.int64]) -> Any:
    """Give some rows of a CSR or CSC matrix, which may repeat."""
    n_rows = matrix.shape[0]
    per_row = np.diff(matrix.indptr) if matrix.format == "csr" else np.bincount(matrix.indices, minlength=n_rows)
    return with_indices_for(matrix, int(per_row[rows].sum(dtype=np.int64)))[rows]


def _canonical(matrix: Any) -> Any:
    """Copy with sorted indices, repeated ones summed."""
    copy = type(matrix)((matrix.data.copy(), matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
    copy.sum_duplicates()
    return copy
