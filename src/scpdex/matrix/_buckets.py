"""Buckets: row-major data, read once and sorted into genes; what exceeds the budget lies in scratch."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.transpose import begin_groups, count_codes, deal_out
from scpdex.matrix._block import GeneBlock, starts_of
from scpdex.matrix._rows import Piece
from scpdex.plan import cut
from scpdex.threads import on_threads, read_ahead

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.facts import MatrixFacts
    from scpdex.matrix._rows import RowStream
    from scpdex.plan import Plan
    from scpdex.scratch import Scratch

# Keys of so many bytes are dealt out to their groups together: they stay in the cache from one piece to the next.
_BYTES_AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class Spilled:
    """A piece that lies in scratch."""

    indptr: NDArray[np.int64]
    place: int
    """Where its keys start there; its codes follow."""


@dataclass(frozen=True)
class Buckets:
    """The values of all compared cells, as pieces that hold each gene's together."""

    pieces: list[Piece | Spilled]
    scratch: Scratch
    key_dtype: np.dtype[Any]
    code_dtype: np.dtype[Any]
    n_codes: int
    facts: MatrixFacts
    kept: int
    """Bytes of the pieces in memory."""

    @classmethod
    def collect(
        cls, stream: RowStream, plan: Plan, n_codes: int, scratch: Scratch, pool: Executor, bar: Any
    ) -> Buckets:
        """Read all cells; pieces beyond the plan's memory go to scratch."""
        pieces: list[Piece | Spilled] = []
        stored = np.zeros(stream.columns.size, dtype=np.int64)
        kept = 0
        with closing(stream.pieces(plan.piece, pool, plan.n_threads)) as stream_of_pieces:
            for piece in stream_of_pieces:
                stored += np.diff(piece.indptr)
                n_bytes = piece.keys.nbytes + piece.codes.nbytes
                if kept + n_bytes <= plan.kept:
                    kept += n_bytes
                    pieces.append(piece)
                else:
                    pieces.append(Spilled(piece.indptr, scratch.write(piece.keys, piece.codes)))
                bar.update(piece.n_cells)
        stream.matrix.refuse_changed()
        facts = replace(plan.facts, stored=stored)
        return cls(pieces, scratch, stream.key_dtype, stream.codes.dtype, n_codes, facts, kept)

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, each overwriting the one before it."""
        most_keys = max(int(self.facts.stored[block.start : block.stop].sum()) for block in plan.blocks)
        keys = np.empty(most_keys, dtype=self.key_dtype)
        ends = np.empty((max(map(len, plan.blocks)), self.n_codes), dtype=np.uint32)
        if not any(isinstance(piece, Spilled) for piece in self.pieces):
            for genes in plan.blocks:
                yield self._gather(genes, self.pieces, genes.start, keys, ends, pool)
            return
        with closing(read_ahead(self._load, plan.blocks)) as loaded:
            for genes, pieces in zip(plan.blocks, loaded, strict=True):
                yield self._gather(genes, pieces, 0, keys, ends, pool)

    def _load(self, genes: range) -> list[Piece]:
        """Cut some genes out of all pieces, reading from scratch what lies there."""
        return [self._part(piece, genes) for piece in self.pieces]

    def _part(self, piece: Piece | Spilled, genes: range) -> Piece:
        start, stop = int(piece.indptr[genes.start]), int(piece.indptr[genes.stop])
        indptr = piece.indptr[genes.start : genes.stop + 1] - start
        if isinstance(piece, Piece):
            return Piece(piece.n_cells, indptr, piece.keys[start:stop], piece.codes[start:stop])
        keys = np.empty(stop - start, dtype=self.key_dtype)
        codes = np.empty(stop - start, dtype=self.code_dtype)
        self.scratch.read(piece.place + start * keys.itemsize, keys)
        behind_keys = piece.place + int(piece.indptr[-1]) * keys.itemsize
        self.scratch.read(behind_keys + start * codes.itemsize, codes)
        return Piece(0, indptr, keys, codes)

    def _gather(
        self, genes: range, pieces: Any, first: int, keys: NDArray[Any], ends: NDArray[np.uint32], pool: Executor
    ) -> GeneBlock:
        """Deal the genes' values out to their groups; ``first`` is the place of the first gene in the pieces."""
        starts = starts_of(self.facts.stored, genes)
        ends = ends[: len(genes)]

        def gather(part: range) -> None:
            some = slice(part.start, part.stop)
            ends[some] = 0
            for piece in pieces:
                count_codes(piece.codes, piece.indptr, first + part.start, ends[some])
            begin_groups(ends[some])
            for piece in pieces:
                deal_out(piece.keys, piece.codes, piece.indptr, first + part.start, starts[some], ends[some], keys)

        of_gene = max(1, int(self.facts.stored[genes.start : genes.stop].sum()) * keys.itemsize // len(genes))
        on_threads(pool, gather, cut(range(len(genes)), max(1, _BYTES_AT_A_TIME // of_gene)))
        return GeneBlock(genes, keys, starts, ends)
