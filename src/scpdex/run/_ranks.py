"""Gene blocks through the kernels: all threads gather a block, then share its genes among them."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from scpdex.run._summary import Summary
from scpdex.run._table import Table
from scpdex.run._threads import on_threads

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from scpdex.comparisons import Comparison
    from scpdex.matrix import GeneSource
    from scpdex.plan import Plan
    from scpdex.statistics.options import TestOptions


def run_plan(
    source: GeneSource, comparison: Comparison, options: TestOptions, plan: Plan, pool: Executor, bar: Any
) -> Table:
    """Compute the statistics of every tested gene and group."""
    table = Table.empty(comparison, options, source.facts.stored.size)
    reader = source.reader(plan, pool)
    facts = source.facts
    # One for each thread: whoever takes up a tile takes the scratch of whoever has just finished one.
    idle: SimpleQueue[Summary] = SimpleQueue()
    for _ in range(plan.n_threads):
        idle.put(Summary(comparison, options, int(facts.stored.max()), facts.key_dtype))
    for genes in plan.blocks:
        block = reader.read(genes)

        def work(tile: range, whole: Any = block) -> None:
            summary = idle.get()
            try:
                summary.add(whole.part(tile), table)
            finally:
                idle.put(summary)
            bar.update(len(tile))

        on_threads(pool, work, plan.tiles(genes))
    return table
