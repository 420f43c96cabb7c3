"""Gene blocks through the kernels, run by run on threads."""

from __future__ import annotations

import threading
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
    stop = threading.Event()

    def work(blocks: tuple[range, ...]) -> None:
        reader = source.reader(blocks)
        longest = max(int(source.facts.stored[block.start : block.stop].max()) for block in blocks)
        summary = Summary(comparison, options, longest)
        for genes in blocks:
            if stop.is_set():
                return
            block = reader.read(genes)
            table.counts_like.append(block.counts_like)
            for tile in plan.tiles(genes):
                summary.add(block.part(tile), table)
            bar.update(len(genes))

    on_threads(pool, work, plan.runs, stop)
    return table
