"""Column blocks: blocks of columns are read one by one, the next one while one is ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.run._batches import gather_batches

if TYPE_CHECKING:
    from collections.abc import Generator

    from scpdex.matrix import ChunkedSource
    from scpdex.run._batches import Batch
    from scpdex.run._job import Job


def run(source: ChunkedSource, job: Job) -> Generator[Batch, None, None]:
    """Read the blocks of the plan."""
    yield from gather_batches(job, source)
