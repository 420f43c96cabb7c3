"""Gene shuffle: dask workers split their chunks by gene, and rank each block of genes on one worker."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from scpdex.run._batches import WorkerBatch
from scpdex.run._task_graph import TaskGraph

if TYPE_CHECKING:
    from collections.abc import Generator

    from scpdex.matrix import DaskSource
    from scpdex.run._batches import Batch
    from scpdex.run._job import Job


def run(source: DaskSource, job: Job) -> Generator[Batch, None, None]:
    """Give the blocks as the workers have ranked them.

    Raises
    ------
    RuntimeError
        A chunk could not be computed.
    """
    with (
        job.open_progress_bar(source.n_steps, "cell") as cells,
        job.open_progress_bar(job.plan.matrix.n_genes, "gene") as genes,
        closing(TaskGraph(source, job, cells).shuffle()) as blocks,
    ):
        for block, table in blocks:
            yield WorkerBatch(block, table)
            genes.update(len(block))
