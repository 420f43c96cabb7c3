"""Engines: who computes the chunks of a dask array. A further one is a `ChunkEngine` and a line in `find_engine`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from scpdex.matrix.dask._dask_graph import find_scheduler, optimize_graph
from scpdex.matrix.dask._distributed import client_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dask.array import Array

    from scpdex.matrix.dask._chunk_grid import ChunkGrid
    from scpdex.matrix.dask._chunk_reader import ChunkReader, ChunkSample
    from scpdex.matrix.dask._on_cluster import ClusterChunks
    from scpdex.matrix.dask._on_this_machine import LocalChunks
    from scpdex.plan.matrix_info import Workers


class ChunkEngine(Protocol):
    """The members that each engine has.

    An engine on this machine also gives computed chunks for this process to work on
    (:meth:`LocalChunks.compute_parts`). An engine with workers of its own runs further tasks beside its chunks
    (:meth:`ClusterChunks.run_tasks`).
    """

    @property
    def workers(self) -> Workers | None:
        """The workers that compute chunks; None if this machine does."""
        ...

    def sample_chunks(self, reader: ChunkReader, chunk_rows: Sequence[int]) -> list[ChunkSample]:
        """Compute and keep the first stripe of some rows of chunks, and describe each."""
        ...

    def limit_kept_bytes(self, n_bytes: int) -> None:
        """Keep at most so many bytes of computed values, beside the sampled chunks."""
        ...

    def release(self) -> None:
        """Let go of all chunks and threads."""
        ...


def find_engine(array: Array, grid: ChunkGrid, matrix_name: str) -> LocalChunks | ClusterChunks:
    """Find who computes an array, as dask does: the configured scheduler, a client, or threads of this process."""
    schedule, graph = find_scheduler(array), optimize_graph(array)
    client = client_of(schedule)
    if client is None:
        from scpdex.matrix.dask._on_this_machine import LocalChunks  # noqa: PLC0415

        return LocalChunks(graph, grid, schedule)
    # Imports distributed, which dask works without.
    from scpdex.matrix.dask._on_cluster import ClusterChunks  # noqa: PLC0415

    return ClusterChunks(client, graph, grid, matrix_name)
