"""Plan: pure arithmetic from what is known of the matrix to gene blocks and threads; touches no data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Rows of a CSR matrix are walked once per block, and each block costs some milliseconds: wide ones pay, as far as the
# memory bound allows; with thousands, writing to so many genes at once misses the cache.
GENES_PER_BLOCK = 4096
# What a block may take, as a share of the matrix, and at least.
SHARE_OF_MATRIX = 0.2
LEAST_BYTES = 32 << 20
# Where each group ends is noted for each gene of a block.
END_BYTES = 4
# The statistics of a block are made for so many (gene, group) pairs at a time, which keeps them in the cache.
PAIRS_PER_TILE = 1 << 15
# Less than this many non-zeros is done sooner than a further thread is started.
LEAST_EFFORT_PER_THREAD = 20_000
# Threads that are done early take a further tile.
_TILES_PER_THREAD = 2
# A pair of gene and group costs about as much as this many non-zeros.
_ENTRIES_PER_PAIR = 3


@dataclass(frozen=True)
class MatrixFacts:
    """What the plan needs to know of a matrix."""

    format: str
    """``"dense"``, ``"CSR"`` or ``"CSC"``."""
    dtype: str
    n_bytes: int
    """Memory that the matrix takes."""
    n_cells: int
    """Cells that are compared."""
    key_dtype: np.dtype[Any]
    """What a non-zero is gathered as."""
    stored: NDArray[np.int64]
    """For each tested gene, the most non-zeros it can have."""


@dataclass(frozen=True)
class Plan:
    """Gene blocks, one after the other; all threads gather a block, then all rank its genes, a tile at a time."""

    facts: MatrixFacts
    work: str
    """What the kernels do with a block, in a word or two."""
    blocks: tuple[range, ...]
    genes_per_tile: int
    n_threads: int

    def __str__(self) -> str:
        facts = self.facts
        return (
            f"{facts.format} {facts.dtype} in memory, {facts.n_cells:,} cells x {facts.stored.size:,} genes: "
            f"{self.work} in {_counted(len(self.blocks), 'block')} of up to "
            f"{_counted(max(map(len, self.blocks)), 'gene')} on {_counted(self.n_threads, 'thread')}"
        )

    def tiles(self, block: range) -> Iterator[range]:
        """Cut a block into the runs of genes whose statistics are made together, some for each thread."""
        share = -(-len(block) // (_TILES_PER_THREAD * self.n_threads))
        return cut(block, min(self.genes_per_tile, share))


def make_plan(facts: MatrixFacts, n_codes: int, n_threads: int, work: str) -> Plan:
    """Cut the genes into blocks within the memory bound, for no more threads than there is work for."""
    effort = int(facts.stored.sum()) + _ENTRIES_PER_PAIR * n_codes * facts.stored.size
    n_bytes = facts.stored * facts.key_dtype.itemsize + END_BYTES * n_codes
    most_bytes = int(max(LEAST_BYTES, SHARE_OF_MATRIX * facts.n_bytes))
    return Plan(
        facts,
        work,
        tuple(_blocks(n_bytes, most_bytes)),
        max(1, PAIRS_PER_TILE // n_codes),
        max(1, min(n_threads, effort // LEAST_EFFORT_PER_THREAD)),
    )


def cut(run: range, most: int) -> Iterator[range]:
    """Cut a run into parts of at most so many."""
    return (range(first, min(first + most, run.stop)) for first in range(run.start, run.stop, most))


def _blocks(n_bytes: NDArray[np.int64], most_bytes: int) -> Iterator[range]:
    """Cut neighbouring genes into blocks of at most ``GENES_PER_BLOCK`` genes and, beyond one, ``most_bytes``.

    Blocks are about equal, so that as many as are needed take no more memory than they must.
    """
    n_blocks = max(-(-int(n_bytes.sum()) // most_bytes), -(-n_bytes.size // GENES_PER_BLOCK))
    about = min(most_bytes, int(n_bytes.sum()) // n_blocks + int(n_bytes.max()))
    start = 0
    while start < n_bytes.size:
        ahead = np.cumsum(n_bytes[start : start + GENES_PER_BLOCK])
        length = max(1, int(np.searchsorted(ahead, about, side="right")))
        yield range(start, start + length)
        start += length


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
