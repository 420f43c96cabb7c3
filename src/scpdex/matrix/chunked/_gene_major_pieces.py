"""Gene-major pieces: runs of cells whose values lie gene by gene, and how they become gene blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from scpdex.kernels.gather import count_rows
from scpdex.kernels.transpose import begin_groups, count_codes, deal_out, transpose_rows
from scpdex.matrix._gene_block import GeneBlock
from scpdex.matrix.memory._sparse import find_gene_slots

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray
    from scipy import sparse

    from scpdex.matrix._normalization import Normalization

# Gene boundaries of a piece.
INDPTR_DTYPE = np.uint32


@dataclass(frozen=True)
class Piece:
    """The non-zero values of a run of cells, gene by gene and in cell order."""

    n_cells: int
    indptr: NDArray[np.uint32]
    """Where each gene's values start; last, where those of the last gene end."""
    keys: NDArray[Any]
    """Values as sortable keys, see :mod:`scpdex.kernels.keys`."""
    codes: NDArray[Any]
    """Code of the group of each value's cell."""

    @property
    def n_bytes(self) -> int:
        """Bytes of its arrays."""
        return self.indptr.nbytes + self.keys.nbytes + self.codes.nbytes

    def __sizeof__(self) -> int:
        # By this, dask's workers weigh what they hold.
        return object.__sizeof__(self) + self.n_bytes

    def part(self, genes: range) -> Piece:
        """Give some neighbouring genes, a view of the same arrays."""
        indptr = self.indptr[genes.start : genes.stop + 1]
        run = slice(int(indptr[0]), int(indptr[-1]))
        return Piece(self.n_cells, indptr - indptr[0], self.keys[run], self.codes[run])

    def within(self, genes: slice, n_genes: int, *, n_cells: int) -> Piece:
        """Give a piece of ``n_genes`` with the values of this one at neighbouring ``genes``, and none at the others.

        ``n_cells`` is the number of cells that are done with it.
        """
        indptr = np.zeros(n_genes + 1, dtype=self.indptr.dtype)
        indptr[genes.start : genes.stop + 1] = self.indptr
        indptr[genes.stop + 1 :] = self.indptr[-1]
        return Piece(n_cells, indptr, self.keys, self.codes)

    def copy(self) -> Piece:
        """Give a piece with arrays of its own."""
        return Piece(self.n_cells, self.indptr.copy(), self.keys.copy(), self.codes.copy())


class PieceStream(Protocol):
    """The compared cells and tested genes of a matrix, piece by piece."""

    @property
    def codes(self) -> NDArray[Any]:
        """Code of each cell's group, in the order of the stream."""
        ...

    @property
    def columns(self) -> NDArray[np.int64]:
        """Column of each tested gene."""
        ...

    @property
    def n_steps(self) -> int:
        """Number of steps of a progress bar in one pass: one for each cell of each piece."""
        ...

    def pieces(self, n_values: int, pool: Executor, n_threads: int) -> Generator[Piece, None, None]:
        """Read all cells in turn, about ``n_values`` at a time, and turn them gene-major on the pool's threads."""
        ...

    def refuse_changed(self) -> None:
        """Raise a ValueError if the matrix has changed since it was opened."""
        ...


def to_canonical_csr(matrix: Any, normalization: Normalization | None) -> sparse.csr_matrix[Any]:
    """Give CSR or CSC as CSR with sorted columns, none repeated, and normalized if ``normalization`` is given."""
    # scanpy adds values up as they are stored, sorted or not.
    library_sizes = normalization.sum_rows(matrix) if normalization is not None and normalization.scales else None
    rows: sparse.csr_matrix[Any] = matrix.tocsr()
    if not rows.has_canonical_format:
        # The arrays may be the user's.
        rows = rows.copy()
        rows.sum_duplicates()
    return rows if normalization is None else normalization.normalize_csr(rows, library_sizes)


def turn_gene_major(
    blocks: Sequence[sparse.csr_matrix[Any]], codes: NDArray[Any], columns: NDArray[np.int64], dtype: np.dtype[Any]
) -> Piece:
    """Turn blocks of canonical CSR rows, one below the other, gene-major.

    ``codes`` has the group of each row, ``columns`` the column of each tested gene, in any order; ``dtype`` is that of
    the keys.

    Raises
    ------
    ValueError
        The rows have more non-zero values than ``INDPTR_DTYPE`` counts.
    """
    n_columns = blocks[0].shape[1]
    counts = np.zeros((1, n_columns), dtype=np.int64)
    for rows in blocks:
        all_rows = np.arange(rows.shape[0])
        count_rows(rows.data, rows.indices, rows.indptr, all_rows, np.zeros_like(all_rows), counts)
    indptr = np.r_[0, np.cumsum(counts[0, columns])]
    if indptr[-1] > np.iinfo(INDPTR_DTYPE).max:
        msg = f"{indptr[-1]:,} non-zeros are more than can be turned gene-major at once: rechunk to fewer rows."
        raise ValueError(msg)
    keys = np.empty(int(indptr[-1]), dtype=dtype)
    codes_of_keys = np.empty(keys.size, dtype=codes.dtype)
    slots = find_gene_slots(n_columns, columns)
    first = int(columns[0]) if slots is None else 0
    places = indptr[:-1].astype(np.uint64)
    start = 0
    for rows in blocks:
        row_codes = codes[start : start + rows.shape[0]]
        start += row_codes.size
        transpose_rows(rows.data, rows.indices, rows.indptr, row_codes, slots, first, places, keys, codes_of_keys)
    return Piece(codes.size, indptr.astype(INDPTR_DTYPE), keys, codes_of_keys)


def deal_out_pieces(
    pieces: Sequence[Piece], first: int, starts: NDArray[np.int64], ends: NDArray[np.uint32], keys: NDArray[Any]
) -> None:
    """Write the keys of neighbouring genes to ``keys``, group by group; ``first`` is the first gene's place in pieces.

    ``starts`` has where in ``keys`` each gene starts. The group boundaries are written to ``ends``, genes x groups.
    """
    ends[:] = 0
    for piece in pieces:
        count_codes(piece.codes, piece.indptr, first, ends)
    begin_groups(ends)
    for piece in pieces:
        deal_out(piece.keys, piece.codes, piece.indptr, first, starts, ends, keys)


def gather_pieces(pieces: Sequence[Piece], n_codes: int) -> GeneBlock:
    """Make one gene block of all genes of some pieces, on this thread."""
    gene_stops = np.asarray(np.sum([piece.indptr[1:] for piece in pieces], axis=0, dtype=np.int64))
    starts = np.r_[0, gene_stops[:-1]]
    keys = np.empty(int(gene_stops[-1]), dtype=pieces[0].keys.dtype)
    ends = np.empty((starts.size, n_codes), dtype=np.uint32)
    deal_out_pieces(pieces, 0, starts, ends, keys)
    return GeneBlock(range(starts.size), keys, starts, ends)
