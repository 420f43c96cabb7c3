"""Dense matrices in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.gather import gather_dense
from scpdex.kernels.keys import key_dtype
from scpdex.matrix._block import GeneBlock, Room
from scpdex.plan import MatrixFacts, cut

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.matrix._cells import ComparedCells
    from scpdex.plan import Plan


@dataclass(frozen=True)
class DenseSource:
    """Compared cells and tested columns of a dense matrix."""

    values: NDArray[Any]
    cells: ComparedCells
    columns: NDArray[np.int64]
    facts: MatrixFacts

    @classmethod
    def open(cls, values: NDArray[Any], cells: ComparedCells, columns: NDArray[np.int64]) -> DenseSource:
        """Say what the plan needs to know: any value may be non-zero."""
        stored = np.full(columns.size, cells.rows.size, dtype=np.int64)
        facts = MatrixFacts("dense", str(values.dtype), values.nbytes, cells.rows.size, key_dtype(values.dtype), stored)
        return cls(values, cells, columns, facts)

    def reader(self, plan: Plan, pool: Executor) -> _DenseReader:
        """Open the plan's blocks, with room for the largest."""
        return _DenseReader(self, Room.of(plan, self.cells.group_stops.size), pool, plan.n_threads)


@dataclass(frozen=True)
class _DenseReader:
    source: DenseSource
    room: Room
    pool: Executor
    n_threads: int

    def read(self, genes: range) -> GeneBlock:
        source, room = self.source, self.room
        starts = np.arange(len(genes)) * source.cells.rows.size
        columns = source.columns[genes.start : genes.stop]

        def gather(part: range) -> None:
            some = slice(part.start, part.stop)
            gather_dense(
                source.values,
                source.cells.rows,
                source.cells.group_stops,
                columns[some],
                room.keys,
                starts[some],
                room.ends[:, some],
            )

        list(self.pool.map(gather, cut(range(len(genes)), -(-len(genes) // self.n_threads))))
        return GeneBlock(genes, room.keys, starts, room.ends[:, : len(genes)].T)
