"""CSR and CSC matrices in memory: their rows or columns become gene blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.gather import count_columns, count_rows, gather_columns, gather_rows, seek_rows
from scpdex.kernels.keys import key_dtype
from scpdex.matrix._gene_block import BlockBuffers, GeneBlock, lay_out_genes
from scpdex.matrix._source import Source
from scpdex.plan.gene_blocks import cut_range
from scpdex.plan.matrix_info import MemoryMatrix

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.matrix._compared_cells import ComparedCells
    from scpdex.plan.plan import Plan


_CACHE_LINE_BYTES = 64
# More threads count no faster, since memory is the limit, and each holds counts of all parts.
_MOST_COUNTING_THREADS = 4
_MAX_INT32 = np.iinfo(np.int32).max


class NotInPlaceError(Exception):
    """Kernels cannot gather the values of a matrix from where they are in memory."""


@dataclass(frozen=True)
class RowSource(Source):
    """The compared cells and tested genes of a CSR matrix with sorted indices, none repeated."""

    matrix: Any
    cells: ComparedCells
    columns: NDArray[np.int64]
    """Column of each tested gene, ascending."""
    parts: tuple[range, ...]
    """Runs of the cells in the order of their groups: each thread gathers one."""
    nonzeros: NDArray[np.int64]
    """Non-zero values of each part of the cells and each tested gene, parts x genes."""
    info: MemoryMatrix

    @classmethod
    def open(
        cls, matrix: Any, cells: ComparedCells, columns: NDArray[np.int64], pool: Executor, n_threads: int
    ) -> RowSource:
        """Count the non-zero values of each gene.

        Raises
        ------
        NotInPlaceError
            Indices are not sorted, or repeat.
        """
        n_cells = cells.rows.size
        parts = tuple(cut_range(range(n_cells), -(-n_cells // n_threads)))

        rows, parts_of_rows = _sort_rows(cells.rows, parts)

        def count(run: range) -> tuple[NDArray[np.int64], bool]:
            counts, run_rows = np.zeros((len(parts), matrix.shape[1]), dtype=np.int64), slice(run.start, run.stop)
            is_canonical = count_rows(
                matrix.data, matrix.indices, matrix.indptr, rows[run_rows], parts_of_rows[run_rows], counts
            )
            return counts[:, columns], is_canonical

        # In the order of memory, which is read at once and by one thread each: runs of neighbouring rows, not parts.
        n_runs = min(n_threads, _MOST_COUNTING_THREADS)
        counts, canonical = zip(*pool.map(count, cut_range(range(n_cells), -(-n_cells // n_runs))), strict=True)
        if not all(canonical):
            raise NotInPlaceError
        nonzeros = np.sum(counts, axis=0)
        return cls(matrix, cells, columns, parts, nonzeros, _describe(matrix, n_cells, nonzeros.sum(axis=0)))

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, each overwriting the one before it."""
        matrix = self.matrix
        cursors = np.empty(self.cells.rows.size, dtype=np.int64)

        def seek(part: range) -> None:
            run = slice(part.start, part.stop)
            seek_rows(matrix.indices, matrix.indptr, self.cells.rows[run], self.columns[0], cursors[run])

        if self.columns[0] > 0:
            list(pool.map(seek, self.parts))
        else:
            cursors[:] = matrix.indptr[self.cells.rows]
        slots = find_gene_slots(matrix.shape[1], self.columns)
        reader = _RowReader(self, BlockBuffers.of(plan, self.cells.group_stops.size), pool, slots, cursors)
        for genes in plan.blocks:
            yield reader.read(genes)


@dataclass(frozen=True)
class _RowReader:
    """Gathers one block of genes behind the other, with a cursor in each row."""

    source: RowSource
    buffers: BlockBuffers
    pool: Executor
    slots: NDArray[np.int32] | None
    """See :func:`find_gene_slots`."""
    cursors: NDArray[np.int64]
    """For each cell, the place of its first value that has not been gathered yet."""

    def read(self, genes: range) -> GeneBlock:
        source, buffers = self.source, self.buffers
        matrix = source.matrix
        nonzeros = source.nonzeros[:, genes.start : genes.stop]
        starts = lay_out_genes(source.info.max_nonzeros, genes)
        # In each gene, the cells of a part come behind those of the parts before it.
        places = (starts + np.cumsum(nonzeros, axis=0) - nonzeros).astype(np.uint64)
        first = int(source.columns[genes.start]) if self.slots is None else genes.start
        stop = int(source.columns[genes.stop - 1]) + 1

        def gather(part: range, places: NDArray[np.uint64]) -> None:
            run = slice(part.start, part.stop)
            # A cache line of its own on both sides: threads that write to one cache line wait for one another.
            n_padding = _CACHE_LINE_BYTES // places.itemsize
            own_places = np.pad(places, n_padding)[n_padding:][: places.size]
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
                buffers.keys,
                starts,
                own_places,
                buffers.ends,
            )

        list(self.pool.map(gather, source.parts, places))
        return GeneBlock(genes, buffers.keys, starts, buffers.ends[:, : len(genes)].T)


