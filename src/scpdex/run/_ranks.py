"""Gene blocks through the kernels: all threads gather a block, then share its genes among them."""

from __future__ import annotations

from contextlib import closing
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from scpdex.matrix import Buckets, ChunkedSource
from scpdex.progress import progress_bar
from scpdex.run._passes import RowPasses
from scpdex.run._summary import Summary
from scpdex.run._table import Table
from scpdex.scratch import refuse_scratch_beyond_disk
from scpdex.threads import on_threads

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from scpdex.comparisons import Comparison
    from scpdex.matrix import GeneBlock, GeneSource
    from scpdex.plan import Plan
    from scpdex.run._sums import Sums
    from scpdex.run._table import Statistics
    from scpdex.scratch import Scratch
    from scpdex.statistics.options import TestOptions


def run_plan(
    source: GeneSource | ChunkedSource,
    comparison: Comparison,
    options: TestOptions,
    plan: Plan,
    *,
    scratch: Scratch,
    pool: Executor,
    show: bool | None,
) -> Table:
    """Compute the statistics of every tested gene and group.

    Raises
    ------
    OSError
        The disk has no room for the scratch that the plan may need, or a file cannot be read.
    """
    refuse_scratch_beyond_disk(plan.scratch)
    n_genes = plan.facts.stored.size
    table = Table.empty(comparison, options, n_genes, scratch if plan.spill_table else None)
    blocks: GeneSource = source
    if isinstance(source, ChunkedSource) and plan.strategy != "column blocks":
        rows = source.rows
        n_cells = plan.passes * rows.n_steps
        with progress_bar(n_cells, unit="cell", show=show) as bar:
            if plan.strategy == "row passes":
                sums = RowPasses(rows, comparison, options, plan, pool, bar).sums()
                _conclude(sums, comparison, options, plan, table, pool)
                return table
            if plan.strategy == "loaded rows":
                blocks, held, spilled = source.load(plan, pool, bar), plan.kept, False
            else:
                blocks = buckets = Buckets.collect(rows, plan, comparison.sizes.size, scratch, pool, bar)
                held, spilled = buckets.kept, buckets.spilled
        plan = plan.with_counts(blocks.facts.stored, held, spilled=spilled)
    with progress_bar(n_genes, unit="gene", show=show) as bar:
        _rank_blocks(blocks, comparison, options, plan, table, pool, bar)
    return table


def _rank_blocks(
    source: GeneSource,
    comparison: Comparison,
    options: TestOptions,
    plan: Plan,
    table: Table,
    pool: Executor,
    bar: Any,
) -> None:
    """Rank the blocks of a source, one after the other."""
    facts = plan.facts
    # One for each thread: whoever takes up a tile takes the scratch of whoever has just finished one.
    idle: SimpleQueue[Summary] = SimpleQueue()
    for _ in range(plan.n_threads):
        idle.put(Summary(comparison, options, int(facts.stored.max()), facts.key_dtype))
    with closing(source.blocks(plan, pool)) as blocks:
        for block in blocks:
            part = table.room_for(block.genes)

            def work(tile: range, whole: GeneBlock = block, part: Statistics = part) -> None:
                summary = idle.get()
                try:
                    summary.sums(whole.part(tile)).conclude(comparison, options, table, part)
                finally:
                    idle.put(summary)
                bar.update(len(tile))

            on_threads(pool, work, plan.tiles(block.genes))
            table.keep(part)


def _conclude(
    sums: Sums, comparison: Comparison, options: TestOptions, plan: Plan, table: Table, pool: Executor
) -> None:
    """Test what was added up of all genes."""
    for genes in plan.blocks:
        part = table.room_for(genes)

        def work(tile: range, part: Statistics = part) -> None:
            sums.part(tile).conclude(comparison, options, table, part)

        on_threads(pool, work, plan.tiles(genes))
        table.keep(part)
