"""Chunks of a dask array computed by the workers of a cluster, where they stay."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dask.core import flatten
from dask.highlevelgraph import HighLevelGraph
from distributed import as_completed, rejoin, secede
from distributed.threadpoolexecutor import thread_state as pool_state
from distributed.worker import thread_state

from scpdex.matrix.dask._chunk_reader import ChunkError, ChunkKindError, ChunkValueError
from scpdex.plan.matrix_info import Workers

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from distributed import Client

    from scpdex.matrix.dask._chunk_reader import ChunkReader, Grid, Look

# Memory of a worker's thread where the worker has no limit.
_UNLIMITED = 1 << 30


@dataclass
class ClusterChunks:
    """The graph of an array, and the client that has it computed."""

    client: Client
    graph: Mapping[Any, Any]
    grid: Grid
    where: str
    looked_at: list[Any] = field(default_factory=list)
    """Futures of chunks that were looked at: as long as these are here, workers keep them."""

    def look(self, reader: ChunkReader, places: Sequence[int]) -> list[Look]:
        """Look at the first stripe of some chunks of rows, which the workers keep."""
        stripe = self.grid.stripes[0]
        blocks = {f"scpdex-look-{uuid4().hex}": i for i in places}
        keys = [key for i in places for key in flatten(self.grid.keys([i], stripe))]
        self.looked_at = self.client.get(self.graph, keys, sync=False)
        looks = {
            name: (reader.look, self.grid.keys([i], stripe), self.grid.shapes([i], stripe))
            for name, i in blocks.items()
        }
        with self.results(looks, looks) as results:
            found = dict(results)
        return [found[name] for name in looks]

    def release(self) -> None:
        """Let workers forget what was looked at, which an error that is kept would not."""
        for future in self.looked_at:
            future.release()
        self.looked_at.clear()

    def keep_up_to(self, n_bytes: int) -> None:
        """Do nothing: workers keep what is needed, as far as their memory and disks go."""

    @property
    def workers(self) -> Workers:
        """What the cluster has at present."""
        threads = self.client.nthreads()
        limits = [
            worker["memory_limit"] // worker["nthreads"] if worker["memory_limit"] else _UNLIMITED
            for worker in self.client.scheduler_info()["workers"].values()
        ]
        return Workers(max(1, len(threads)), max(1, sum(threads.values())), min(limits, default=_UNLIMITED))

    @contextmanager
    def results(
        self, tasks: Mapping[Any, Any], keys: Iterable[Any], let_through: tuple[type[Exception], ...] = ()
    ) -> Generator[Iterator[tuple[Any, Any]], None, None]:
        """Have tasks done that may need the array's chunks, and give the values of some as they are ready.

        On leaving, what is not done yet is cancelled.

        Raises
        ------
        ChunkError
            A task raised another error than our own refusals and those let through, or workers died over it more often
            than dask allows.
        """
        keys = list(keys)
        futures = dict(zip(keys, self.client.get(self._with(tasks), keys, sync=False), strict=True))
        with _thread_left_to_others():
            try:
                yield self._as_completed(futures, (ChunkKindError, ChunkValueError, *let_through))
            finally:
                self.client.cancel(list(futures.values()))

    def _as_completed(
        self, futures: dict[Any, Any], let_through: tuple[type[Exception], ...]
    ) -> Iterator[tuple[Any, Any]]:
        for future in as_completed(list(futures.values())):
            try:
                # One at a time: more would wait in memory.
                value = future.result()
            except let_through:
                raise
            except Exception as error:
                raise ChunkError.of(self.where, error) from error
            # Workers need not keep it any longer.
            futures.pop(future.key).release()
            yield future.key, value

    def _with(self, tasks: Mapping[Any, Any]) -> HighLevelGraph:
        """Add tasks to the array's graph, as a layer that depends on it."""
        name = self.grid.name
        graph = (
            self.graph if isinstance(self.graph, HighLevelGraph) else HighLevelGraph({name: self.graph}, {name: set()})
        )
        layer = f"scpdex-{uuid4().hex}"
        return HighLevelGraph({**graph.layers, layer: tasks}, {**graph.dependencies, layer: set(graph.layers)})


@contextmanager
def _thread_left_to_others() -> Generator[None, None, None]:
    """Where the call is itself a task of a worker, let its thread, if it has not left, do tasks that it waits for."""
    if not getattr(thread_state, "key", None) or not getattr(pool_state, "proceed", False):
        yield
        return
    secede()
    try:
        yield
    finally:
        rejoin()
