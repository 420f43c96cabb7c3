"""Plan: pure arithmetic from what is known of the matrix to gene blocks and threads; touches no data."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Rows of a CSR matrix are walked once per block, which pays from some hundred genes on.
GENES_PER_BLOCK = 256
# What the entries of the blocks at work may take together, as a share of the matrix, and at least.
SHARE_OF_MATRIX = 0.2
LEAST_BYTES = 32 << 20
# The statistics of a block are made for so many (gene, group) pairs at a time, which keeps them in the cache.
PAIRS_PER_TILE = 1 << 15
# Less than this many entries is done sooner than a further thread is started.
LEAST_EFFORT_PER_THREAD = 20_000
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
    entry_bytes: int
    """Memory of one gathered non-zero."""
    stored: NDArray[np.int64]
    """For each tested gene, the most entries it can have."""


@dataclass(frozen=True)
class Plan:
    """Gene blocks in runs of neighbours; one thread takes one run at a time."""

    facts: MatrixFacts
    work: str
    """What the kernels do with a block, in a word or two."""
    runs: tuple[tuple[range, ...], ...]
    genes_per_tile: int

    def __str__(self) -> str:
        facts = self.facts
        blocks = [block for run in self.runs for block in run]
        return (
            f"{facts.format} {facts.dtype} in memory, {facts.n_cells:,} cells x {facts.stored.size:,} genes: "
            f"{self.work} in {_counted(len(blocks), 'block')} of up to {_counted(max(map(len, blocks)), 'gene')} "
            f"on {_counted(len(self.runs), 'thread')}"
        )

    def tiles(self, block: range) -> Iterator[range]:
        """Cut a block into the runs of genes whose statistics are made together."""
        for first in range(block.start, block.stop, self.genes_per_tile):
            yield range(first, min(first + self.genes_per_tile, block.stop))


def make_plan(facts: MatrixFacts, n_codes: int, n_threads: int, work: str) -> Plan:
    """Share the genes among the threads by their entries, and cut each share into blocks within the memory bound."""
    n_genes = facts.stored.size
    effort = np.cumsum(facts.stored + _ENTRIES_PER_PAIR * n_codes)
    n_threads = max(1, min(n_threads, n_genes, effort[-1] // LEAST_EFFORT_PER_THREAD))
    shares = effort[-1] * np.arange(1, n_threads) / n_threads
    inner = np.searchsorted(effort, shares).tolist()
    borders = [0, *(max(border, i + 1) for i, border in enumerate(inner)), n_genes]
    most_bytes = max(LEAST_BYTES, SHARE_OF_MATRIX * facts.n_bytes) / n_threads
    most_entries = max(1, int(most_bytes / facts.entry_bytes))
    runs = tuple(
        tuple(_blocks(range(start, stop), facts.stored, most_entries))
        for start, stop in pairwise(borders)
        if start < stop
    )
    return Plan(facts, work, runs, max(1, PAIRS_PER_TILE // n_codes))


def _blocks(genes: range, stored: NDArray[np.int64], most_entries: int) -> Iterator[range]:
    """Cut neighbouring genes into blocks of at most ``GENES_PER_BLOCK`` genes and, beyond one, ``most_entries``."""
    start = genes.start
    while start < genes.stop:
        ahead = np.cumsum(stored[start : min(start + GENES_PER_BLOCK, genes.stop)])
        length = max(1, int(np.searchsorted(ahead, most_entries, side="right")))
        yield range(start, start + length)
        start += length


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
