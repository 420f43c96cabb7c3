"""Plan: a strategy with its gene blocks and its memory, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scpdex.machine.byte_sizes import format_bytes
from scpdex.plan.gene_blocks import cut
from scpdex.plan.matrix_info import DaskMatrix, MemoryMatrix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.requirements import Requirements

# The statistics of a block are made for so many (gene, group) pairs at a time, which keeps them in the cache.
PAIRS_PER_TILE = 1 << 15
# Threads that are done early take a further tile.
_TILES_PER_THREAD = 2


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What a strategy would take, if it were chosen."""

    strategy: str
    """Name of the strategy, and of its files in ``plan/strategies`` and ``run/strategies``."""
    words: str
    """What it does, for the line of the log."""
    blocks: tuple[range, ...]
    """Tested genes that are worked on together."""
    blocks_are_guessed: bool = False
    """Whether blocks are cut anew once the values of each gene are counted."""
    passes: int
    """How often the matrix is read."""
    peak_memory: int
    """Bytes that are expected to be held beyond the results, and beyond a matrix in memory."""
    scratch: int
    """Bytes that are expected to be written to the temporary folder."""
    work: float
    """How often each value is read, moved or written: what candidates are compared by."""
    spill_table: bool
    """Whether statistics wait in scratch until genes are ordered."""
    values_per_piece: int = 0
    """Values of rows that are read together."""
    max_kept_bytes: int = 0
    """Bytes of what is kept of the rows: values, beyond which buckets go to scratch; or tallies (of one part)."""
    shared_bytes: int = 0
    """Bytes that may be kept of what several dask chunks need."""
    refusal: str | None = None
    """Why it cannot be carried out, whatever the budget."""


@dataclass(frozen=True, kw_only=True)
class Plan(Candidate):
    """The candidate that was chosen, for a matrix, a test and the limits of a call.

    Whatever the strategy, blocks of neighbouring genes are ranked one after the other: all threads gather a block, then
    share its genes, a tile at a time. ``repr`` gives the plan in words.
    """

    matrix: MatrixInfo
    requirements: Requirements
    limits: Limits

    @property
    def n_threads(self) -> int:
        """Threads of this machine that compute."""
        return self.limits.n_threads

    @property
    def max_memory(self) -> int:
        """Bytes that may be held beyond the results."""
        return self.limits.max_memory

    @property
    def genes_per_tile(self) -> int:
        """Genes whose statistics are made together."""
        return max(1, PAIRS_PER_TILE // self.requirements.most_codes_ranked_together)

    def __repr__(self) -> str:
        matrix = self.matrix
        n_blocks, widest = len(self.blocks), max(map(len, self.blocks))
        about = "about " if self.blocks_are_guessed and n_blocks > 1 and not self.limits.gene_chunk_size else ""
        text = (
            f"{matrix.format} {matrix.dtype} {matrix.place}, {matrix.n_cells:,} cells x {matrix.n_genes:,} genes"
            f"{self.words}: {self.requirements.description} in {about}{_count(n_blocks, 'block')} of up to "
            f"{_count(widest, 'gene')} "
        )
        if isinstance(matrix, DaskMatrix) and (workers := matrix.workers) is not None:
            return f"{text}on {_count(workers.n_threads, 'thread')} of {_count(workers.n_workers, 'dask worker')}"
        text += f"on {_count(self.n_threads, 'thread')}"
        if isinstance(matrix, MemoryMatrix):
            return text
        scratch = format_bytes(self.scratch) if self.scratch else "no"
        return (
            f"{text}; {_count(self.passes, 'pass', 'es')} over the data, {format_bytes(self.peak_memory)} of "
            f"{format_bytes(self.max_memory)} memory, {scratch} scratch"
        )

    def tiles(self, block: range) -> Iterator[range]:
        """Cut a block into runs of genes whose statistics are made together, some for each thread."""
        genes_per_thread = -(-len(block) // (_TILES_PER_THREAD * self.n_threads))
        return cut(block, min(self.genes_per_tile, genes_per_thread))


def _count(n: int, noun: str, plural: str = "s") -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}{plural}"
