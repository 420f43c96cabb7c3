"""Gene block: the non-zeros of some genes, group by group; what every storage gives and every kernel takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.plan.plan import Plan


@dataclass(frozen=True)
class GeneBlock:
    """Non-zero values of a run of neighbouring tested genes: gene by gene, group by group, and in cell order."""

    genes: range
    """Positions among the tested genes."""
    keys: NDArray[Any]
    """Values as sortable keys, see :mod:`scpdex.kernels.keys`."""
    starts: NDArray[np.int64]
    """Where each gene's keys start in ``keys``."""
    ends: NDArray[np.uint32]
    """Group boundaries, genes x groups, of any memory order: where each group's keys end, counted from ``starts``."""

    def gene_keys(self, g: int) -> NDArray[Any]:
        """Give the keys of gene ``g``, counted from the first gene of the block."""
        return self.keys[self.starts[g] : self.starts[g] + int(self.ends[g, -1])]

    def part(self, genes: range) -> GeneBlock:
        """Give the block of some neighbouring genes, a view of the same arrays."""
        run = slice(genes.start - self.genes.start, genes.stop - self.genes.start)
        return GeneBlock(genes, self.keys, self.starts[run], self.ends[run])

    def select_codes(self, first: int, stop: int) -> GeneBlock:
        """Give the block of the groups from ``first`` to ``stop``, on the same keys: theirs are side by side."""
        ends = np.ascontiguousarray(self.ends[:, first:stop])
        if first == 0:
            return GeneBlock(self.genes, self.keys, self.starts, ends)
        offsets = self.ends[:, first - 1]
        return GeneBlock(self.genes, self.keys, self.starts + offsets, ends - offsets[:, None])


@dataclass(frozen=True)
class BlockBuffers:
    """Memory for one block after the other: each overwrites the one before it."""

    keys: NDArray[Any]
    ends: NDArray[np.uint32]
    """Group boundaries, groups x genes, as they are written."""

    @classmethod
    def of(cls, plan: Plan, n_groups: int) -> BlockBuffers:
        """Allocate memory for the largest block; smaller blocks leave the rest of it untouched."""
        nonzeros = plan.matrix.max_nonzeros
        n_keys = max(int(nonzeros[block.start : block.stop].sum()) for block in plan.blocks)
        n_genes = max(map(len, plan.blocks))
        return cls(np.empty(n_keys, dtype=plan.matrix.key_dtype), np.empty((n_groups, n_genes), dtype=np.uint32))


class GeneSource(Protocol):
    """The compared cells and tested genes of a matrix that can be read gene by gene."""

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, gathered by all threads, each overwriting the one before it."""
        ...


def lay_out_genes(max_nonzeros: NDArray[np.int64], genes: range) -> NDArray[np.int64]:
    """Give where each gene's keys start in a block: one gene behind the other, with room for ``max_nonzeros`` each."""
    lengths = max_nonzeros[genes.start : genes.stop]
    return np.asarray(np.cumsum(lengths) - lengths)
