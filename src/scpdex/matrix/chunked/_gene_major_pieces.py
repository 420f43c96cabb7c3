"""Pieces: a run of cells turned gene-major, and what is made of pieces: parts of them, and gene blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from scpdex.kernels.gather import count_rows
from scpdex.kernels.transpose import begin_groups, count_codes, deal_out, transpose_rows
from scpdex.matrix._gene_block import GeneBlock
from scpdex.matrix.memory._sparse import slots_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray
    from scipy import sparse

    from scpdex.matrix._normalize import Normalization

INDPTR_DTYPE = np.uint32


@dataclass(frozen=True)
class Piece:
    """The non-zero values of a run of cells, gene by gene and in cell order."""

    n_cells: int
    indptr: NDArray[np.uint32]
    """Where each gene's values start, and the last one's end."""
    keys: NDArray[Any]
    codes: NDArray[Any]
    """Code of the group of each value's cell."""

    @property
    def n_bytes(self) -> int:
        """Bytes of its arrays."""
        return self.indptr.nbytes + self.keys.nbytes + self.codes.nbytes

    def __sizeof__(self) -> int:
        # What dask's workers take it to weigh.
        return object.__sizeof__(self) + self.n_bytes

    def part(self, genes: range) -> Piece:
        """Give some of its genes, on the same arrays."""
        indptr = self.indptr[genes.start : genes.stop + 1]
        run = slice(int(indptr[0]), int(indptr[-1]))
        return Piece(self.n_cells, indptr - indptr[0], self.keys[run], self.codes[run])

    def copy(self) -> Piece:
        """Give arrays of its own."""
        return Piece(self.n_cells, self.indptr.copy(), self.keys.copy(), self.codes.copy())


class PieceStream(Protocol):
    """The compared cells and tested genes of a matrix, piece by piece."""

    @property
    def codes(self) -> NDArray[Any]:
        """Group of each cell, in the order in which cells come."""
        ...

    @property
    def columns(self) -> NDArray[np.int64]:
        """Column of each tested gene."""
        ...

    @property
    def n_steps(self) -> int:
        """Cells that come in one pass; those of which genes come apart as often as they do."""
        ...

    def pieces(self, n_values: int, pool: Executor, n_threads: int) -> Generator[Piece, None, None]:
        """Read all cells in turn, about so many values at a time, and turn them gene-major on the pool's threads."""
        ...

    def refuse_changed(self) -> None:
        """Raise an error if the matrix was changed since it was opened."""
        ...


def canonical_rows(found: Any, normalization: Normalization | None) -> sparse.csr_matrix[Any]:
    """Give CSR or CSC as CSR rows with sorted columns, none repeated, and normalized where they are to be."""
    # scanpy adds values up as they lie there, sorted or not.
    totals = None if normalization is None else normalization.totals(found)
    rows: sparse.csr_matrix[Any] = found.tocsr()
    if not rows.has_canonical_format:
        # Of its own, since what lies in memory is the user's.
        rows = rows.copy()
        rows.sum_duplicates()
    return rows if normalization is None or totals is None else normalization.rows(rows, totals)


def turn(found: Any, codes: NDArray[Any], columns: NDArray[np.int64], dtype: np.dtype[Any]) -> Piece:
    """Turn CSR rows, of which the groups are given, gene-major; ``dtype`` is that of the keys."""
    counts = np.zeros(found.shape[1], dtype=np.int64)
    count_rows(found.data, found.indices, found.indptr, np.arange(codes.size), counts)
    indptr = np.r_[0, np.cumsum(counts[columns])]
    if indptr[-1] > np.iinfo(INDPTR_DTYPE).max:
        msg = f"{indptr[-1]:,} non-zeros are more than can be turned gene-major at once: rechunk to fewer rows."
        raise ValueError(msg)
    keys = np.empty(int(indptr[-1]), dtype=dtype)
    codes_of = np.empty(keys.size, dtype=codes.dtype)
    slots = slots_of(found.shape[1], columns)
    first = int(columns[0]) if slots is None else 0
    places = indptr[:-1].astype(np.uint64)
    transpose_rows(found.data, found.indices, found.indptr, codes, slots, first, places, keys, codes_of)
    return Piece(codes.size, indptr.astype(INDPTR_DTYPE), keys, codes_of)


def deal_out_pieces(
    pieces: Sequence[Piece], first: int, starts: NDArray[np.int64], ends: NDArray[np.uint32], keys: NDArray[Any]
) -> None:
    """Deal the values of the pieces' genes from ``first`` on out to their groups.

    ``starts`` says where in ``keys`` each gene begins; ``ends``, genes x groups, will say where each group ends.
    """
    ends[:] = 0
    for piece in pieces:
        count_codes(piece.codes, piece.indptr, first, ends)
    begin_groups(ends)
    for piece in pieces:
        deal_out(piece.keys, piece.codes, piece.indptr, first, starts, ends, keys)


def block_of(pieces: Sequence[Piece], n_codes: int) -> GeneBlock:
    """Bring all genes of some pieces together, by one thread."""
    ends_of_genes = np.asarray(np.sum([piece.indptr[1:] for piece in pieces], axis=0, dtype=np.int64))
    starts = np.r_[0, ends_of_genes[:-1]]
    keys = np.empty(int(ends_of_genes[-1]), dtype=pieces[0].keys.dtype)
    ends = np.empty((starts.size, n_codes), dtype=np.uint32)
    deal_out_pieces(pieces, 0, starts, ends, keys)
    return GeneBlock(range(starts.size), keys, starts, ends)
