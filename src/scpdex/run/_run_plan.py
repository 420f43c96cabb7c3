"""Run a plan: its strategy brings genes together, batch by batch, and each batch goes to the table of statistics."""

from __future__ import annotations

from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING

from scpdex.machine.scratch_file import refuse_scratch_beyond_disk

if TYPE_CHECKING:
    from collections.abc import Generator

    from scpdex.matrix import Source
    from scpdex.run._batches import Batch
    from scpdex.run._gene_rows import GeneRows
    from scpdex.run._job import Job
    from scpdex.run._statistics_table import Table


def run_plan(source: Source, job: Job, rows: GeneRows) -> Table:
    """Compute the statistics of every tested gene and group.

    Raises
    ------
    NotCountsError
        Values are not counts, or are too high to be tallied.
    OSError
        The disk has no room for the scratch that the plan may need, or a file cannot be read.
    RuntimeError
        A chunk of a dask array could not be computed.
    """
    plan = job.plan
    source.prepare(plan)
    refuse_scratch_beyond_disk(plan.scratch)
    if plan.requirements.takes_median:
        with job.open_progress_bar(job.design.codes.size, "cell") as bar:
            source = source.find_median(plan, job.pool, bar)
    scratch = job.scratch if plan.spill_table else None
    table = job.measure.make_table(job.design, plan.matrix.n_genes, rows, scratch)
    strategy = import_module(f"scpdex.run.strategies.{plan.strategy.replace(' ', '_')}")
    batches: Generator[Batch, None, None] = strategy.run(source, job)
    with closing(batches):
        for batch in batches:
            batch.write_to(table)
    table.end()
    return table
