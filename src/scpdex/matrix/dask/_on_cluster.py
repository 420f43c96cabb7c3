"""Chunks of a dask array computed by the workers of a cluster, where they stay."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from distributed import as_completed

from scpdex.matrix.dask._chunk_engine import ChunkEngine
from scpdex.matrix.dask._chunk_errors import ChunkError, ChunkKindError, ChunkValueError
from scpdex.matrix.dask._dask_graph import add_tasks, flatten_keys
from scpdex.matrix.dask._distributed import lend_thread
from scpdex.plan.matrix_info import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from distributed import Client

    from scpdex.matrix.dask._chunk_grid import ChunkGrid, ChunkPart
    from scpdex.matrix.dask._chunk_reader import ChunkReader, ChunkSample

# Bytes per thread of a worker that has no memory limit.
_BYTES_WITHOUT_LIMIT = 1 << 30


@dataclass
class ClusterChunks(ChunkEngine):
    """The graph of an array, and the client that has it computed."""

    client: Client
    graph: Mapping[Any, Any]
    grid: ChunkGrid
    matrix_name: str
    """What the user calls the array, for messages."""
    sampled_futures: list[Any] = field(default_factory=list)
    """Futures of the sampled chunks: as long as these are here, workers keep the chunks."""

    def sample_chunks(self, reader: ChunkReader, chunk_rows: Sequence[int]) -> list[ChunkSample]:
        """Compute and describe the first stripe of some rows of chunks; the workers keep these chunks."""
        stripe = self.grid.stripes[0]
        row_of_task = {f"scpdex-sample-{uuid4().hex}": i for i in chunk_rows}
        keys = [key for i in chunk_rows for key in flatten_keys(self.grid.keys([i], stripe))]
        self.sampled_futures = self.client.get(self.graph, keys, sync=False)
        tasks = {
            name: (reader.describe, self.grid.keys([i], stripe), self.grid.shapes([i], stripe))
            for name, i in row_of_task.items()
        }
        with self.run_tasks(tasks, tasks) as results:
            sample_of_task = dict(results)
        return [sample_of_task[name] for name in tasks]

    def release(self) -> None:
        """Let workers forget the sampled chunks: an error that the user keeps would hold their futures."""
        for future in self.sampled_futures:
            future.release()
        self.sampled_futures.clear()

    def limit_kept_bytes(self, n_bytes: int) -> None:
        """Do nothing: workers keep computed values in their memory and on their disks."""

    @property
    def workers(self) -> Workers:
        """The workers and threads of the cluster at present."""
        threads = self.client.nthreads()
        bytes_per_thread = [
            worker["memory_limit"] // worker["nthreads"] if worker["memory_limit"] else _BYTES_WITHOUT_LIMIT
            for worker in self.client.scheduler_info()["workers"].values()
        ]
        least = min(bytes_per_thread, default=_BYTES_WITHOUT_LIMIT)
        return Workers(max(1, len(threads)), max(1, sum(threads.values())), least)

    def map_chunks(
        self, name: str, reader: ChunkReader, work: Callable[..., Any], parts: Iterable[ChunkPart]
    ) -> Generator[Any, None, None]:
        """Have the workers call ``work`` with the reader, and with the chunks of each part; give results once ready."""
        token = uuid4().hex
        shared = (f"scpdex-job-{token}",)
        tasks: dict[Any, Any] = {
            (f"scpdex-{name}-{token}", k): (work, shared, self.grid.keys(part.chunk_rows, part.chunk_columns), part)
            for k, part in enumerate(parts)
        }
        with self.run_tasks({shared: reader, **tasks}, tasks) as results:
            for _, value in results:
                yield value

    @contextmanager
    def run_tasks(
        self, tasks: Mapping[Any, Any], keys: Iterable[Any], let_through: tuple[type[Exception], ...] = ()
    ) -> Generator[Iterator[tuple[Any, Any]], None, None]:
        """Have the workers do tasks that may take the array's chunks; give the values of some keys as they are ready.

        On leaving, tasks that are not done are cancelled.

        Raises
        ------
        ChunkError
            A task raised an error that is neither one of our refusals nor one of ``let_through``, or workers died over
            it more often than dask allows.
        """
        keys = list(keys)
        sampled_keys = {future.key for future in self.sampled_futures}
        graph = add_tasks(self.graph, self.grid.name, tasks, sampled_keys)
        futures = dict(zip(keys, self.client.get(graph, keys, sync=False), strict=True))
        with lend_thread():
            try:
                yield self._as_completed(futures, (ChunkKindError, ChunkValueError, *let_through))
            finally:
                self.client.cancel(list(futures.values()))

    def _as_completed(
        self, futures: dict[Any, Any], let_through: tuple[type[Exception], ...]
    ) -> Iterator[tuple[Any, Any]]:
        for future in as_completed(list(futures.values())):
            try:
                # One at a time: the memory of this process holds one value, not all that are ready.
                value = future.result()
            except let_through:
                raise
            except Exception as error:
                raise ChunkError.of(self.matrix_name, error) from error
            # Workers need not keep it any longer.
            futures.pop(future.key).release()
            yield future.key, value
