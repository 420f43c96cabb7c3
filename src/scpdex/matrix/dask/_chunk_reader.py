"""Dask: an array in chunks, which chunks are worked on together, and what is made of them once they are computed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scpdex.kernels.keys import key_dtype
from scpdex.matrix._normalize import normalized_dtype
from scpdex.matrix._values import native, refuse_dtype, refuse_inexact
from scpdex.matrix.chunked._gene_major_pieces import INDPTR_DTYPE, Piece, canonical_rows, turn
from scpdex.matrix.chunked._row_stream import count_like
from scpdex.matrix.chunked._spans import cut_into_runs
from scpdex.matrix.memory._sparse import take_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dask.array import Array
    from numpy.typing import NDArray

    from scpdex.matrix._normalize import Normalization


_VALUES_AT_A_TIME = 1 << 20


def is_dask(matrix: Any) -> bool:
    """Tell whether a matrix is a dask array, without importing dask."""
    # Whoever has one has imported it.
    dask_array = sys.modules.get("dask.array")
    return dask_array is not None and isinstance(matrix, dask_array.Array)


def refuse_unknown_chunks(array: Array, where: str) -> None:
    """Raise a ValueError unless the sizes of all chunks are known."""
    if np.isnan(np.concatenate([np.asarray(sizes, dtype=float) for sizes in array.chunks])).any():
        msg = f"{where} is a dask array with chunks of unknown size: call its compute_chunk_sizes() first."
        raise ValueError(msg)


@dataclass(frozen=True)
class Look:
    """What a few rows let expect of all."""

    format: str
    """``"dense"``, ``"CSR"`` or ``"CSC"``."""
    dtype: np.dtype[Any]
    n_rows: int
    n_values: int
    """Values of these rows, of all columns that were looked at."""
    bytes_per_value: int
    nonzero: NDArray[np.int64]
    """Of each column that was looked at."""
    look_like_counts: NDArray[np.bool_]
    """For each of these rows, whether those of its values that have an effect on results do."""


@dataclass(frozen=True)
class Part:
    """Neighbouring chunks that are worked on together, and what of them is compared."""

    cells: slice
    """Among the compared cells in the order of their rows."""
    rows: NDArray[np.int64] | None
    """Row of each, counted from the first row of the chunks; None for all rows in their order."""
    genes: range
    """Among the tested genes."""
    first_column: int
    shapes: list[list[tuple[int, int]]]
    """Of the chunks, row by row."""
    chunk_rows: tuple[int, ...]
    chunk_columns: range


@dataclass(frozen=True)
class Grid:
    """The chunks of a two-dimensional array, and the cells and genes that are compared in them."""

    name: str
    row_ends: NDArray[np.int64]
    """Where each chunk of rows ends, the first entry being 0."""
    column_ends: NDArray[np.int64]
    stripes: tuple[range, ...]
    """Chunks of columns that are worked on together; those without a tested gene are left out."""
    rows: NDArray[np.int64]
    """Row of each compared cell, ascending."""
    columns: NDArray[np.int64]
    """Column of each tested gene, ascending."""

    @classmethod
    def of(
        cls,
        array: Array,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        most_bytes: int,
        library_columns: NDArray[np.int64] | None,
    ) -> Grid:
        """Put neighbouring chunks of columns together as long as the longest chunk of rows takes so many bytes.

        One stripe holds all library columns, whatever its size.
        """
        row_ends, column_ends = (np.r_[0, np.cumsum(sizes)].astype(np.int64) for sizes in array.chunks)
        per_column = int(np.diff(row_ends).max()) * array.dtype.itemsize
        if library_columns is None:
            found = cut_into_runs(column_ends[:-1], column_ends[1:], 0, most_bytes // max(1, per_column))
            stripes = [range(run.start, run.stop) for run in found]
        else:
            ends = np.searchsorted(column_ends, [library_columns.min(), library_columns.max()], side="right")
            stripes = [range(int(ends[0]) - 1, int(ends[1]))]
        genes = np.searchsorted(columns, column_ends)
        tested = tuple(stripe for stripe in stripes if genes[stripe.start] < genes[stripe.stop])
        return cls(array.name, row_ends, column_ends, tested, rows, columns)

    def keys(self, chunk_rows: Iterable[int], chunk_columns: Iterable[int]) -> list[list[Any]]:
        """Give the keys of some chunks in the array's graph, row by row."""
        return [[(self.name, i, j) for j in chunk_columns] for i in chunk_rows]

    def shapes(self, chunk_rows: Iterable[int], chunk_columns: Iterable[int]) -> list[list[tuple[int, int]]]:
        """Give the shapes of some chunks, row by row."""
        heights, widths = np.diff(self.row_ends).tolist(), np.diff(self.column_ends).tolist()
        return [[(heights[i], widths[j]) for j in chunk_columns] for i in chunk_rows]

    def width(self, stripe: range) -> int:
        """Columns of a stripe."""
        return int(self.column_ends[stripe.stop] - self.column_ends[stripe.start])

    def compared(self, chunk: int) -> NDArray[np.int64]:
        """Give the rows of the compared cells in a chunk of rows, counted from its first row."""
        start, end = self.row_ends[chunk], self.row_ends[chunk + 1]
        first, stop = np.searchsorted(self.rows, [start, end]).tolist()
        return np.asarray(self.rows[first:stop] - start)

    @property
    def longest(self) -> int:
        """Rows of the longest chunk that is read."""
        return int(np.diff(self.row_ends)[self.occupied].max())

    @cached_property
    def occupied(self) -> NDArray[np.intp]:
        """Chunks of rows that have any compared cell."""
        return np.flatnonzero(np.diff(np.searchsorted(self.rows, self.row_ends)))

    def parts(self, n_rows: int) -> Iterator[Part]:
        """Cut into parts of so many rows, or of one chunk of rows, stripe by stripe."""
        begins, ends = self.row_ends[self.occupied], self.row_ends[self.occupied + 1]
        for stripe in self.stripes:
            first, stop = self.column_ends[stripe.start], self.column_ends[stripe.stop]
            genes = range(*np.searchsorted(self.columns, [first, stop]).tolist())
            for run in cut_into_runs(begins, ends, 0, n_rows):
                chunks = self.occupied[run]
                # Those between them have no rows.
                chunk_rows = tuple(chunks.tolist())
                start, end = self.row_ends[chunks[0]], self.row_ends[chunks[-1] + 1]
                cells = slice(*np.searchsorted(self.rows, [start, end]).tolist())
                rows = self.rows[cells] - start
                shapes = self.shapes(chunk_rows, stripe)
                all_rows = np.array_equal(rows, np.arange(end - start))
                yield Part(cells, None if all_rows else rows, genes, int(first), shapes, chunk_rows, stripe)


