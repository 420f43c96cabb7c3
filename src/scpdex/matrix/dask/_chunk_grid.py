"""Chunk grid: the chunks of a dask array that are computed, and which of them together; does not import dask."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.matrix.chunked._spans import cut_into_runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dask.array import Array
    from numpy.typing import NDArray


def is_dask(matrix: Any) -> bool:
    """Tell whether a matrix is a dask array, without importing dask."""
    # A caller who has a dask array has imported this module.
    dask_array = sys.modules.get("dask.array")
    return dask_array is not None and isinstance(matrix, dask_array.Array)


def refuse_unknown_chunks(array: Array, matrix_name: str) -> None:
    """Raise a ValueError unless the sizes of all chunks are known."""
    if np.isnan(np.concatenate([np.asarray(sizes, dtype=float) for sizes in array.chunks])).any():
        msg = f"{matrix_name} is a dask array with chunks of unknown size: call its compute_chunk_sizes() first."
        raise ValueError(msg)


@dataclass(frozen=True)
class ChunkPart:
    """Neighbouring chunks that are worked on together, and their cells and genes that are compared."""

    cells: slice
    """Among the compared cells in the order of their rows."""
    rows: NDArray[np.int64] | None
    """Row of each cell, counted from the first row of the chunks; None for all rows in their order."""
    genes: range
    """Among the tested genes."""
    first_column: int
    """Column of the array with which the chunks begin."""
    shapes: list[list[tuple[int, int]]]
    """Rows and columns of each chunk, row of chunks by row of chunks."""
    chunk_rows: tuple[int, ...]
    chunk_columns: range


@dataclass(frozen=True)
class ChunkGrid:
    """The chunks of a two-dimensional array, and the cells and genes that are compared in them."""

    name: str
    """Name of the array in its graph."""
    row_ends: NDArray[np.int64]
    """0, and the row behind each row of chunks."""
    column_ends: NDArray[np.int64]
    """0, and the column behind each column of chunks."""
    stripes: tuple[range, ...]
    """Neighbouring columns of chunks that are worked on together; stripes without a tested gene are left out."""
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
        max_bytes: int,
        library_columns: NDArray[np.int64] | None,
    ) -> ChunkGrid:
        """Put neighbouring columns of chunks into one stripe while its tallest dense chunk takes up to ``max_bytes``.

        If library sizes are added up, one stripe holds all library columns, whatever its size.
        """
        row_ends, column_ends = (np.r_[0, np.cumsum(sizes)].astype(np.int64) for sizes in array.chunks)
        bytes_per_column = int(np.diff(row_ends).max()) * array.dtype.itemsize
        if library_columns is None:
            runs = cut_into_runs(column_ends[:-1], column_ends[1:], 0, max_bytes // max(1, bytes_per_column))
            stripes = [range(run.start, run.stop) for run in runs]
        else:
            edges = np.searchsorted(column_ends, [library_columns.min(), library_columns.max()], side="right")
            stripes = [range(int(edges[0]) - 1, int(edges[1]))]
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

    def stripe_width(self, stripe: range) -> int:
        """Count the columns of a stripe."""
        return int(self.column_ends[stripe.stop] - self.column_ends[stripe.start])

    def find_compared_rows(self, chunk: int) -> NDArray[np.int64]:
        """Give the rows of the compared cells in a row of chunks, counted from its first row."""
        start, end = self.row_ends[chunk], self.row_ends[chunk + 1]
        first, stop = np.searchsorted(self.rows, [start, end]).tolist()
        return np.asarray(self.rows[first:stop] - start)

    @property
    def max_chunk_rows(self) -> int:
        """Rows of the tallest chunk that is computed."""
        return int(np.diff(self.row_ends)[self.occupied_chunk_rows].max())

    @cached_property
    def occupied_chunk_rows(self) -> NDArray[np.intp]:
        """Rows of chunks that have any compared cell."""
        return np.flatnonzero(np.diff(np.searchsorted(self.rows, self.row_ends)))

    def parts(self, n_rows: int) -> Iterator[ChunkPart]:
        """Cut into parts of so many rows, or of one taller chunk, stripe by stripe."""
        begins, ends = self.row_ends[self.occupied_chunk_rows], self.row_ends[self.occupied_chunk_rows + 1]
        for stripe in self.stripes:
            first_column, stop_column = self.column_ends[stripe.start], self.column_ends[stripe.stop]
            genes = range(*np.searchsorted(self.columns, [first_column, stop_column]).tolist())
            for run in cut_into_runs(begins, ends, 0, n_rows):
                chunks = self.occupied_chunk_rows[run]
                # Chunks between them, if any, have no rows.
                chunk_rows = tuple(chunks.tolist())
                start, end = self.row_ends[chunks[0]], self.row_ends[chunks[-1] + 1]
                cells = slice(*np.searchsorted(self.rows, [start, end]).tolist())
                rows = self.rows[cells] - start
                has_all_rows = np.array_equal(rows, np.arange(end - start))
                yield ChunkPart(
                    cells=cells,
                    rows=None if has_all_rows else rows,
                    genes=genes,
                    first_column=int(first_column),
                    shapes=self.shapes(chunk_rows, stripe),
                    chunk_rows=chunk_rows,
                    chunk_columns=stripe,
                )
