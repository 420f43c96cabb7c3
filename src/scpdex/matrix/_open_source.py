"""Open: from an expression matrix to its gene source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scpdex.matrix._compared_cells import ComparedCells
from scpdex.matrix.chunked._chunked_source import ChunkedSource
from scpdex.matrix.memory._dense import DenseSource
from scpdex.matrix.memory._sparse import ColumnSource, RowSource

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix._expression import Expression
    from scpdex.matrix._source import Source


def open_source(
    expression: Expression, design: Design, pool: Executor, n_threads: int
) -> tuple[Source, NDArray[np.int64] | None]:
    """Open the matrix for the compared cells and the tested genes.

    Returns the source, which has its genes in column order and each once, and for each tested gene its position
    there, or None where that is the order of the results as well.
    """
    columns, position = np.unique(expression.genes, return_inverse=True)
    in_order = position.size == columns.size and bool((position == np.arange(columns.size)).all())
    position_or_none = None if in_order else position
    if expression.is_dask:
        # dask need not be there for matrices of other kinds.
        from scpdex.matrix.dask._dask_source import DaskSource  # noqa: PLC0415

        return DaskSource.open(expression, design, columns), position_or_none
    if expression.chunked:
        return ChunkedSource.open(expression, design, columns), position_or_none
    cells = ComparedCells.of(design, expression.cells)
    source: Source
    if isinstance(expression.matrix, np.ndarray):
        source = DenseSource.open(expression.matrix, cells, columns)
    else:
        source_class = RowSource if expression.matrix.format == "csr" else ColumnSource
        source = source_class.open(expression.matrix, cells, columns, pool, n_threads)
    return source, position_or_none
