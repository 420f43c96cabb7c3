"""Column stream: the compared cells of a CSC matrix, read some columns at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.keys import key_dtype
from scpdex.matrix._rankable_values import refuse_inexact
from scpdex.matrix.chunked._column_blocks import decode_canonical, probe_columns
from scpdex.matrix.chunked._gene_major_pieces import to_canonical_csr, turn_gene_major
from scpdex.matrix.chunked._spans import cut_into_runs, read_columns
from scpdex.matrix.memory._sparse import take_rows

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from scpdex.matrix.chunked._column_normalizer import ColumnNormalizer
    from scpdex.matrix.chunked._gene_major_pieces import Piece
    from scpdex.matrix.chunked._spans import StoredRun
    from scpdex.matrix.chunked._stored_matrix import StoredMatrix


@dataclass(frozen=True)
class _ReadGenes:
    """The columns of some genes as they were read."""

    genes: slice
    """Among the tested genes."""
    runs: list[StoredRun]
    """Their columns, ascending."""


@dataclass(frozen=True)
class ColumnStream:
    """The compared cells of a CSC matrix; each piece has all of them, and some genes."""

    matrix: StoredMatrix
    rows: NDArray[np.int64]
    """Row of each compared cell, in the order of the object."""
    codes: NDArray[Any]
    """Code of each cell's group."""
    columns: NDArray[np.int64]
    """Column of each tested gene, in any order."""
    normalizer: ColumnNormalizer | None
    """Normalizes columns; None leaves values as they are."""
    stored_dtype: np.dtype[Any]
    """Dtype that values are converted to before anything else."""

    @property
    def n_values(self) -> int:
        """Stored values of all cells in the tested columns."""
        return int(np.diff(self.matrix.indptr)[self.columns].sum())

    def with_median(self, median: float) -> ColumnStream:
        """Give the same cells, whose counts are scaled to a median library size."""
        return replace(self, normalizer=None if self.normalizer is None else self.normalizer.with_median(median))

    def probe(self, n_values: int) -> tuple[NDArray[np.int64], bool]:
        """Give for each tested gene the most non-zero values that it can have, and whether values look like counts."""
        normalization = None if self.normalizer is None else self.normalizer.normalization
        return probe_columns(self.matrix, self.rows, self.columns, normalization, n_values)

    def cut(self, n_values: int) -> Generator[slice, None, None]:
        """Cut the genes into runs of at most ``n_values``, or of one gene; library sizes are added up before."""
        if self.normalizer is not None:
            self.normalizer.prepare(None)
        ends = np.cumsum(np.diff(self.matrix.indptr)[self.columns])
        yield from cut_into_runs(np.r_[0, ends[:-1]], ends, 0, n_values)

    def read(self, genes: slice, _: int) -> _ReadGenes:
        """Read the columns of some genes, in the form that they have in the file."""
        return _ReadGenes(genes, read_columns(self.matrix, np.sort(self.columns[genes])))

    def make_piece(self, read: _ReadGenes) -> Piece:
        """Turn the columns that were read into a piece; the other genes have no values in it."""
        matrix = decode_canonical(self.matrix, read.runs, None)
        if self.normalizer is None:
            refuse_inexact(matrix, self.matrix.matrix_name, rows=self.rows)
        matrix = matrix.astype(self.stored_dtype, copy=False)
        if self.normalizer is not None:
            matrix.data = self.normalizer.normalize(matrix, np.sort(self.columns[read.genes]))
        rows = to_canonical_csr(take_rows(matrix, self.rows), None)
        columns = np.empty(matrix.shape[1], dtype=np.int64)
        columns[np.argsort(self.columns[read.genes])] = np.arange(columns.size)
        is_last = read.genes.stop == self.columns.size
        # A progress bar counts cells, all of them when the last genes are done.
        return turn_gene_major([rows], self.codes, columns, key_dtype(matrix.dtype)).within(
            read.genes, self.columns.size, n_cells=self.codes.size if is_last else 0
        )
