"""Chunk reader: rows and gene-major pieces of chunks that dask has computed, on whichever machine these are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scpdex.kernels.keys import key_dtype
from scpdex.matrix._rankable_values import are_count_like, native, refuse_dtype, refuse_inexact
from scpdex.matrix.chunked._gene_major_pieces import Piece, to_canonical_csr, turn_gene_major
from scpdex.matrix.dask._chunk_errors import ChunkKindError, ChunkValueError
from scpdex.matrix.memory._sparse import take_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scpdex.matrix._normalization import Normalization
    from scpdex.matrix.dask._chunk_grid import ChunkPart

# Dense rows become CSR so many values at a time, to spare memory.
_VALUES_AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class ChunkSample:
    """Description of some rows of an array, from which all rows are estimated."""

    format: str
    """``"dense"``, ``"CSR"`` or ``"CSC"``."""
    dtype: np.dtype[Any]
    n_rows: int
    n_values: int
    """Stored values of these rows, in all sampled columns."""
    bytes_per_value: int
    n_nonzero: NDArray[np.int64]
    """Non-zero values of each sampled column."""
    rows_are_counts: NDArray[np.bool_]
    """For each of these rows, whether its values look like counts, in columns that have an effect on results."""


@dataclass(frozen=True)
class ChunkReader:
    """Makes rows and pieces of computed chunks."""

    matrix_name: str
    """What the user calls the array, for messages."""
    columns: NDArray[np.int64]
    """Column of each tested gene."""
    normalization: Normalization | None
    """How counts are normalized; None leaves values as they are."""
    first_column: int
    """First column of the first stripe, which is sampled."""
    dtype: np.dtype[Any] | None = None
    """Dtype of all chunks; None before any was sampled."""

    @property
    def key_dtype(self) -> np.dtype[Any]:
        """Dtype of the keys of the values."""
        assert self.dtype is not None, "chunks are sampled before pieces are made of them"  # noqa: S101
        return key_dtype(self.dtype if self.normalization is None else self.normalization.normalized_dtype(self.dtype))

    def describe(self, chunks: list[list[Any]], shapes: list[list[tuple[int, int]]]) -> ChunkSample:
        """Describe neighbouring chunks of the first stripe, which must have these shapes."""
        matrix = self._merge(chunks, shapes)
        is_dense = isinstance(matrix, np.ndarray)
        values = matrix if is_dense else matrix.data
        return ChunkSample(
            format="dense" if is_dense else matrix.format.upper(),
            dtype=values.dtype,
            n_rows=matrix.shape[0],
            n_values=values.size,
            bytes_per_value=values.itemsize + (0 if is_dense else matrix.indices.itemsize),
            n_nonzero=_count_nonzero(matrix),
            rows_are_counts=self._find_rows_of_counts(matrix),
        )

    def _find_rows_of_counts(self, matrix: Any) -> NDArray[np.bool_]:
        """Tell for each row whether its values look like counts, in columns that are tested or added up."""
        n_rows, n_columns = matrix.shape
        columns = self.columns
        if self.normalization is not None:
            columns = self.normalization.sorted_library_columns(n_columns)
        columns = columns[(columns >= self.first_column) & (columns < self.first_column + n_columns)]
        is_relevant = np.zeros(n_columns, dtype=np.bool_)
        is_relevant[columns - self.first_column] = True
        if isinstance(matrix, np.ndarray):
            return np.asarray((are_count_like(matrix) | ~is_relevant).all(axis=1))
        are_counts = np.ones(n_rows, dtype=np.bool_)
        places = np.flatnonzero(~are_count_like(matrix.data))
        majors, minors = np.searchsorted(matrix.indptr, places, side="right") - 1, matrix.indices[places]
        rows, columns = (majors, minors) if matrix.format == "csr" else (minors, majors)
        are_counts[rows[is_relevant[columns]]] = False
        return are_counts

    def piece(self, chunks: list[list[Any]], part: ChunkPart, codes: NDArray[Any], n_genes: int) -> Piece:
        """Turn the cells of a part gene-major; genes outside the part have no values in the piece.

        Raises
        ------
        ChunkKindError, TypeError
            A chunk is of a kind, shape or dtype that cannot be ranked.
        ChunkValueError
            A chunk has values that cannot be ranked.
        """
        try:
            matrices = self._take_cells(chunks, part)
            blocks = [rows for matrix in matrices for rows in self._to_csr(matrix, part.first_column)]
        except ValueError as error:
            raise ChunkValueError(*error.args) from error
        columns = self.columns[part.genes.start : part.genes.stop] - part.first_column
        piece = turn_gene_major(blocks, codes, columns, self.key_dtype)
        return piece.within(slice(part.genes.start, part.genes.stop), n_genes, n_cells=piece.n_cells)

    def sum_library_sizes(self, chunks: list[list[Any]], part: ChunkPart) -> NDArray[Any]:
        """Add up the counts of each cell of a part, over the genes of the object.

        Raises
        ------
        ChunkKindError, TypeError
            A chunk is of a kind, shape or dtype that cannot be ranked.
        ChunkValueError
            A chunk has values that cannot be counts.
        """
        assert self.normalization is not None, "the rule asks for library sizes"  # noqa: S101
        try:
            sizes = [
                self.normalization.part(part.first_column, matrix.shape[1]).sum_library_sizes(matrix)
                for matrix in self._take_cells(chunks, part)
            ]
        except ValueError as error:
            raise ChunkValueError(*error.args) from error
        return np.concatenate(sizes)

    def _take_cells(self, chunks: list[list[Any]], part: ChunkPart) -> Iterator[Any]:
        """Give the compared cells of each row of chunks; the rows of chunks are not copied into one matrix."""
        row_ends = np.cumsum([0, *(shapes[0][0] for shapes in part.shapes)])
        for i, (chunk_row, shapes) in enumerate(zip(chunks, part.shapes, strict=True)):
            matrix = self._merge([chunk_row], [shapes])
            if part.rows is None:
                yield matrix
                continue
            first, stop = np.searchsorted(part.rows, row_ends[i : i + 2])
            rows = part.rows[first:stop] - row_ends[i]
            yield matrix[rows] if isinstance(matrix, np.ndarray) else take_rows(matrix, rows)

    def _to_csr(self, matrix: Any, first_column: int) -> Iterator[sparse.csr_matrix[Any]]:
        """Give rows as CSR with sorted columns, none repeated, and normalized if there is a normalization.

        Dense rows are given in blocks.
        """
        normalization = None
        if self.normalization is not None:
            normalization = self.normalization.part(first_column, matrix.shape[1])
        else:
            refuse_inexact(matrix, self.matrix_name, columns=self.columns - first_column)
        if not isinstance(matrix, np.ndarray):
            yield to_canonical_csr(matrix, normalization)
            return
        rows_at_a_time = max(1, _VALUES_AT_A_TIME // matrix.shape[1])
        for first in range(0, matrix.shape[0], rows_at_a_time):
            block = matrix[first : first + rows_at_a_time]
            yield sparse.csr_matrix(block if normalization is None else normalization.normalize_dense(block))

    def _merge(self, chunks: list[list[Any]], shapes: list[list[tuple[int, int]]]) -> Any:
        """Join chunks, given row by row, to one matrix."""
        rows = [list(map(self._fit_chunk, *chunk_row)) for chunk_row in zip(chunks, shapes, strict=True)]
        if len(rows) == 1 and len(rows[0]) == 1:
            return rows[0][0]
        if all(isinstance(chunk, np.ndarray) for row in rows for chunk in row):
            return np.block(rows)
        return sparse.vstack([row[0] if len(row) == 1 else sparse.hstack(row, format="csr") for row in rows], "csr")

    def _fit_chunk(self, chunk: Any, shape: tuple[int, int]) -> Any:
        """Check one chunk and give it with numbers that kernels take."""
        if getattr(chunk, "shape", shape) != shape:
            actual, expected = (" x ".join(map(str, lengths)) for lengths in (chunk.shape, shape))
            msg = (
                f"{self.matrix_name} has a chunk of {actual} where its chunks say {expected}: pass chunks= to the "
                "map_blocks that made it."
            )
            raise ChunkKindError(msg)
        if isinstance(chunk, np.ndarray) and not isinstance(chunk, np.ma.MaskedArray):
            values = chunk = np.asarray(chunk)
        elif sparse.issparse(chunk) and getattr(chunk, "format", None) in {"csr", "csc"}:
            values = chunk.data  # type: ignore[attr-defined]
        else:
            kind = f"{type(chunk).__module__}.{type(chunk).__qualname__}"
            msg = (
                f"{self.matrix_name} has chunks of {kind}; map_blocks can make numpy arrays or scipy CSR or CSC of "
                "them."
            )
            raise ChunkKindError(msg)
        refuse_dtype(values.dtype, self.matrix_name)
        fit_values = native(values)
        if self.dtype is not None and fit_values.dtype != self.dtype:
            msg = (
                f"{self.matrix_name} has chunks of {self.dtype} and of {fit_values.dtype}: give all one dtype with "
                "astype."
            )
            raise ChunkKindError(msg)
        if fit_values is values:
            return chunk
        if values is chunk:
            return fit_values
        return type(chunk)((fit_values, chunk.indices, chunk.indptr), shape=chunk.shape)


def _count_nonzero(matrix: Any) -> NDArray[np.int64]:
    """Count the non-zero values of each column; scipy's own way could sort the indices of the user's chunk in place."""
    if isinstance(matrix, np.ndarray):
        return np.asarray(np.count_nonzero(matrix, axis=0))
    n_columns = matrix.shape[1]
    columns = matrix.indices if matrix.format == "csr" else np.repeat(np.arange(n_columns), np.diff(matrix.indptr))
    return np.bincount(columns[matrix.data != 0], minlength=n_columns)
