"""Engines: who computes the chunks of a dask array. A further one is a `ChunkEngine` and a line in `find_engine`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.matrix.dask._dask_graph import find_scheduler, optimize_graph
from scpdex.matrix.dask._distributed import client_of
from scpdex.matrix.dask._on_this_machine import LocalChunks

if TYPE_CHECKING:
    from dask.array import Array

    from scpdex.matrix.dask._chunk_grid import ChunkGrid
    from scpdex.matrix.dask._on_cluster import ClusterChunks


def find_engine(array: Array, grid: ChunkGrid, matrix_name: str) -> LocalChunks | ClusterChunks:
    """Find who computes an array, as dask does: the configured scheduler, a client, or threads of this process."""
    schedule, graph = find_scheduler(array), optimize_graph(array)
    client = client_of(schedule)
    if client is None:
        return LocalChunks(graph, grid, schedule)
    # Imports distributed, which dask works without.
    from scpdex.matrix.dask._on_cluster import ClusterChunks  # noqa: PLC0415

    return ClusterChunks(client, graph, grid, matrix_name)