@dataclass(frozen=True)
class ColumnSource(Source):
    """The compared cells and tested genes of a CSC matrix with sorted indices, none repeated."""

    matrix: Any
    cells: ComparedCells
    columns: NDArray[np.int64]
    """Column of each tested gene, ascending."""
    info: MemoryMatrix

    @classmethod
    def open(
        cls, matrix: Any, cells: ComparedCells, columns: NDArray[np.int64], pool: Executor, n_threads: int
    ) -> ColumnSource:
        """Count the stored values of each gene.

        Raises
        ------
        NotInPlaceError
            Indices are not sorted, or repeat; or the object has cells in another order than the rows, or repeats them.
        """
        if not cells.in_row_order:
            raise NotInPlaceError
        row_repeats = np.bincount(cells.rows, minlength=matrix.shape[0])
        max_nonzeros = np.zeros(columns.size, dtype=np.int64)

        def count(part: range) -> bool:
            run = slice(part.start, part.stop)
            return count_columns(matrix.indices, matrix.indptr, columns[run], row_repeats, max_nonzeros[run])

        if not all(list(pool.map(count, cut_range(range(columns.size), -(-columns.size // n_threads))))):
            raise NotInPlaceError
        return cls(matrix, cells, columns, _describe(matrix, cells.rows.size, max_nonzeros))

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, each overwriting the one before it."""
        gatherer = ColumnGatherer.of(self.cells, self.matrix.shape[0])
        buffers = BlockBuffers.of(plan, self.cells.group_stops.size)
        for genes in plan.blocks:
            columns = self.columns[genes.start : genes.stop]
            yield gatherer.gather(self.matrix, columns, genes, self.info.max_nonzeros, buffers, pool, plan.n_threads)


@dataclass(frozen=True)
class ColumnGatherer:
    """Gathers columns of CSC, with the group of each row."""

    cells: ComparedCells
    row_codes: NDArray[np.int32]
    """Group of each row, -1 for rows that are not compared; of each cell, if cells are not in the order of the rows."""

    @classmethod
    def of(cls, cells: ComparedCells, n_rows: int) -> ColumnGatherer:
        """Look up the group of each row of a matrix of ``n_rows``."""
        if not cells.in_row_order:
            return cls(cells, cells.codes())
        row_codes = np.full(n_rows, -1, dtype=np.int32)
        row_codes[cells.rows] = cells.codes()
        return cls(cells, row_codes)

    def gather(
        self,
        matrix: Any,
        columns: NDArray[np.int64],
        genes: range,
        max_nonzeros: NDArray[np.int64],
        buffers: BlockBuffers,
        pool: Executor,
        n_threads: int,
    ) -> GeneBlock:
        """Gather the values of ``columns``, which hold the tested genes ``genes``, on the pool's threads."""
        if not self.cells.in_row_order:
            n_values = int(max_nonzeros[genes.start : genes.stop].sum())
            matrix = widen_indices(matrix[:, columns], n_values)[self.cells.rows]
            matrix.sort_indices()
            columns = np.arange(columns.size)
        starts = lay_out_genes(max_nonzeros, genes)

        def gather(part: range) -> None:
            run = slice(part.start, part.stop)
            longest = (matrix.indptr[columns[run] + 1] - matrix.indptr[columns[run]]).max()
            gather_columns(
                matrix.data,
                matrix.indices,
                matrix.indptr,
                columns[run],
                self.row_codes,
                np.empty(longest, dtype=np.int32),
                buffers.keys,
                starts[run],
                buffers.ends[:, run],
            )

        list(pool.map(gather, cut_range(range(len(genes)), -(-len(genes) // n_threads))))
        return GeneBlock(genes, buffers.keys, starts, buffers.ends[:, : len(genes)].T)


def _sort_rows(rows: NDArray[np.int64], parts: Sequence[range]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort rows, of which each part has a run, and give the part of each."""
    # As one number, which is sorted three times as fast as by an argsort.
    n_bits = len(parts).bit_length()
    packed = rows << n_bits
    for number, part in enumerate(parts):
        packed[part.start : part.stop] |= number
    packed.sort()
    return packed >> n_bits, packed & ((1 << n_bits) - 1)


def _describe(matrix: Any, n_cells: int, max_nonzeros: NDArray[np.int64]) -> MemoryMatrix:
    n_bytes = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    return MemoryMatrix(
        format=matrix.format.upper(),
        dtype=str(matrix.dtype),
        n_bytes=n_bytes,
        n_cells=n_cells,
        key_dtype=key_dtype(matrix.dtype),
        max_nonzeros=max_nonzeros,
    )


def find_gene_slots(n_columns: int, columns: NDArray[np.int64]) -> NDArray[np.int32] | None:
    """Give the position of each column among the tested ones, or -1; None if these are neighbours in their order."""
    if columns[-1] - columns[0] + 1 == columns.size and (np.diff(columns) == 1).all():
        return None
    slots = np.full(n_columns, -1, dtype=np.int32)
    slots[columns] = np.arange(columns.size)
    return slots


def widen_indices(matrix: Any, n_values: int) -> Any:
    """Give a CSR or CSC matrix with 64-bit indices if 32 bits cannot count ``n_values`` values.

    To take repeated rows, scipy adds up the lengths of rows in the dtype of the indices, where the sum may wrap.
    """
    if n_values <= _MAX_INT32 or matrix.indices.dtype.itemsize > 4:
        return matrix
    wide = type(matrix)(matrix.shape, dtype=matrix.dtype)
    # Given to the constructor, they would become narrow again.
    wide.data, wide.indices, wide.indptr = matrix.data, matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return wide


def take_rows(matrix: Any, rows: NDArray[np.int64]) -> Any:
    """Give some rows of a CSR or CSC matrix; rows may repeat."""
    n_rows = matrix.shape[0]
    lengths = np.diff(matrix.indptr) if matrix.format == "csr" else np.bincount(matrix.indices, minlength=n_rows)
    return widen_indices(matrix, int(lengths[rows].sum(dtype=np.int64)))[rows]
