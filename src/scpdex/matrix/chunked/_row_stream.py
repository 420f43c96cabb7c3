"""Row stream: the compared cells of a stored matrix, read in contiguous runs and turned gene-major piece by piece."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from scipy import sparse

from scpdex.kernels.keys import key_dtype
from scpdex.machine.threads import map_in_order, read_ahead
from scpdex.matrix._rankable_values import looks_like_counts, native, refuse_inexact
from scpdex.matrix.chunked._cell_stream import stream_pieces
from scpdex.matrix.chunked._gene_major_pieces import to_canonical_csr, turn_gene_major
from scpdex.matrix.chunked._spans import decode_spans, read_spans
from scpdex.plan.matrix_info import code_dtype

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix._normalization import Normalization
    from scpdex.matrix.chunked._gene_major_pieces import Piece
    from scpdex.matrix.chunked._spans import StoredRun
    from scpdex.matrix.chunked._stored_matrix import StoredMatrix

# Rows with up to so many values between them are read together.
_MAX_GAP = 1 << 14
# Values are looked at in so many places before the work.
_PROBED_PLACES = 8
# Genes are expected to have so many times the non-zero values that these places let expect.
MARGIN = 1.1


@dataclass(frozen=True)
class _ReadCells:
    """Some cells as they were read."""

    cells: slice
    """Among the compared cells, in their order."""
    runs: list[StoredRun]
    """Their rows, ascending and each once."""
    row_of_cell: NDArray[np.int64] | None
    """Position of each cell's row among these rows; None if each cell is the row at its own position."""

    def is_contiguous(self, n_values: int) -> bool:
        """Tell whether the cells are one run of ``n_values``, in their order and with nothing between."""
        return self.row_of_cell is None and len(self.runs) == 1 and self.runs[0].n_values == n_values


