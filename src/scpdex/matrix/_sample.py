"""Sample: some values of a matrix, from here and there, whatever its storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scpdex.matrix.chunked._column_blocks import sample_columns
from scpdex.matrix.chunked._row_stream import RowStream
from scpdex.matrix.chunked._stored_matrix import StoredMatrix
from scpdex.matrix.dask._chunk_errors import ChunkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scpdex.matrix._expression import Expression

_MAX_VALUES = 1 << 20
_MAX_CHUNKS = 3


def sample_values(expression: Expression) -> NDArray[Any]:
    """Give up to about a million values of cells and tested genes from here and there, without most of the zeros.

    Raises
    ------
    ChunkError
        A chunk of a dask array could not be computed.
    OSError
        A file could not be read.
    """
    columns = np.unique(expression.genes)
    if expression.is_dask:
        return np.concatenate(list(_sample_chunks(expression, columns)))
    matrix = StoredMatrix.open(expression.matrix, expression.matrix_name)
    if matrix.format == "CSC":
        parts = sample_columns(matrix, columns, expression.cells, _MAX_VALUES)
        return np.concatenate([np.empty(0), *(values for _, values in parts)])
    stream = RowStream(matrix, expression.cells, np.empty(0), columns, None, matrix.dtype)
    is_tested = np.zeros(matrix.shape[1], dtype=np.bool_)
    is_tested[columns] = True
    return np.concatenate([rows.data[is_tested[rows.indices]] for rows in stream.sample_rows(_MAX_VALUES)])


def _sample_chunks(expression: Expression, columns: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """Compute a few chunks in turn, and give some values of cells and tested genes in each."""
    array = expression.matrix
    rows = np.unique(expression.cells)
    row_ends, column_ends = (np.r_[0, np.cumsum(sizes)] for sizes in array.chunks)
    # All along the diagonal, so that rows and columns from everywhere are seen.
    cells_and_genes = zip(_spread(rows), _spread(columns), strict=True)
    chunks = {(_chunk_of(row, row_ends), _chunk_of(column, column_ends)) for row, column in cells_and_genes}
    for i, j in sorted(chunks):
        try:
            chunk = array.blocks[i, j].compute()
        except Exception as error:
            raise ChunkError.of(expression.matrix_name, error) from error
        chunk_rows = rows[(rows >= row_ends[i]) & (rows < row_ends[i + 1])] - row_ends[i]
        chunk_columns = columns[(columns >= column_ends[j]) & (columns < column_ends[j + 1])] - column_ends[j]
        # Chunks of kinds that cannot be ranked are refused when they are read.
        is_sparse = sparse.issparse(chunk)
        matrix: Any = sparse.csr_matrix(chunk) if is_sparse else np.asarray(chunk)
        block = matrix[chunk_rows[: max(1, _MAX_VALUES // chunk_columns.size)]][:, chunk_columns]
        yield np.ravel(block.data if is_sparse else block)[: _MAX_VALUES // _MAX_CHUNKS]


def _spread(positions: NDArray[np.int64]) -> list[int]:
    """Give the first, the last and some positions between them."""
    chosen: list[int] = positions[np.linspace(0, positions.size - 1, _MAX_CHUNKS).astype(int)].tolist()
    return chosen


def _chunk_of(position: int, ends: NDArray[np.int64]) -> int:
    """Give the number of the chunk that has a row or column."""
    return int(np.searchsorted(ends, position, side="right")) - 1
