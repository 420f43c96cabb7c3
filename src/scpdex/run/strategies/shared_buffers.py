"""Shared buffers: all threads gather a block of genes of a matrix in memory, then share its genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.run._batches import gather_batches

if TYPE_CHECKING:
    from collections.abc import Generator

    from scpdex.matrix import GeneSource
    from scpdex.run._batches import Batch
    from scpdex.run._job import Job


def run(source: GeneSource, job: Job) -> Generator[Batch, None, None]:
    """Gather the blocks of the plan from the user's own matrix."""
    yield from gather_batches(job, source)
