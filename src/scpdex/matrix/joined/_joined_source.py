"""Joined source: the compared cells of several matrices as one stream of gene-major pieces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from scpdex.kernels.keys import key_dtype
from scpdex.matrix._normalization import take_median
from scpdex.matrix._rankable_values import native_dtype
from scpdex.matrix._source import Source
from scpdex.matrix.chunked._cell_stream import stream_pieces
from scpdex.matrix.chunked._column_normalizer import ColumnNormalizer
from scpdex.matrix.chunked._row_stream import RowStream
from scpdex.matrix.chunked._stored_matrix import StoredMatrix
from scpdex.matrix.joined._column_stream import ColumnStream
from scpdex.plan.matrix_info import ChunkedMatrix, code_dtype

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix._expression import Expression
    from scpdex.matrix.chunked._gene_major_pieces import Piece
    from scpdex.plan.plan import Plan

# So many values of each matrix are looked at to tell whether they are counts.
_PROBED_VALUES = 1 << 16
# A column is copied where its cells are selected, and where its values become rows.
_COPIES_OF_COLUMNS = 3


@dataclass(frozen=True)
class JoinedCells:
    """The compared cells of several matrices, one matrix after the other."""

    streams: tuple[RowStream | ColumnStream, ...]
    codes: NDArray[Any]
    """Code of each cell's group."""
    columns: NDArray[np.int64]
    """Position of each tested gene among the genes that all matrices have."""

    @property
    def n_steps(self) -> int:
        """Number of steps of a progress bar in one pass: one for each cell."""
        return self.codes.size

    def pieces(self, n_values: int, pool: Executor, n_threads: int) -> Generator[Piece, None, None]:
        """Read all cells in turn, about ``n_values`` at a time, and turn them gene-major on the pool's threads."""
        return stream_pieces(self.streams, n_values, pool, n_threads)

    def refuse(self, reason: str) -> NoReturn:
        """Raise a ValueError that names a matrix, one whose file has changed if there is any, and ``reason``."""
        self.refuse_changed()
        self.streams[0].matrix.refuse(reason)

    def refuse_changed(self) -> None:
        """Raise a ValueError if a file has changed since it was opened."""
        for stream in self.streams:
            stream.matrix.refuse_changed()


@dataclass(frozen=True)
class JoinedSource(Source):
    """The compared cells and tested genes of several matrices."""

    rows: JoinedCells
    info: ChunkedMatrix
    all_cells: tuple[RowStream | ColumnNormalizer, ...]
    """For each matrix, all cells of its object, whose library sizes have a median; empty if that is not needed."""

    @classmethod
    def open(cls, expression: Expression, design: Design, columns: NDArray[np.int64]) -> JoinedSource:
        """Open each matrix that has compared cells, or all if the median is taken."""
        # The dtype of the matrices when they are concatenated.
        dtype = native_dtype(np.result_type(*(part.matrix.dtype for part in expression.parts)))
        streams: list[RowStream | ColumnStream] = []
        all_cells: list[RowStream | ColumnNormalizer] = []
        takes_median = expression.normalization is not None and expression.normalization.takes_median
        matrices, stop = [], 0
        for part in expression.parts:
            codes = design.codes[stop : stop + part.cells.size]
            stop += part.cells.size
            compared = codes >= 0
            if not compared.any() and not takes_median:
                continue
            codes = codes.astype(code_dtype(design.sizes.size))
            stream, cells = _open_part(part, compared, codes[compared], part.genes[columns], dtype)
            matrices.append(stream.matrix)
            if compared.any():
                streams.append(stream)
            if takes_median and cells is not None:
                all_cells.append(cells)
        expected, probed_counts = zip(*(stream.probe(_PROBED_VALUES) for stream in streams), strict=True)
        joined = JoinedCells(tuple(streams), np.concatenate([stream.codes for stream in streams]), columns)
        nonzeros = np.sum(expected, axis=0)
        info = _describe(joined, matrices, dtype, nonzeros, expression, are_counts=all(probed_counts))
        return cls(joined, info, tuple(all_cells))

    def find_median(self, plan: Plan, pool: Executor, bar: Any) -> Self:
        """Read all cells of all objects once, and give the source whose counts are scaled to their median."""
        sizes = [cells.sum_library_sizes(plan.values_per_piece, pool, plan.n_threads, bar) for cells in self.all_cells]
        median = take_median(np.concatenate(sizes))
        streams = tuple(stream.with_median(median) for stream in self.rows.streams)
        return replace(self, rows=replace(self.rows, streams=streams))


def _open_part(
    part: Expression,
    compared: NDArray[np.bool_],
    codes: NDArray[Any],
    columns: NDArray[np.int64],
    dtype: np.dtype[Any],
) -> tuple[RowStream | ColumnStream, RowStream | ColumnNormalizer | None]:
    """Open the matrix of one object: give its compared cells, and what adds up the library sizes of all its cells."""
    matrix, rows = StoredMatrix.open(part.matrix, part.matrix_name), part.cells[compared]
    normalization = part.normalization
    if matrix.format != "CSC":
        stream = RowStream(matrix, rows, codes, columns, normalization, dtype)
        return stream, replace(stream, rows=part.cells)
    normalizer = None
    if normalization is not None:
        counted_rows = part.cells if normalization.takes_median else rows
        normalizer = ColumnNormalizer(matrix, counted_rows, normalization, dtype)
    return ColumnStream(matrix, rows, codes, columns, normalizer, dtype), normalizer


def _describe(
    cells: JoinedCells,
    matrices: Sequence[StoredMatrix],
    dtype: np.dtype[Any],
    expected_nonzeros: NDArray[np.int64],
    expression: Expression,
    *,
    are_counts: bool,
) -> ChunkedMatrix:
    """Describe the matrices that are read for the plan."""
    n_cells, normalization = cells.codes.size, expression.normalization
    bytes_per_value = [
        (_COPIES_OF_COLUMNS if matrix.format == "CSC" else 1) * matrix.bytes_per_value
        # Values of another dtype are converted.
        + (dtype.itemsize if matrix.dtype != dtype else 0)
        for matrix in matrices
    ]
    n_parts = len(expression.parts)
    noun = "files" if all(part.on_disk for part in expression.parts) else "objects"
    return ChunkedMatrix(
        format="/".join(sorted({matrix.format for matrix in matrices})),
        dtype=f"{dtype}" if normalization is None else f"{dtype} counts",
        place=matrices[0].place if n_parts == 1 else f"in {n_parts:,} {noun}",
        n_bytes=sum(matrix.n_bytes for matrix in matrices),
        n_cells=n_cells,
        key_dtype=key_dtype(dtype if normalization is None else normalization.normalized_dtype(dtype)),
        max_nonzeros=np.full(cells.columns.size, n_cells, dtype=np.int64),
        expected_nonzeros=expected_nonzeros,
        n_values=sum(stream.n_values for stream in cells.streams),
        n_spanned_rows=sum(matrix.shape[0] for matrix in matrices),
        bytes_per_value=max(bytes_per_value),
        are_counts=are_counts,
        may_load=False,
        reads_columns=False,
        reads_rows=True,
        reorders_cells=False,
        chunk_of_gene=None,
        values_of_longest_column=max(
            (
                int(np.diff(stream.matrix.indptr)[stream.columns].max())
                for stream in cells.streams
                if stream.matrix.format == "CSC"
            ),
            default=0,
        ),
    )
