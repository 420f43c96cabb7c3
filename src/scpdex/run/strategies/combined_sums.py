"""Combined sums: each dask chunk gives sums, which are added up wherever they are."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from scpdex.run._batches import cut_into_batches
from scpdex.run._partial_sums import PartialSums
from scpdex.run._task_graph import TaskGraph

if TYPE_CHECKING:
    from collections.abc import Generator

    from scpdex.matrix import ChunkPart, DaskSource, Piece
    from scpdex.run._batches import Batch
    from scpdex.run._job import Job
    from scpdex.run._sufficient_statistics import SufficientStatistics


def run(source: DaskSource, job: Job) -> Generator[Batch, None, None]:
    """Add up the parts of all cells, stripe of genes by stripe.

    Raises
    ------
    NotCountsError
        Values are not counts, or are too high to be tallied.
    RuntimeError
        A chunk could not be computed.
    """
    add_up = _add_up_on_this_machine if source.is_local else _add_up_on_workers
    with job.open_progress_bar(source.n_steps, "cell") as bar, closing(add_up(source, job, bar)) as stripes:
        for sums in stripes:
            yield from cut_into_batches(job, sums)


def _add_up_on_this_machine(source: DaskSource, job: Job, bar: Any) -> Generator[SufficientStatistics, None, None]:
    """Add up the parts that the threads of this machine compute."""
    plan, design = job.plan, job.design

    def add_up(piece: Piece, part: ChunkPart) -> PartialSums:
        return PartialSums.of(piece, part.genes, source.codes[part.cells], design, job.measure, plan.max_tally_bytes)

    total: PartialSums | None = None
    with closing(source.map_parts(add_up, plan.values_per_piece, job.pool, plan.n_threads)) as partial_sums:
        for partial in partial_sums:
            bar.update(int(partial.sizes.sum()))
            if total is not None and total.sums.genes != partial.sums.genes:
                yield total.to_statistics(design)
                total = None
            total = partial if total is None else PartialSums.sum_of([total, partial])
    if total is not None:
        yield total.to_statistics(design)


def _add_up_on_workers(source: DaskSource, job: Job, bar: Any) -> Generator[SufficientStatistics, None, None]:
    """Add up the parts where the workers of a cluster compute them."""
    yield from TaskGraph(source, job, bar).combine_sums()