class ChunkError(RuntimeError):
    """A chunk of a dask array could not be computed."""

    @classmethod
    def of(cls, where: str, error: BaseException) -> ChunkError:
        """Say which array it was, and what happened."""
        return cls(f"{where} is a dask array that could not be computed: {type(error).__name__}: {error}")


class ChunkKindError(TypeError):
    """A chunk is of a kind or dtype that cannot be ranked."""


class ChunkValueError(ValueError):
    """A chunk has values that cannot be ranked."""


@dataclass(frozen=True)
class ChunkReader:
    """Makes rows and pieces of computed chunks, on whichever machine these are."""

    where: str
    columns: NDArray[np.int64]
    """Column of each tested gene."""
    normalization: Normalization | None
    first_column: int
    """Of the first stripe, which is looked at."""
    dtype: np.dtype[Any] | None = None
    """That of the chunks; None as long as none was looked at."""

    @property
    def key_dtype(self) -> np.dtype[Any]:
        """Dtype of the keys of the values."""
        assert self.dtype is not None, "looked at before it is read"  # noqa: S101
        return key_dtype(self.dtype if self.normalization is None else normalized_dtype(self.dtype))

    def look(self, chunks: list[list[Any]], shapes: list[list[tuple[int, int]]]) -> Look:
        """Look at some neighbouring chunks, which are to have these shapes."""
        found = self._merge(chunks, shapes)
        dense = isinstance(found, np.ndarray)
        values = found if dense else found.data
        return Look(
            "dense" if dense else found.format.upper(),
            values.dtype,
            found.shape[0],
            values.size,
            values.itemsize + (0 if dense else found.indices.itemsize),
            self._nonzero(found),
            self._look_like_counts(found),
        )

    def _look_like_counts(self, found: Any) -> NDArray[np.bool_]:
        """Tell for each row whether its values look like counts, as far as columns are tested or added up."""
        matters = (
            self.columns if self.normalization is None else self.normalization.sorted_library_columns(found.shape[1])
        )
        matters = matters[(matters >= self.first_column) & (matters < self.first_column + found.shape[1])]
        columns = np.zeros(found.shape[1], dtype=np.bool_)
        columns[matters - self.first_column] = True
        if isinstance(found, np.ndarray):
            return np.asarray((count_like(found) | ~columns).all(axis=1))
        like = np.ones(found.shape[0], dtype=np.bool_)
        unlike = np.flatnonzero(~count_like(found.data))
        major, minor = np.searchsorted(found.indptr, unlike, side="right") - 1, found.indices[unlike]
        of_rows, of_columns = (major, minor) if found.format == "csr" else (minor, major)
        like[of_rows[columns[of_columns]]] = False
        return like

    @staticmethod
    def _nonzero(found: Any) -> NDArray[np.int64]:
        """Count the non-zero values of each column, without any of scipy's operations that sort what they are given."""
        if isinstance(found, np.ndarray):
            return np.asarray(np.count_nonzero(found, axis=0))
        n_columns, by_row = found.shape[1], found.format == "csr"
        columns = found.indices if by_row else np.repeat(np.arange(n_columns), np.diff(found.indptr))
        return np.bincount(columns[found.data != 0], minlength=n_columns)

    def piece(self, chunks: list[list[Any]], part: Part, codes: NDArray[Any], n_genes: int) -> Piece:
        """Turn the part's cells gene-major; genes outside the part have no values in the piece."""
        found = self._merge(chunks, part.shapes)
        if part.rows is not None:
            found = found[part.rows] if isinstance(found, np.ndarray) else take_rows(found, part.rows)
        try:
            found = self._rows_of(found, part.first_column)
        except ValueError as error:
            raise ChunkValueError(*error.args) from error
        columns = self.columns[part.genes.start : part.genes.stop] - part.first_column
        piece = turn(found, codes, columns, self.key_dtype)
        indptr = np.zeros(n_genes + 1, dtype=INDPTR_DTYPE)
        indptr[part.genes.start : part.genes.stop + 1] = piece.indptr
        indptr[part.genes.stop + 1 :] = piece.indptr[-1]
        return Piece(piece.n_cells, indptr, piece.keys, piece.codes)

    def _rows_of(self, found: Any, first_column: int) -> Any:
        """Make CSR rows of some chunks, normalized where they are to be; dense ones some at a time to spare memory."""
        normalization = None if self.normalization is None else self.normalization.shift_columns(first_column)
        if normalization is None:
            refuse_inexact(found, self.where, columns=self.columns - first_column)
        if not isinstance(found, np.ndarray):
            return canonical_rows(found, normalization)
        at_a_time = max(1, _VALUES_AT_A_TIME // found.shape[1])
        some = (found[first : first + at_a_time] for first in range(0, found.shape[0], at_a_time))
        if normalization is not None:
            some = (normalization.dense(rows) for rows in some)
        return sparse.vstack([sparse.csr_matrix(rows) for rows in some], format="csr")

    def _merge(self, chunks: list[list[Any]], shapes: list[list[tuple[int, int]]]) -> Any:
        """Put chunks, row by row, together."""
        rows = [list(map(self._fit, *both)) for both in zip(chunks, shapes, strict=True)]
        if len(rows) == 1 and len(rows[0]) == 1:
            return rows[0][0]
        if all(isinstance(chunk, np.ndarray) for row in rows for chunk in row):
            return np.block(rows)
        return sparse.vstack([row[0] if len(row) == 1 else sparse.hstack(row, format="csr") for row in rows], "csr")

    def _fit(self, chunk: Any, shape: tuple[int, int]) -> Any:
        """Check one chunk and give it with numbers that kernels take."""
        if getattr(chunk, "shape", shape) != shape:
            found, said = (" x ".join(map(str, s)) for s in (chunk.shape, shape))
            msg = (
                f"{self.where} has a chunk of {found} where its chunks say {said}: pass chunks= to the map_blocks that "
                "made it."
            )
            raise ChunkKindError(msg)
        if isinstance(chunk, np.ndarray) and not isinstance(chunk, np.ma.MaskedArray):
            values = chunk = np.asarray(chunk)
        elif sparse.issparse(chunk) and getattr(chunk, "format", None) in {"csr", "csc"}:
            values = chunk.data  # type: ignore[attr-defined]
        else:
            kind = f"{type(chunk).__module__}.{type(chunk).__qualname__}"
            msg = f"{self.where} has chunks of {kind}; map_blocks can make numpy arrays or scipy CSR or CSC of them."
            raise ChunkKindError(msg)
        refuse_dtype(values.dtype, self.where)
        fitting = native(values)
        if self.dtype is not None and fitting.dtype != self.dtype:
            msg = f"{self.where} has chunks of {self.dtype} and of {fitting.dtype}: give all one dtype with astype."
            raise ChunkKindError(msg)
        if fitting is values:
            return chunk
        if values is chunk:
            return fitting
        return type(chunk)((fitting, chunk.indices, chunk.indptr), shape=chunk.shape)
