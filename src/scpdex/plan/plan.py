"""Plan: a strategy with its gene blocks and its memory, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scpdex.machine.byte_sizes import format_bytes
from scpdex.plan.gene_blocks import cut_range
from scpdex.plan.matrix_info import count_noun
from scpdex.plan.memory_model import model_memory

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
    log_phrase: str
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
    accesses_per_value: float
    """How often each value is read, moved or written: what candidates are compared by."""
    spill_table: bool
    """Whether statistics wait in scratch until genes are ordered."""
    values_per_piece: int = 0
    """Values of rows that are read together."""
    max_bucket_bytes: int = 0
    """Bytes of sorted values that memory may hold; further ones go to scratch."""
    max_tally_bytes: int = 0
    """Bytes that tallies may take, those of one part where parts are added up."""
    loaded_bytes: int = 0
    """Bytes of the rows that are loaded."""
    shared_bytes: int = 0
    """Bytes that may be kept of what several dask chunks need."""
    refusal: str | None = None
    """Why it cannot be carried out, whatever the budget."""


@dataclass(frozen=True, kw_only=True)
class Plan(Candidate):
    """The candidate that was chosen, for a matrix, a test and the limits of a call.

    Statistics are made block by block of neighbouring genes: threads share the genes of a block, a tile at a time.
    ``repr`` gives the plan in words.
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
    def groups_per_slice(self) -> int:
        """Neighbouring groups whose genes a thread orders together."""
        return model_memory(self.matrix, self.requirements, self.limits).groups_per_slice

    @property
    def genes_per_tile(self) -> int:
        """Genes whose statistics are made together."""
        return max(1, PAIRS_PER_TILE // self.requirements.most_numbers_per_gene)

    def __repr__(self) -> str:
        matrix = self.matrix
        n_blocks, widest = len(self.blocks), max(map(len, self.blocks))
        about = "about " if self.blocks_are_guessed and n_blocks > 1 and not self.limits.gene_chunk_size else ""
        text = (
            f"{matrix.format} {matrix.dtype} {matrix.place}, {matrix.n_cells:,} cells x {matrix.n_genes:,} genes"
            f"{self.log_phrase}: {self.requirements.description} in {about}{count_noun(n_blocks, 'block')} of up to "
            f"{count_noun(widest, 'gene')} on {matrix.describe_threads(self.n_threads)}"
        )
        if not matrix.reads_in_parts:
            return text
        scratch = format_bytes(self.scratch) if self.scratch else "no"
        return (
            f"{text}; {count_noun(self.passes, 'pass', 'es')} over the data, {format_bytes(self.peak_memory)} of "
            f"{format_bytes(self.max_memory)} memory, {scratch} scratch"
        )

    def tiles(self, block: range) -> Iterator[range]:
        """Cut a block into runs of genes whose statistics are made together, some for each thread."""
        genes_per_thread = -(-len(block) // (_TILES_PER_THREAD * self.n_threads))
        return cut_range(block, min(self.genes_per_tile, genes_per_thread))
