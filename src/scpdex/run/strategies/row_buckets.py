"""Row buckets: rows are read once and their values sorted into genes, then gathered block by block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scpdex.matrix import GeneBuckets
from scpdex.plan.counted_blocks import cut_counted_blocks
from scpdex.run._batches import gather_batches

if TYPE_CHECKING:
    from collections.abc import Generator

    from scpdex.matrix import ChunkedSource, DaskSource, JoinedSource
    from scpdex.run._batches import Batch
    from scpdex.run._job import Job


def run(source: ChunkedSource | JoinedSource | DaskSource, job: Job) -> Generator[Batch, None, None]:
    """Collect the values of all rows, and cut the blocks by what is counted in them."""
    plan, rows = job.plan, source.rows
    with job.open_progress_bar(rows.n_steps, "cell") as bar:
        buckets = GeneBuckets.collect(rows, plan, job.design.sizes.size, job.scratch, job.pool, bar)
    plan = cut_counted_blocks(plan, buckets.nonzeros, buckets.kept_bytes, in_scratch=buckets.has_spilled)
    yield from gather_batches(replace(job, plan=plan), buckets)
