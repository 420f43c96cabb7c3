"""Open a source: from the selected expression matrix to what gives its values gene by gene."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.matrix._compared_cells import ComparedCells
from scpdex.matrix._rankable_values import native_dtype
from scpdex.matrix.chunked._chunked_source import ChunkedSource
from scpdex.matrix.joined._joined_source import JoinedSource
from scpdex.matrix.memory._dense import DenseSource
from scpdex.matrix.memory._sparse import ColumnSource, NotInPlaceError, RowSource

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

    Returns
    -------
    The source, which has its genes in the order of the columns, each once; and the position of each tested gene in the
    source, or None if that is the order of the results too.
    """
    columns, positions = np.unique(expression.genes, return_inverse=True)
    source = _open(expression, design, columns, pool, n_threads)
    return source, None if np.array_equal(positions, np.arange(columns.size)) else positions


def _open(expression: Expression, design: Design, columns: NDArray[np.int64], pool: Executor, n_threads: int) -> Source:
    if expression.is_dask:
        return _open_dask(expression, design, columns)
    if expression.is_joined:
        return JoinedSource.open(expression, design, columns)
    if expression.chunked:
        return ChunkedSource.open(expression, design, columns)
    matrix, cells = expression.matrix, ComparedCells.of(design, expression.cells)
    try:
        return _open_in_place(matrix, cells, columns, pool, n_threads)
    except NotInPlaceError:
        return ChunkedSource.open(expression, design, columns)


def _open_dask(expression: Expression, design: Design, columns: NDArray[np.int64]) -> Source:
    """Open a dask array, or the file behind it if dask would do nothing but read that on this machine."""
    # These import dask, which other matrices do not need.
    from scpdex.matrix.dask._anndata_reader import open_stored_matrix  # noqa: PLC0415
    from scpdex.matrix.dask._dask_source import DaskSource  # noqa: PLC0415

    with ExitStack() as files:
        stored_matrix = open_stored_matrix(expression.matrix, files)
        if stored_matrix is not None:
            source = ChunkedSource.open(replace(expression, matrix=stored_matrix), design, columns)
            return replace(source, files=files.pop_all())
    return DaskSource.open(expression, design, columns)


def _open_in_place(
    matrix: Any, cells: ComparedCells, columns: NDArray[np.int64], pool: Executor, n_threads: int
) -> Source:
    """Open a matrix in memory whose values are gathered from where they are.

    Raises
    ------
    NotInPlaceError
        Kernels need a copy with other numbers, or in another order: it has to be read in parts.
    """
    if matrix.dtype != native_dtype(matrix.dtype):
        raise NotInPlaceError
    if isinstance(matrix, np.ndarray):
        return DenseSource.open(matrix, cells, columns)
    if matrix.format == "csr":
        return RowSource.open(matrix, cells, columns, pool, n_threads)
    return ColumnSource.open(matrix, cells, columns, pool, n_threads)
