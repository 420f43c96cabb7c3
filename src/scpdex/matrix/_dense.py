"""Dense arrays in memory, of any memory order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.entries import entry_bytes, is_wide, new_entries
from scpdex.kernels.gather import gather_dense
from scpdex.matrix._block import GeneBlock
from scpdex.plan import MatrixFacts, cut

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.plan import Plan


@dataclass(frozen=True)
class DenseSource:
    """Compared cells and tested columns of a dense matrix."""

    values: NDArray[Any]
    cells: NDArray[np.int64]
    codes: NDArray[np.int32]
    columns: NDArray[np.int64]
    facts: MatrixFacts

    @classmethod
    def open(
        cls, values: NDArray[Any], cells: NDArray[np.int64], codes: NDArray[np.int32], columns: NDArray[np.int64]
    ) -> DenseSource:
        """Say what the plan needs to know: any value may be non-zero."""
        stored = np.full(columns.size, cells.size, dtype=np.int64)
        one = entry_bytes(wide=is_wide(values.dtype))
        facts = MatrixFacts("dense", str(values.dtype), values.nbytes, cells.size, one, stored)
        return cls(values, cells, codes, columns, facts)

    def reader(self, plan: Plan, pool: Executor) -> _DenseReader:
        """Open the plan's blocks, with room for the largest."""
        entries = new_entries(max(map(len, plan.blocks)) * self.cells.size, wide=is_wide(self.values.dtype))
        return _DenseReader(self, entries, pool, plan.n_threads)


@dataclass(frozen=True)
class _DenseReader:
    source: DenseSource
    entries: Any
    pool: Executor
    n_threads: int

    def read(self, genes: range) -> GeneBlock:
        source = self.source
        starts = np.arange(len(genes)) * source.cells.size
        lengths = np.empty_like(starts)
        columns = source.columns[genes.start : genes.stop]

        def gather(some: range) -> bool:
            part = slice(some.start, some.stop)
            return gather_dense(
                source.values, source.cells, source.codes, columns[part], self.entries, starts[part], lengths[part]
            )

        parts = cut(range(len(genes)), -(-len(genes) // self.n_threads))
        return GeneBlock(genes, self.entries, starts, lengths, all(list(self.pool.map(gather, parts))))