@dataclass(frozen=True)
class RowStream:
    """The compared cells of a matrix, in their order."""

    matrix: StoredMatrix
    rows: NDArray[np.int64]
    """Row of each compared cell, in the order of the object."""
    codes: NDArray[Any]
    """Code of each cell's group: ``uint16``, or ``uint32`` if that cannot number all groups."""
    columns: NDArray[np.int64]
    """Column of each tested gene, in any order."""
    normalization: Normalization | None
    """How counts are normalized; None leaves values as they are."""
    stored_dtype: np.dtype[Any]
    """Dtype that values are converted to before anything else: the matrix's, or the common one of several matrices."""

    @classmethod
    def of(
        cls,
        matrix: StoredMatrix,
        design: Design,
        cells: NDArray[np.int64],
        columns: NDArray[np.int64],
        normalization: Normalization | None,
    ) -> RowStream:
        """Take the compared cells; ``cells`` has the row of every cell of the object."""
        compared = design.codes >= 0
        dtype = code_dtype(design.sizes.size)
        return cls(matrix, cells[compared], design.codes[compared].astype(dtype), columns, normalization, matrix.dtype)

    @property
    def n_steps(self) -> int:
        """Cells that come in one pass."""
        return self.rows.size

    @property
    def n_values(self) -> int:
        """Stored values of the compared cells in all columns."""
        begins, ends = self.matrix.find_spans(self.rows)
        return int((ends - begins).sum())

    @cached_property
    def in_row_order(self) -> bool:
        """Whether the object has the cells in the order of their rows, and none twice."""
        return bool((np.diff(self.rows) > 0).all())

    @property
    def relevant_columns(self) -> NDArray[np.int64]:
        """Columns whose values have an effect on results, ascending."""
        if self.normalization is None:
            return np.sort(self.columns)
        return self.normalization.sorted_library_columns(self.matrix.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the values that are ranked."""
        if self.normalization is None:
            return self.stored_dtype
        return self.normalization.normalized_dtype(self.stored_dtype)

    @property
    def key_dtype(self) -> np.dtype[Any]:
        """Dtype of the values' keys."""
        return key_dtype(self.dtype)

    def pieces(self, n_values: int, pool: Executor, n_threads: int) -> Generator[Piece, None, None]:
        """Read all cells in turn, about ``n_values`` at a time, and turn them gene-major on the pool's threads."""
        return stream_pieces([self], n_values, pool, n_threads)

    def make_piece(self, read: _ReadCells) -> Piece:
        """Decode cells that were read, and turn them gene-major."""
        return turn_gene_major([self._decode_canonical(read)], self.codes[read.cells], self.columns, self.key_dtype)

    def refuse(self, reason: str) -> NoReturn:
        """Raise a ValueError that names the matrix and ``reason``."""
        self.matrix.refuse(reason)

    def refuse_changed(self) -> None:
        """Raise a ValueError if the file has changed since it was opened."""
        self.matrix.refuse_changed()

    def _parts(self, n_values: int) -> Generator[_ReadCells, None, None]:
        """Read all cells in turn, on a thread that stays ahead of those who take them."""
        return read_ahead(lambda cells: self.read(cells, n_values), self.cut(n_values))

    def _decode_canonical(self, read: _ReadCells) -> sparse.csr_matrix[Any]:
        """Give the cells that were read as CSR with sorted columns, none repeated, and normalized if they are to be."""
        # Dense rows are normalized while they are dense.
        is_dense = self.matrix.format == "dense"
        rows = self._decode(read, self.normalization if is_dense else None)
        if self.normalization is None:
            refuse_inexact(rows, self.matrix.matrix_name, columns=self.columns)
        rows = rows.astype(self.dtype if is_dense else self.stored_dtype, copy=False)
        return to_canonical_csr(rows, None if is_dense else self.normalization)

    def load(self, n_values: int, pool: Executor, n_threads: int, bar: Any) -> sparse.csr_matrix[Any]:
        """Read all cells in turn, about ``n_values`` at a time, into one CSR matrix.

        Columns may be unsorted, or repeat, where they do so in the file and values are not normalized.
        """
        begins, ends = self.matrix.find_spans(self.rows)
        lengths = ends - begins
        starts = np.r_[0, np.cumsum(lengths)]
        # The dtype that scipy would choose.
        index_dtype = sparse.get_index_dtype(maxval=max(int(starts[-1]), self.matrix.shape[1]))
        data, indices = np.empty(starts[-1], dtype=self.dtype), np.empty(starts[-1], dtype=index_dtype)

        # Indices that are made narrower could no longer be checked.
        keeps_indices = np.can_cast(self.matrix.indices.dtype, index_dtype)

        def load_part(read: _ReadCells) -> tuple[slice, slice]:
            """Write cells to their place; each thread touches new memory, and no values are copied on their way."""
            place = slice(int(starts[read.cells.start]), int(starts[read.cells.stop]))
            if keeps_indices and self.normalization is None and read.is_contiguous(place.stop - place.start):
                self.matrix.decode_run(read.runs[0].content, out=(data[place], indices[place]))
                return read.cells, place
            rows = self._decode(read) if self.normalization is None else self._decode_canonical(read)
            lengths[read.cells] = np.diff(rows.indptr)
            place = slice(place.start, place.start + rows.nnz)
            data[place], indices[place] = rows.data, rows.indices
            return read.cells, place

        n_loaded = 0
        with (
            closing(self._parts(n_values)) as parts,
            closing(map_in_order(pool, load_part, parts, n_threads)) as loaded,
        ):
            for cells, place in loaded:
                stop = n_loaded + place.stop - place.start
                if n_loaded < place.start:
                    # Columns that repeat have become one in the cells before.
                    data[n_loaded:stop], indices[n_loaded:stop] = data[place], indices[place]
                n_loaded = stop
                bar.update(cells.stop - cells.start)
        self.matrix.refuse_changed()
        indptr = np.r_[0, np.cumsum(lengths)].astype(index_dtype)
        shape = (self.rows.size, self.matrix.shape[1])
        rows = sparse.csr_matrix((data[:n_loaded], indices[:n_loaded], indptr), shape=shape)
        if self.normalization is None:
            refuse_inexact(rows, self.matrix.matrix_name, columns=self.columns)
        return rows

    def with_median(self, median: float) -> RowStream:
        """Give the same cells, whose counts are scaled to a median library size."""
        assert self.normalization is not None, "the rule asks for the median"  # noqa: S101
        return replace(self, normalization=self.normalization.with_median(median))

    def sum_library_sizes(self, n_values: int, pool: Executor, n_threads: int, bar: Any) -> NDArray[Any]:
        """Read all cells in turn, about ``n_values`` at a time, and add up the counts of each.

        Raises
        ------
        ValueError
            Cells have values that cannot be counts.
        """
        library_sizes = np.empty(self.rows.size, dtype=self.dtype)
        with (
            closing(self._parts(n_values)) as parts,
            closing(map_in_order(pool, self._sum_part, parts, n_threads)) as sums,
        ):
            for cells, sizes in sums:
                library_sizes[cells] = sizes
                bar.update(sizes.size)
        self.matrix.refuse_changed()
        return library_sizes

    def _sum_part(self, read: _ReadCells) -> tuple[slice, NDArray[Any]]:
        """Add up the counts of cells that were read."""
        normalization = self.normalization
        assert normalization is not None, "the rule asks for library sizes"  # noqa: S101
        if self.matrix.format == "dense":
            blocks = list(map(_take_rows, read.runs))
        else:
            blocks = [decode_spans(self.matrix, read.runs)]
        sizes = np.concatenate(
            [normalization.sum_library_sizes(block.astype(self.stored_dtype, copy=False)) for block in blocks]
        )
        return read.cells, sizes if read.row_of_cell is None else sizes[read.row_of_cell]

    def probe(self, n_values: int) -> tuple[NDArray[np.int64], bool]:
        """Look at about ``n_values`` stored values of cells here and there.

        Give for each tested gene the non-zero values that all compared cells can be expected to have, with a margin,
        and whether the values that have an effect on results look like counts.
        """
        n_columns = self.matrix.shape[1]
        n_cells, n_nonzero, are_counts = 0, np.zeros(n_columns, dtype=np.int64), True
        is_relevant = np.zeros(n_columns, dtype=np.bool_)
        is_relevant[self.relevant_columns] = True
        for part in self.sample_rows(n_values):
            n_cells += part.shape[0]
            are_counts &= looks_like_counts(part.data[is_relevant[part.indices]])
            if self.normalization is not None:
                self.normalization.refuse_improper(part.data, part.indices, n_columns)
            n_nonzero += np.bincount(part.indices[part.data != 0], minlength=n_columns)
        factor = MARGIN * (self.rows.size / n_cells)
        expected = np.minimum(np.ceil(factor * n_nonzero[self.columns]), self.rows.size)
        return expected.astype(np.int64), are_counts

    def sample_rows(self, n_values: int) -> Iterator[sparse.csr_matrix[Any]]:
        """Read cells here and there with about ``n_values`` stored values, unsorted and not normalized."""
        places = np.linspace(0, self.rows.size, _PROBED_PLACES + 1)[:-1].astype(int)
        cells_per_place = max(1, n_values // _PROBED_PLACES // max(1, self.n_values // self.rows.size))
        stop = 0
        for place in np.unique(places).tolist():
            start, stop = max(place, stop), min(place + cells_per_place, self.rows.size)
            if start < stop:
                yield self._decode(self.read(slice(start, stop), n_values))

    def read_all(self, n_values: int) -> Iterator[sparse.csr_matrix[Any]]:
        """Read all cells, about ``n_values`` stored values at a time, unsorted and not normalized."""
        for cells in self.cut(n_values):
            yield self._decode(self.read(cells, n_values))

    def cut(self, n_values: int) -> Generator[slice, None, None]:
        """Cut the cells into runs of at most ``n_values``, gaps that are read included, or of one cell."""
        stops = self._count_values_read()
        start = 0
        while start < stops.size:
            n_before = int(stops[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(stops, n_before + n_values, side="right")))
            yield slice(start, stop)
            start = stop

    def _count_values_read(self) -> NDArray[np.int64]:
        """Count for each cell the values that are read up to its last one, those of gaps included."""
        begins, ends = self.matrix.find_spans(self.rows)
        n_values = ends - begins
        if self.in_row_order:
            gaps = begins[1:] - ends[:-1]
            gaps[gaps > _MAX_GAP] = 0
            n_values[1:] += gaps
        return np.cumsum(n_values, out=n_values)

    def read(self, cells: slice, max_values: int) -> _ReadCells:
        """Read some cells in runs of rows, in the form that these have in the file."""
        rows, row_of_cell = self.rows[cells], None
        if (np.diff(rows) <= 0).any():
            # Views may have cells in another order, or twice.
            rows, row_of_cell = np.unique(rows, return_inverse=True)
        runs = read_spans(self.matrix, rows, _MAX_GAP if self.in_row_order else 0, max_values)
        return _ReadCells(cells, runs, row_of_cell)

    def _decode(self, read: _ReadCells, normalization: Normalization | None = None) -> sparse.csr_matrix[Any]:
        """Give the cells that were read as CSR; dense rows are normalized if ``normalization`` is given."""
        if self.matrix.format == "dense":
            blocks = map(_take_rows, read.runs)
            if normalization is None:
                parts = list(map(sparse.csr_matrix, blocks))
            else:
                converted = (block.astype(self.stored_dtype, copy=False) for block in blocks)
                parts = [sparse.csr_matrix(normalization.normalize_dense(block)) for block in converted]
            rows = parts[0] if len(parts) == 1 else sparse.vstack(parts, format="csr")
        else:
            rows = decode_spans(self.matrix, read.runs)
        return rows if read.row_of_cell is None else rows[read.row_of_cell]


def _take_rows(run: StoredRun) -> NDArray[Any]:
    """Give the dense rows of a run without those that lie between them."""
    rows, block = run.majors, run.content
    block = block if block.shape[0] == rows.size else block[rows - rows[0]]
    return native(block)
