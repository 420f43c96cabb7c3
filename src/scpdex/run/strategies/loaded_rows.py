"""Loaded rows: rows are read into memory, then gathered block by block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scpdex.plan.counted_blocks import cut_counted_blocks
from scpdex.plan.gene_blocks import target_block_bytes
from scpdex.run._batches import gather_batches

if TYPE_CHECKING:
    from collections.abc import Generator

    from scpdex.matrix import ChunkedSource
    from scpdex.run._batches import Batch
    from scpdex.run._job import Job


def run(source: ChunkedSource, job: Job) -> Generator[Batch, None, None]:
    """Load all rows, and cut the blocks by what is counted in them."""
    plan = job.plan
    with job.open_progress_bar(source.rows.n_steps, "cell") as bar:
        loaded = source.load(plan, job.pool, bar)
    max_bytes = target_block_bytes(plan.matrix)
    plan = cut_counted_blocks(plan, loaded.info.max_nonzeros, plan.loaded_bytes, max_bytes=max_bytes)
    yield from gather_batches(replace(job, plan=plan), loaded)
