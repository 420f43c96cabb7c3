"""Columns: dense and CSC matrices that are read a block of columns at a time."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.transpose import add_columns
from scpdex.machine.threads import read_ahead
from scpdex.matrix._gene_block import GeneBlock, Room
from scpdex.matrix._normalize import normalized, normalized_dtype
from scpdex.matrix._values import refuse_inexact
from scpdex.matrix.chunked._spans import cut_into_runs, decode_spans, read_spans
from scpdex.matrix.memory._dense import gather_block
from scpdex.matrix.memory._sparse import ColumnGatherer
from scpdex.plan.gene_blocks import cut

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from concurrent.futures import Executor

    from numpy.typing import NDArray
    from scipy import sparse

    from scpdex.matrix._compared_cells import ComparedCells
    from scpdex.matrix._normalize import Normalization
    from scpdex.matrix.chunked._spans import StoredRun
    from scpdex.matrix.chunked._stored_matrix import StoredMatrix
    from scpdex.plan.plan import Plan

# Dense columns with so many others between them are read together, so many bytes of rows at a time.
_GAP_OF_COLUMNS = 8
_BYTES_OF_ROWS = 1 << 20
_VALUES_AT_A_TIME = 1 << 18
# Places where values are looked at before the work.
_PROBES = 8


@dataclass(frozen=True)
class DenseBlocks:
    """Compared cells and tested columns of a dense matrix that is read in blocks of columns."""

    matrix: StoredMatrix
    cells: ComparedCells
    columns: NDArray[np.int64]

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, each overwriting the one before it."""
        room = Room.of(plan, self.cells.group_stops.size)
        # Blocks begin at the first row that is compared.
        cells = replace(self.cells, rows=self.cells.rows - self.cells.rows.min())
        with closing(read_ahead(self._read, plan.blocks)) as values_of_blocks:
            for genes, values in zip(plan.blocks, values_of_blocks, strict=True):
                yield gather_block(values, cells, np.arange(len(genes)), genes, room, pool, plan.n_threads)
        self.matrix.refuse_changed()

    def _read(self, genes: range) -> NDArray[Any]:
        columns = self.columns[genes.start : genes.stop]
        first, stop = int(self.cells.rows.min()), int(self.cells.rows.max()) + 1
        values = np.empty((stop - first, columns.size), dtype=self.matrix.dtype)
        height, width = self.matrix.chunk_shape
        for run in cut_into_runs(columns, columns + 1, max(width, _GAP_OF_COLUMNS), self.matrix.shape[1]):
            some = columns[run]
            span = slice(int(some[0]), int(some[-1]) + 1)
            of_row = (span.stop - span.start) * values.itemsize
            # Chunks are read whole; those that lie side by side are read once.
            rows = max(1, _BYTES_OF_ROWS // of_row // height) * height
            if span.stop - span.start == some.size:
                rows = stop - first
            for part in cut(range(first, stop), rows):
                block = self.matrix.block(slice(part.start, part.stop), span)
                values[part.start - first : part.stop - first, run] = block[:, some - some[0]]
        refuse_inexact(values, self.matrix.where, rows=self.cells.rows - first)
        return values


@dataclass(frozen=True)
class ColumnBlocks:
    """Compared cells and tested columns of a CSC matrix that is read in runs of columns."""

    matrix: StoredMatrix
    cells: ComparedCells
    columns: NDArray[np.int64]
    max_nonzeros: NDArray[np.int64]
    """For each tested gene, the most non-zeros it can have."""
    normalization: Normalization | None

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, each overwriting the one before it."""
        scale = None if self.normalization is None else self.normalization.scale(self._totals(self.normalization, pool))
        gatherer = ColumnGatherer.of(self.cells, self.matrix.shape[0])
        room = Room.of(plan, self.cells.group_stops.size)
        columns = (self.columns[genes.start : genes.stop] for genes in plan.blocks)
        with closing(read_ahead(self._read, columns)) as columns_of_blocks:
            for genes, runs in zip(plan.blocks, columns_of_blocks, strict=True):
                matrix = self._decode(runs, pool)
                if scale is None:
                    refuse_inexact(matrix, self.matrix.where, rows=self.cells.rows)
                else:
                    matrix.data = normalized(matrix.data, scale[matrix.indices])
                yield gatherer.gather(
                    matrix, np.arange(len(genes)), genes, self.max_nonzeros, room, pool, plan.n_threads
                )
        self.matrix.refuse_changed()

    def _totals(self, normalization: Normalization, pool: Executor) -> NDArray[Any]:
        """Add up the values of each row, gene by gene of the object.

        Raises
        ------
        ValueError
            Compared cells have values that cannot be counts.
        """
        n_rows, n_columns = self.matrix.shape
        totals, compared = np.zeros(n_rows), np.zeros(n_rows, dtype=np.bool_)
        compared[self.cells.rows] = True
        dtype = normalized_dtype(self.matrix.dtype)
        columns = normalization.library_columns(n_columns)
        ends = np.cumsum(np.diff(self.matrix.indptr)[columns])
        begins = np.r_[0, ends[:-1]]
        parts = [
            np.unique(columns[part], return_inverse=True) for part in cut_into_runs(begins, ends, 0, _VALUES_AT_A_TIME)
        ]
        with closing(read_ahead(self._read, (of_part for of_part, _ in parts))) as columns_of_parts:
            for runs, (of_part, places) in zip(columns_of_parts, parts, strict=True):
                matrix = decode_spans(self.matrix, runs, pool)
                if matrix.nnz and not (matrix.data.min() >= 0 and matrix.data.max() < np.inf):
                    matters = compared[matrix.indices]
                    of_values = np.repeat(of_part, np.diff(matrix.indptr))
                    normalization.refuse_improper(matrix.data[matters], of_values[matters], n_columns)
                with np.errstate(over="ignore", invalid="ignore"):
                    add_columns(matrix.data.astype(dtype, copy=False), matrix.indices, matrix.indptr, places, totals)
        with np.errstate(over="ignore", invalid="ignore"):
            totals = totals.astype(dtype)
        normalization.refuse_infinite(totals[compared])
        return totals

    def _read(self, columns: NDArray[np.int64]) -> list[StoredRun]:
        """Read neighbouring columns together, in the form that they have in the file."""
        return read_spans(self.matrix, columns, 0, int(self.matrix.indptr[-1]))

    def _decode(self, runs: list[StoredRun], pool: Executor) -> sparse.csc_matrix[Any]:
        """Give the columns that were read as CSC with sorted rows, none repeated."""
        whole: sparse.csc_matrix[Any] = decode_spans(self.matrix, runs, pool)
        if not whole.has_canonical_format:
            whole = whole.copy()
            whole.sum_duplicates()
        return whole


def some_of_columns(
    matrix: StoredMatrix, columns: NDArray[np.int64], rows: NDArray[np.int64], n_values: int
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Give about so many stored values of CSC columns here and there, with their column: those of some rows."""
    matters = np.zeros(matrix.shape[0], dtype=np.bool_)
    matters[rows] = True
    stored = columns[matrix.indptr[columns] < matrix.indptr[columns + 1]]
    ends = np.cumsum(np.diff(matrix.indptr)[stored])
    per_place = max(1, n_values // _PROBES)
    first = np.linspace(0, ends[-1] if stored.size else 0, _PROBES + 1)[:-1]
    for place in np.unique(np.searchsorted(ends, first, side="right")).tolist():
        left = per_place
        for column in stored[place:].tolist():
            start, stop = int(matrix.indptr[column]), int(matrix.indptr[column + 1])
            values, indices = matrix.decode(matrix.run(start, min(stop, start + left)))
            yield column, values[matters[indices]]
            left -= stop - start
            if left <= 0:
                break
