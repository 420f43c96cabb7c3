"""The waist: what every storage gives and every kernel takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.plan import MatrixFacts, Plan


@dataclass(frozen=True)
class GeneBlock:
    """The non-zeros of a run of neighbouring tested genes, gene by gene and in cell order."""

    genes: range
    """Positions among the tested genes."""
    entries: Any
    """Keys and group codes in one of the layouts of :mod:`scpdex.kernels.entries`."""
    starts: NDArray[Any]
    """Where each gene's entries start, ``int64``."""
    lengths: NDArray[Any]
    """How many entries each gene has, ``int64``."""
    counts_like: bool
    """Whether all values are whole and non-negative."""

    def part(self, genes: range) -> GeneBlock:
        """Give the block of some of these genes, on the same memory."""
        run = slice(genes.start - self.genes.start, genes.stop - self.genes.start)
        return GeneBlock(genes, self.entries, self.starts[run], self.lengths[run], self.counts_like)


class Reader(Protocol):
    """Reads blocks in order, on all threads, into memory that it reuses."""

    def read(self, genes: range) -> GeneBlock:
        """Bring the entries of the next genes together; the last block read is overwritten."""
        ...


class GeneSource(Protocol):
    """A matrix of which some cells, each with its code, and some genes are compared."""

    @property
    def facts(self) -> MatrixFacts:
        """What the plan needs to know."""
        ...

    def reader(self, plan: Plan, pool: Executor) -> Reader:
        """Open the plan's blocks, with room for the largest."""
        ...
