"""Dense matrices in memory: their columns become gene blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.gather import gather_dense
from scpdex.kernels.keys import key_dtype
from scpdex.matrix._gene_block import BlockBuffers, GeneBlock
from scpdex.matrix._source import Source
from scpdex.plan.gene_blocks import cut_range
from scpdex.plan.matrix_info import MemoryMatrix

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.matrix._compared_cells import ComparedCells
    from scpdex.plan.plan import Plan


@dataclass(frozen=True)
class DenseSource(Source):
    """The compared cells and tested genes of a dense matrix."""

    values: NDArray[Any]
    cells: ComparedCells
    columns: NDArray[np.int64]
    """Column of each tested gene, ascending."""
    info: MemoryMatrix

    @classmethod
    def open(cls, values: NDArray[Any], cells: ComparedCells, columns: NDArray[np.int64]) -> DenseSource:
        """Say what the plan needs to know: any value may be non-zero."""
        max_nonzeros = np.full(columns.size, cells.rows.size, dtype=np.int64)
        info = MemoryMatrix(
            format="dense",
            dtype=str(values.dtype),
            n_bytes=values.nbytes,
            n_cells=cells.rows.size,
            key_dtype=key_dtype(values.dtype),
            max_nonzeros=max_nonzeros,
        )
        return cls(values, cells, columns, info)

    def blocks(self, plan: Plan, pool: Executor) -> Generator[GeneBlock, None, None]:
        """Give the plan's blocks in turn, each overwriting the one before it."""
        buffers = BlockBuffers.of(plan, self.cells.group_stops.size)
        for genes in plan.blocks:
            columns = self.columns[genes.start : genes.stop]
            yield gather_block(self.values, self.cells, columns, genes, buffers, pool, plan.n_threads)


def gather_block(
    values: NDArray[Any],
    cells: ComparedCells,
    columns: NDArray[np.int64],
    genes: range,
    buffers: BlockBuffers,
    pool: Executor,
    n_threads: int,
) -> GeneBlock:
    """Gather the values of ``columns``, which hold the tested genes ``genes``, on the pool's threads."""
    starts = np.arange(len(genes)) * cells.rows.size

    def gather(part: range) -> None:
        run = slice(part.start, part.stop)
        gather_dense(
            values, cells.rows, cells.group_stops, columns[run], buffers.keys, starts[run], buffers.ends[:, run]
        )

    list(pool.map(gather, cut_range(range(len(genes)), -(-len(genes) // n_threads))))
    return GeneBlock(genes, buffers.keys, starts, buffers.ends[:, : len(genes)].T)
