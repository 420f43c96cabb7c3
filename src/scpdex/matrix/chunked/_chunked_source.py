"""Chunked source: the compared cells and tested genes of a matrix that is read in parts, by columns or by rows."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from scpdex.matrix._compared_cells import ComparedCells
from scpdex.matrix._normalization import take_median
from scpdex.matrix._source import Source
from scpdex.matrix.chunked._column_blocks import ColumnBlocks, DenseBlocks, probe_columns
from scpdex.matrix.chunked._column_normalizer import ColumnNormalizer
from scpdex.matrix.chunked._row_stream import RowStream
from scpdex.matrix.chunked._stored_matrix import StoredMatrix
from scpdex.matrix.memory._sparse import NotInPlaceError, RowSource
from scpdex.plan.matrix_info import ChunkedMatrix

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix._expression import Expression
    from scpdex.matrix._gene_block import GeneBlock
    from scpdex.plan.plan import Plan

# So many values are looked at to tell whether they are counts.
_PROBED_VALUES = 1 << 16


@dataclass(frozen=True)
class ChunkedSource(Source):
    """The compared cells and tested genes of a matrix that is read in parts."""

    rows: RowStream
    """The compared cells as a stream."""
    design: Design
    cells: NDArray[np.int64]
    """Row of each cell of the object, compared or not."""
    normalizer: ColumnNormalizer | None
    """Normalizes the columns of CSC; None leaves values as they are, or rows are normalized."""
    info: ChunkedMatrix
    files: ExitStack = field(default_factory=ExitStack)
    """Closes the files that were opened for this source."""

    @classmethod
    def open(cls, expression: Expression, design: Design, columns: NDArray[np.int64]) -> ChunkedSource:
        """Look at the matrix: form, size, and whether it holds counts."""
        matrix = StoredMatrix.open(expression.matrix, expression.matrix_name)
        normalization = expression.normalization
        stream = RowStream.of(matrix, design, expression.cells, columns, normalization)
        rows = stream.rows
        n_rows, chunk_of_gene, normalizer = matrix.shape[0], None, None
        takes_median = normalization is not None and normalization.takes_median
        if matrix.format == "CSC":
            nonzeros, are_counts = probe_columns(matrix, rows, columns, normalization, _PROBED_VALUES)
            expected_nonzeros = nonzeros
            n_values = int(nonzeros.sum())
            if normalization is not None:
                counted_rows = expression.cells if takes_median else rows
                normalizer = ColumnNormalizer(matrix, counted_rows, normalization, matrix.dtype)
        else:
            nonzeros = np.full(columns.size, rows.size, dtype=np.int64)
            expected_nonzeros, are_counts = stream.probe(_PROBED_VALUES)
            n_values = stream.n_values
        if matrix.format == "dense":
            spanned = expression.cells if takes_median else rows
            n_rows = int(spanned.max() - spanned.min()) + 1
            width = matrix.chunk_shape[1]
            chunk_of_gene = columns // width if width > 1 else None
        if takes_median:
            n_rows = max(n_rows, expression.cells.size)
        info = ChunkedMatrix(
            format=matrix.format,
            dtype=f"{matrix.dtype}" if normalization is None else f"{matrix.dtype} counts",
            place=matrix.place,
            n_bytes=matrix.n_bytes,
            n_cells=rows.size,
            key_dtype=stream.key_dtype,
            max_nonzeros=nonzeros,
            expected_nonzeros=expected_nonzeros,
            n_values=n_values,
            n_spanned_rows=n_rows,
            bytes_per_value=matrix.bytes_per_value,
            are_counts=are_counts,
            may_load=expression.on_disk or not expression.chunked,
            reads_columns=matrix.format == "CSC" or (matrix.format == "dense" and normalization is None),
            reads_rows=matrix.format != "CSC",
            reorders_cells=not stream.in_row_order,
            chunk_of_gene=chunk_of_gene,
        )
        return cls(stream, design, expression.cells, normalizer, info)

    def find_median(self, plan: Plan, pool: Executor, bar: Any) -> Self:
        """Read all cells of the object once, and give the source whose counts are scaled to their median."""
        cells = self.normalizer or replace(self.rows, rows=self.cells)
        median = take_median(cells.sum_library_sizes(plan.values_per_piece, pool, plan.n_threads, bar))
        normalizer = None if self.normalizer is None else self.normalizer.with_median(median)
        return replace(self, rows=self.rows.with_median(median), normalizer=normalizer)

    def close(self) -> None:
        """Close the files that were opened for this source."""
        self.files.close()

    def load(self, plan: Plan, pool: Executor, bar: Any) -> RowSource:
        """Load the rows of the compared cells into memory."""
        matrix = self.rows.load(plan.values_per_piece, pool, plan.n_threads, bar)
        row_of_cell = np.cumsum(self.design.codes >= 0) - 1
        cells = ComparedCells.of(self.design, row_of_cell)
        try:
            return RowSource.open(matrix, cells, self.rows.columns, pool, plan.n_threads)
        except NotInPlaceError:
            matrix.sum_duplicates()
            return RowSource.open(matrix, cells, self.rows.columns, pool, plan.n_threads)

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn; each is read while the one before it is ranked, and overwrites it."""
        rows, cells = self.rows, ComparedCells.of(self.design, self.cells)
        if rows.matrix.format == "dense":
            return DenseBlocks(rows.matrix, cells, rows.columns).blocks(plan, pool)
        max_nonzeros = self.info.max_nonzeros
        return ColumnBlocks(rows.matrix, cells, rows.columns, max_nonzeros, self.normalizer).blocks(plan, pool)
