"""Sample: some values of a matrix, from here and there or of its first cells, whatever its storage."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scpdex.matrix.chunked._column_blocks import read_values_of_rows, sample_columns
from scpdex.matrix.chunked._row_stream import RowStream
from scpdex.matrix.chunked._stored_matrix import StoredMatrix
from scpdex.matrix.dask._chunk_errors import ChunkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    stream = _stream_rows(matrix, expression.cells, columns)
    return np.concatenate(list(_take_tested(stream, stream.sample_rows(_MAX_VALUES))))


def find_highest(expression: Expression, n_cells: int) -> float:
    """Find the highest value of the first cells in the tested genes, or 0 if that is higher; NaN do not count.

    Raises
    ------
    ChunkError
        A chunk of a dask array could not be computed.
    OSError
        A file could not be read.
    """
    columns, cells = np.unique(expression.genes), expression.cells[:n_cells]
    read = _read_chunks if expression.is_dask else _read_stored
    return max((float(np.fmax.reduce(values, initial=0)) for values in read(expression, columns, cells)), default=0)


def _read_stored(
    expression: Expression, columns: NDArray[np.int64], cells: NDArray[np.int64]
) -> Iterator[NDArray[Any]]:
    """Read the values of cells and genes of a matrix in memory or a file, without most of the zeros."""
    matrix = StoredMatrix.open(expression.matrix, expression.matrix_name)
    if matrix.format == "CSC":
        yield from read_values_of_rows(matrix, columns, cells, _MAX_VALUES)
        return
    stream = _stream_rows(matrix, cells, columns)
    yield from _take_tested(stream, stream.read_all(_MAX_VALUES))


def _stream_rows(matrix: StoredMatrix, cells: NDArray[np.int64], columns: NDArray[np.int64]) -> RowStream:
    """Stream rows as they are, whatever the groups of their cells."""
    return RowStream(matrix, cells, np.empty(0), columns, None, matrix.dtype)


def _take_tested(stream: RowStream, parts: Iterable[sparse.csr_matrix[Any]]) -> Iterator[NDArray[Any]]:
    """Give the values of the tested genes in some rows of the stream."""
    is_tested = np.zeros(stream.matrix.shape[1], dtype=np.bool_)
    is_tested[stream.columns] = True
    for rows in parts:
        yield rows.data[is_tested[rows.indices]]


def _read_chunks(
    expression: Expression, columns: NDArray[np.int64], cells: NDArray[np.int64]
) -> Iterator[NDArray[Any]]:
    """Compute the chunks of cells and genes in turn, and give their values."""
    grid = _ChunkPositions.of(expression, np.unique(cells), columns)
    for i, j in product(*grid.occupied_chunks()):
        yield grid.compute_values(i, j)


def _sample_chunks(expression: Expression, columns: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """Compute a few chunks in turn, and give some values of cells and tested genes in each."""
    grid = _ChunkPositions.of(expression, np.unique(expression.cells), columns)
    # All along the diagonal, so that rows and columns from everywhere are seen.
    cells_and_genes = zip(_spread(grid.rows), _spread(columns), strict=True)
    chunks = {(_chunk_of(row, grid.row_ends), _chunk_of(column, grid.column_ends)) for row, column in cells_and_genes}
    for i, j in sorted(chunks):
        yield grid.compute_values(i, j, _MAX_VALUES)[: _MAX_VALUES // _MAX_CHUNKS]


@dataclass(frozen=True)
class _ChunkPositions:
    """Some rows and columns of a dask array, and where its chunks end."""

    expression: Expression
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    row_ends: NDArray[np.int64]
    """Where each chunk begins along the rows, and the last one's end."""
    column_ends: NDArray[np.int64]

    @classmethod
    def of(cls, expression: Expression, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> _ChunkPositions:
        """Take ascending rows and columns."""
        row_ends, column_ends = (np.r_[0, np.cumsum(sizes)] for sizes in expression.matrix.chunks)
        return cls(expression, rows, columns, row_ends, column_ends)

    def occupied_chunks(self) -> tuple[list[int], list[int]]:
        """Give the numbers of the chunks along rows and along columns that have any of these."""
        along_rows, along_columns = (
            np.unique(np.searchsorted(ends, positions, side="right") - 1).tolist()
            for ends, positions in ((self.row_ends, self.rows), (self.column_ends, self.columns))
        )
        return along_rows, along_columns

    def compute_values(self, i: int, j: int, max_values: int | None = None) -> NDArray[Any]:
        """Compute a chunk, and give the values of its rows and columns, of the first rows if there are too many.

        Raises
        ------
        ChunkError
            The chunk could not be computed.
        """
        try:
            chunk = self.expression.matrix.blocks[i, j].compute()
        except Exception as error:
            raise ChunkError.of(self.expression.matrix_name, error) from error
        rows, columns = (
            positions[(positions >= ends[k]) & (positions < ends[k + 1])] - ends[k]
            for positions, ends, k in ((self.rows, self.row_ends, i), (self.columns, self.column_ends, j))
        )
        if max_values is not None:
            rows = rows[: max(1, max_values // columns.size)]
        # Chunks of kinds that cannot be ranked are refused when they are read.
        is_sparse = sparse.issparse(chunk)
        matrix: Any = sparse.csr_matrix(chunk) if is_sparse else np.asarray(chunk)
        block = matrix[rows][:, columns]
        return np.ravel(block.data if is_sparse else block)


def _spread(positions: NDArray[np.int64]) -> list[int]:
    """Give the first, the last and some positions between them."""
    chosen: list[int] = positions[np.linspace(0, positions.size - 1, _MAX_CHUNKS).astype(int)].tolist()
    return chosen


def _chunk_of(position: int, ends: NDArray[np.int64]) -> int:
    """Give the number of the chunk that has a row or column."""
    return int(np.searchsorted(ends, position, side="right")) - 1
