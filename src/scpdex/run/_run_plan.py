"""Gene blocks through the kernels: all threads gather a block, then share its genes among them."""

from __future__ import annotations

from contextlib import closing
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, cast

from scpdex.machine.progress_bar import progress_bar
from scpdex.machine.scratch_file import refuse_scratch_beyond_disk
from scpdex.machine.threads import on_threads
from scpdex.matrix import Buckets
from scpdex.plan.make_plan import with_counts
from scpdex.run._block_statistics import Summary
from scpdex.run._gene_statistics import write_statistics
from scpdex.run._partial_sums import combined_sums
from scpdex.run._row_passes import RowPasses
from scpdex.run._statistics_table import Table
from scpdex.run._task_graph import ClusterRun

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Executor

    from scpdex.comparisons.design import Design
    from scpdex.machine.scratch_file import Scratch
    from scpdex.matrix import ChunkedSource, DaskSource, GeneBlock, GeneSource
    from scpdex.plan.plan import Plan
    from scpdex.run._statistics_table import Statistics
    from scpdex.run._sufficient_statistics import SufficientStatistics
    from scpdex.statistics.options import TestOptions


def run_plan(
    source: GeneSource | ChunkedSource | DaskSource,
    design: Design,
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
    RuntimeError
        A chunk of a dask array could not be computed.
    """
    refuse_scratch_beyond_disk(plan.scratch)
    n_genes = plan.info.stored.size
    table = Table.empty(design, options, n_genes, scratch if plan.spill_table else None)
    blocks = cast("GeneSource", source)
    if plan.info.chunked and plan.strategy != "column blocks":
        chunked = cast("ChunkedSource | DaskSource", source)
        with progress_bar(plan.passes * chunked.rows.n_steps, unit="cell", show=show) as bar:
            if plan.strategy in {"row passes", "combined sums"}:
                with closing(_sums(chunked, design, options, plan, pool, bar)) as all_sums:
                    for sums in all_sums:
                        _conclude(sums, design, options, plan, table, pool)
                return table
            if plan.strategy == "gene shuffle":
                _shuffle(cast("DaskSource", source), design, options, plan, table, bar, show=show)
                return table
            if plan.strategy == "loaded rows":
                blocks, held, spilled = cast("ChunkedSource", source).load(plan, pool, bar), plan.kept, False
            else:
                blocks = buckets = Buckets.collect(chunked.rows, plan, design.sizes.size, scratch, pool, bar)
                held, spilled = buckets.kept, buckets.spilled
        plan = with_counts(plan, blocks.info.stored, held, spilled=spilled)
    with progress_bar(n_genes, unit="gene", show=show) as bar:
        _rank_blocks(blocks, design, options, plan, table, pool, bar)
    return table


def _sums(
    source: ChunkedSource | DaskSource,
    design: Design,
    options: TestOptions,
    plan: Plan,
    pool: Executor,
    bar: Any,
) -> Generator[SufficientStatistics, None, None]:
    """Add up what the test needs of all cells; give the sums of some neighbouring genes after the other."""
    if plan.strategy == "row passes":
        yield RowPasses(cast("ChunkedSource", source).rows, design, options, plan, pool, bar).sums()
    elif plan.info.workers is not None:
        yield from ClusterRun(cast("DaskSource", source), design, options, plan, bar).sums()
    else:
        yield from combined_sums(cast("DaskSource", source), design, options, plan, pool, bar)


def _shuffle(
    source: DaskSource,
    design: Design,
    options: TestOptions,
    plan: Plan,
    table: Table,
    bar: Any,
    *,
    show: bool | None,
) -> None:
    """Have the blocks ranked by the workers of a cluster."""
    with (
        progress_bar(plan.info.stored.size, unit="gene", show=show) as of_genes,
        closing(ClusterRun(source, design, options, plan, bar).shuffle()) as blocks,
    ):
        for genes, part in blocks:
            table.place(genes, part)
            of_genes.update(len(genes))


def _rank_blocks(
    source: GeneSource,
    design: Design,
    options: TestOptions,
    plan: Plan,
    table: Table,
    pool: Executor,
    bar: Any,
) -> None:
    """Rank the blocks of a source, one after the other."""
    info, ranked = plan.info, design.ranked
    # One for each thread: whoever takes up a tile takes the scratch of whoever has just finished one.
    idle: SimpleQueue[Summary] = SimpleQueue()
    for _ in range(plan.n_threads):
        idle.put(Summary(ranked, options, int(info.stored.max()), info.key_dtype))
    with closing(source.blocks(plan, pool)) as blocks:
        for block in blocks:
            part = table.room_for(block.genes)

            def work(tile: range, whole: GeneBlock = block, part: Statistics = part) -> None:
                summary = idle.get()
                try:
                    write_statistics(summary.sums(whole.part(tile)), design, options, table, part)
                finally:
                    idle.put(summary)
                bar.update(len(tile))

            on_threads(pool, work, plan.tiles(block.genes))
            table.keep(part)


def _conclude(
    sums: SufficientStatistics, design: Design, options: TestOptions, plan: Plan, table: Table, pool: Executor
) -> None:
    """Test what was added up."""
    ranked = design.ranked
    for block in plan.blocks:
        genes = range(max(block.start, sums.genes.start), min(block.stop, sums.genes.stop))
        if not genes:
            continue
        part = table.room_for(genes)

        def work(tile: range, part: Statistics = part) -> None:
            write_statistics(sums.part(tile).of_ranked(ranked), design, options, table, part)

        on_threads(pool, work, plan.tiles(genes))
        table.keep(part)
