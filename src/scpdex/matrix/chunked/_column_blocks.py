"""Column blocks: dense and CSC matrices that are read a block of columns at a time."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.machine.threads import read_ahead
from scpdex.matrix._gene_block import BlockBuffers, GeneBlock
from scpdex.matrix._rankable_values import looks_like_counts, refuse_inexact
from scpdex.matrix.chunked._spans import cut_into_runs, decode_spans, read_columns
from scpdex.matrix.memory._dense import gather_block
from scpdex.matrix.memory._sparse import ColumnGatherer
from scpdex.plan.gene_blocks import cut_range

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from concurrent.futures import Executor

    from numpy.typing import NDArray
    from scipy import sparse

    from scpdex.matrix._compared_cells import ComparedCells
    from scpdex.matrix._normalization import Normalization
    from scpdex.matrix.chunked._column_normalizer import ColumnNormalizer
    from scpdex.matrix.chunked._spans import StoredRun
    from scpdex.matrix.chunked._stored_matrix import StoredMatrix
    from scpdex.plan.plan import Plan

# Dense: tested columns with up to so many others between them are read together, so many bytes of rows at a time.
_MAX_GAP_COLUMNS = 8
_BYTES_PER_READ = 1 << 20
# Values are looked at in so many places before the work.
_PROBED_PLACES = 8


@dataclass(frozen=True)
class DenseBlocks:
    """The compared cells and tested genes of a dense matrix that is read in blocks of columns."""

    matrix: StoredMatrix
    cells: ComparedCells
    columns: NDArray[np.int64]
    """Column of each tested gene, ascending."""

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, each overwriting the one before it."""
        buffers = BlockBuffers.of(plan, self.cells.group_stops.size)
        # Blocks that are read begin with the first compared row.
        cells = replace(self.cells, rows=self.cells.rows - self.cells.rows.min())
        with closing(read_ahead(self._read, plan.blocks)) as values_of_blocks:
            for genes in plan.blocks:
                # No name keeps the values while the block is ranked and others are read.
                yield gather_block(
                    next(values_of_blocks), cells, np.arange(len(genes)), genes, buffers, pool, plan.n_threads
                )
        self.matrix.refuse_changed()

    def _read(self, genes: range) -> NDArray[Any]:
        """Read the columns of some tested genes, from the first compared row to the last."""
        columns = self.columns[genes.start : genes.stop]
        first, stop = int(self.cells.rows.min()), int(self.cells.rows.max()) + 1
        values = np.empty((stop - first, columns.size), dtype=self.matrix.dtype)
        height, width = self.matrix.chunk_shape
        for run in cut_into_runs(columns, columns + 1, max(width, _MAX_GAP_COLUMNS), self.matrix.shape[1]):
            columns_of_run = columns[run]
            span = slice(int(columns_of_run[0]), int(columns_of_run[-1]) + 1)
            n_columns = span.stop - span.start
            has_others = n_columns > columns_of_run.size
            # All rows at once if there are no columns between; else whole chunks at a time, so that none is read twice.
            n_rows = stop - first
            if has_others:
                n_rows = max(1, _BYTES_PER_READ // (n_columns * values.itemsize) // height) * height
            for part in cut_range(range(first, stop), n_rows):
                block = self.matrix.read_block(slice(part.start, part.stop), span)
                block = block[:, columns_of_run - columns_of_run[0]] if has_others else block
                values[part.start - first : part.stop - first, run] = block
        refuse_inexact(values, self.matrix.matrix_name, rows=self.cells.rows - first)
        return values


@dataclass(frozen=True)
class ColumnBlocks:
    """The compared cells and tested genes of a CSC matrix that is read in runs of columns."""

    matrix: StoredMatrix
    cells: ComparedCells
    columns: NDArray[np.int64]
    """Column of each tested gene, ascending."""
    max_nonzeros: NDArray[np.int64]
    """For each tested gene, the most non-zeros it can have."""
    normalizer: ColumnNormalizer | None
    """None leaves values as they are."""

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, each overwriting the one before it."""
        if self.normalizer is not None:
            self.normalizer.prepare(pool)
        gatherer = ColumnGatherer.of(self.cells, self.matrix.shape[0])
        buffers = BlockBuffers.of(plan, self.cells.group_stops.size)
        columns = [self.columns[genes.start : genes.stop] for genes in plan.blocks]
        with closing(read_ahead(partial(read_columns, self.matrix), columns)) as columns_read:
            for genes, block_columns, runs in zip(plan.blocks, columns, columns_read, strict=True):
                matrix = decode_canonical(self.matrix, runs, pool)
                if self.normalizer is None:
                    refuse_inexact(matrix, self.matrix.matrix_name, rows=self.cells.rows)
                else:
                    matrix.data = self.normalizer.normalize(matrix, block_columns)
                yield gatherer.gather(
                    matrix, np.arange(len(genes)), genes, self.max_nonzeros, buffers, pool, plan.n_threads
                )
        self.matrix.refuse_changed()


def decode_canonical(matrix: StoredMatrix, runs: list[StoredRun], pool: Executor | None) -> sparse.csc_matrix[Any]:
    """Give the columns that were read as CSC with sorted rows, none repeated."""
    columns: sparse.csc_matrix[Any] = decode_spans(matrix, runs, pool)
    if not columns.has_canonical_format:
        # In memory, the arrays are the user's.
        columns = columns.copy()
        columns.sum_duplicates()
    return columns


def probe_columns(
    matrix: StoredMatrix,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    normalization: Normalization | None,
    n_values: int,
) -> tuple[NDArray[np.int64], bool]:
    """Look at about ``n_values`` stored values of the compared ``rows`` of a CSC matrix here and there.

    Give for each of the tested ``columns`` the most non-zero values that it can have, and whether the values that have
    an effect on results look like counts.
    """
    n_columns, are_counts = matrix.shape[1], True
    relevant = np.sort(columns) if normalization is None else normalization.sorted_library_columns(n_columns)
    for column, values in sample_columns(matrix, relevant, rows, n_values):
        are_counts &= looks_like_counts(values)
        if normalization is not None:
            normalization.refuse_improper(values, np.full(values.size, column), n_columns)
    return np.diff(matrix.indptr)[columns] * int(np.bincount(rows).max()), are_counts


def sample_columns(
    matrix: StoredMatrix, columns: NDArray[np.int64], rows: NDArray[np.int64], n_values: int
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Read about ``n_values`` stored values of CSC columns here and there; give each column and those of ``rows``."""
    is_wanted = np.zeros(matrix.shape[0], dtype=np.bool_)
    is_wanted[rows] = True
    columns = columns[matrix.indptr[columns] < matrix.indptr[columns + 1]]
    ends = np.cumsum(np.diff(matrix.indptr)[columns])
    values_per_place = max(1, n_values // _PROBED_PLACES)
    targets = np.linspace(0, ends[-1] if columns.size else 0, _PROBED_PLACES + 1)[:-1]
    for first in np.unique(np.searchsorted(ends, targets, side="right")).tolist():
        n_left = values_per_place
        for column in columns[first:].tolist():
            start, stop = int(matrix.indptr[column]), int(matrix.indptr[column + 1])
            values, indices = matrix.decode_run(matrix.read_run(start, min(stop, start + n_left)))
            yield column, values[is_wanted[indices]]
            n_left -= stop - start
            if n_left <= 0:
                break


def read_values_of_rows(
    matrix: StoredMatrix, columns: NDArray[np.int64], rows: NDArray[np.int64], n_values: int
) -> Iterator[NDArray[Any]]:
    """Read all CSC ``columns``, about ``n_values`` stored values at a time, and give those of ``rows``."""
    is_wanted = np.zeros(matrix.shape[0], dtype=np.bool_)
    is_wanted[rows] = True
    for run in cut_into_runs(matrix.indptr[columns], matrix.indptr[columns + 1], 0, n_values):
        part = decode_spans(matrix, read_columns(matrix, columns[run]))
        yield part.data[is_wanted[part.indices]]
