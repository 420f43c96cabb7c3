"""Sample: some of the values of a matrix, from here and there, whatever its storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scpdex.matrix.chunked._column_blocks import some_of_columns
from scpdex.matrix.chunked._row_stream import RowStream
from scpdex.matrix.chunked._stored_matrix import StoredMatrix
from scpdex.matrix.dask._chunk_errors import ChunkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scpdex.matrix._expression import Expression

_MOST_VALUES = 1 << 20
_MOST_CHUNKS = 3


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
        return np.concatenate(list(_some_of_chunks(expression, columns)))
    matrix = StoredMatrix.open(expression.matrix, expression.where)
    if matrix.format == "CSC":
        parts = some_of_columns(matrix, columns, expression.cells, _MOST_VALUES)
        return np.concatenate([np.empty(0), *(values for _, values in parts)])
    stream = RowStream(matrix, expression.cells, np.empty(0), columns, None)
    tested = np.zeros(matrix.shape[1], dtype=np.bool_)
    tested[columns] = True
    return np.concatenate([rows.data[tested[rows.indices]] for rows in stream.sample_rows(_MOST_VALUES)])


def _some_of_chunks(expression: Expression, columns: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """Compute a few chunks in turn, and give some of the values of cells and tested genes in each."""
    array = expression.matrix
    rows = np.unique(expression.cells)
    row_ends, column_ends = (np.r_[0, np.cumsum(sizes)] for sizes in array.chunks)
    # All along the diagonal, so that rows and columns from everywhere are seen.
    places = zip(*(np.linspace(0, which.size - 1, _MOST_CHUNKS).astype(int) for which in (rows, columns)), strict=True)
    chunks = {
        tuple(int(np.searchsorted(ends, where, side="right")) - 1 for ends, where in zip(*both, strict=True))
        for both in (((row_ends, column_ends), (rows[i], columns[j])) for i, j in places)
    }
    for i, j in sorted(chunks):
        try:
            chunk = array.blocks[i, j].compute()
        except Exception as error:
            raise ChunkError.of(expression.where, error) from error
        of_rows = rows[(rows >= row_ends[i]) & (rows < row_ends[i + 1])] - row_ends[i]
        of_columns = columns[(columns >= column_ends[j]) & (columns < column_ends[j + 1])] - column_ends[j]
        # Chunks of other kinds are refused once they are read.
        is_sparse = sparse.issparse(chunk)
        matrix: Any = sparse.csr_matrix(chunk) if is_sparse else np.asarray(chunk)
        some = matrix[of_rows[: max(1, _MOST_VALUES // of_columns.size)]][:, of_columns]
        yield np.ravel(some.data if is_sparse else some)[: _MOST_VALUES // _MOST_CHUNKS]
