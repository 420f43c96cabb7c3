"""Gene buckets: row-major data, read once and sorted by gene; pieces that exceed the budget are in the scratch file."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.machine.threads import read_ahead, run_on_threads
from scpdex.matrix._gene_block import GeneBlock, lay_out_genes
from scpdex.matrix.chunked._gene_major_pieces import INDPTR_DTYPE, Piece, deal_out_pieces
from scpdex.plan.gene_blocks import cut_range

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.machine.scratch_file import Scratch
    from scpdex.matrix.chunked._gene_major_pieces import PieceStream
    from scpdex.plan.plan import Plan

# A thread deals out genes with so many bytes of keys at a time: these stay in the cache from one piece to the next.
_BYTES_PER_TASK = 1 << 20


@dataclass(frozen=True)
class SpilledPiece:
    """A piece in the scratch file: its indptr, keys and codes, one behind the other."""

    n_genes: int
    n_values: int
    place: int
    """Position of its first byte in the scratch file."""


@dataclass(frozen=True)
class GeneBuckets:
    """The values of all compared cells, as gene-major pieces in memory and in the scratch file."""

    pieces: list[Piece | SpilledPiece]
    scratch: Scratch
    code_dtype: np.dtype[Any]
    n_codes: int
    key_dtype: np.dtype[Any]
    nonzeros: NDArray[np.int64]
    """Of each tested gene."""
    kept_bytes: int
    """Bytes of the pieces in memory."""

    @property
    def has_spilled(self) -> bool:
        """Whether any piece is in the scratch file."""
        return any(isinstance(piece, SpilledPiece) for piece in self.pieces)

    @classmethod
    def collect(
        cls, stream: PieceStream, plan: Plan, n_codes: int, scratch: Scratch, pool: Executor, bar: Any
    ) -> GeneBuckets:
        """Read all cells; pieces beyond the plan's memory go to the scratch file."""
        pieces: list[Piece | SpilledPiece] = []
        nonzeros = np.zeros(stream.columns.size, dtype=np.int64)
        kept_bytes = 0
        with closing(stream.pieces(plan.values_per_piece, pool, plan.n_threads)) as all_pieces:
            for piece in all_pieces:
                nonzeros += piece.indptr[1:].astype(np.int64) - piece.indptr[:-1]
                if kept_bytes + piece.n_bytes <= plan.max_bucket_bytes:
                    kept_bytes += piece.n_bytes
                    pieces.append(piece)
                else:
                    place = scratch.write(piece.indptr, piece.keys, piece.codes)
                    pieces.append(SpilledPiece(piece.indptr.size - 1, piece.keys.size, place))
                bar.update(piece.n_cells)
        stream.refuse_changed()
        return cls(pieces, scratch, stream.codes.dtype, n_codes, plan.matrix.key_dtype, nonzeros, kept_bytes)

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, each overwriting the one before it."""
        max_keys = max(int(self.nonzeros[block.start : block.stop].sum()) for block in plan.blocks)
        keys = np.empty(max_keys, dtype=self.key_dtype)
        ends = np.empty((max(map(len, plan.blocks)), self.n_codes), dtype=np.uint32)
        if not self.has_spilled:
            for genes in plan.blocks:
                yield self._gather(genes, self.pieces, genes.start, keys, ends, pool)
            return
        with closing(read_ahead(self._load, plan.blocks)) as pieces_of_blocks:
            for genes, pieces in zip(plan.blocks, pieces_of_blocks, strict=True):
                yield self._gather(genes, pieces, 0, keys, ends, pool)

    def _load(self, genes: range) -> list[Piece]:
        """Cut some genes out of all pieces; those in the scratch file are read."""
        return [self._cut(piece, genes) for piece in self.pieces]

    def _cut(self, piece: Piece | SpilledPiece, genes: range) -> Piece:
        if isinstance(piece, Piece):
            return piece.part(genes)
        indptr = np.empty(len(genes) + 1, dtype=INDPTR_DTYPE)
        self.scratch.read(piece.place + genes.start * indptr.itemsize, indptr)
        start = int(indptr[0])
        keys = np.empty(int(indptr[-1]) - start, dtype=self.key_dtype)
        codes = np.empty(keys.size, dtype=self.code_dtype)
        place_of_keys = piece.place + (piece.n_genes + 1) * indptr.itemsize
        place_of_codes = place_of_keys + piece.n_values * keys.itemsize
        self.scratch.read(place_of_keys + start * keys.itemsize, keys)
        self.scratch.read(place_of_codes + start * codes.itemsize, codes)
        return Piece(0, indptr - indptr[0], keys, codes)

    def _gather(
        self, genes: range, pieces: Any, first: int, keys: NDArray[Any], ends: NDArray[np.uint32], pool: Executor
    ) -> GeneBlock:
        """Deal the genes' keys out to their groups; ``first`` is the place of the first gene in the pieces."""
        starts = lay_out_genes(self.nonzeros, genes)
        ends = ends[: len(genes)]

        def gather(part: range) -> None:
            run = slice(part.start, part.stop)
            deal_out_pieces(pieces, first + part.start, starts[run], ends[run], keys)

        bytes_per_gene = max(1, int(self.nonzeros[genes.start : genes.stop].sum()) * keys.itemsize // len(genes))
        run_on_threads(pool, gather, cut_range(range(len(genes)), max(1, _BYTES_PER_TASK // bytes_per_gene)))
        return GeneBlock(genes, keys, starts, ends)
