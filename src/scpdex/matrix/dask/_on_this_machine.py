"""Chunks of a dask array computed on this machine, a few at a time; tasks that several chunks need are run once."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from dask import config, threaded
from dask.sizeof import sizeof
from dask.system import CPU_COUNT

from scpdex.matrix.dask._chunk_engine import ChunkEngine
from scpdex.matrix.dask._chunk_errors import ChunkError
from scpdex.matrix.dask._dask_graph import as_task, find_dependencies, find_dependents, flatten_keys, sort_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scpdex.matrix.dask._chunk_grid import ChunkGrid, ChunkPart
    from scpdex.matrix.dask._chunk_reader import ChunkReader, ChunkSample

_BEFORE_FIRST_STEP = -1
# In place of a step: several steps need the task.
_SHARED = -1


class LocalChunks(ChunkEngine):
    """Chunks that are computed stripe by stripe and, in each, from the first row to the last.

    A step is one row of chunks in one stripe. What several steps need, such as a median that all rows are divided by or
    a chunk that is cut into smaller ones, is computed in the first of them and kept up to the last. What goes into that
    median, which is all rows, is not kept: each row is computed once for the median and once in its step. When what is
    kept takes more than it may, the largest values are let go and computed again.
    """

    workers = None
    """This machine computes the chunks."""

    def __init__(self, graph: Mapping[Any, Any], grid: ChunkGrid, schedule: Callable[..., Sequence[Any]]) -> None:
        """Find out which step needs which tasks.

        ``schedule`` computes keys of a graph, as dask's local schedulers do.
        """
        self._grid = grid
        self._schedule = schedule
        self._pool: ThreadPoolExecutor | None = None
        self._kept_values: dict[Any, Any] = {}
        # No bound until the budget is shared out.
        self._max_bytes_kept = sys.maxsize
        self._steps: dict[tuple[range, int], int] = {}
        steps_of_chunk: dict[Any, set[int]] = {}
        for stripe in grid.stripes:
            for i in grid.occupied_chunk_rows.tolist():
                step = self._steps[stripe, i] = len(self._steps)
                steps_of_chunk |= {key: {step} for key in flatten_keys(grid.keys([i], stripe))}
        graph = dict(graph)
        self._dependencies = find_dependencies(graph, steps_of_chunk)
        self._graph = {key: graph[key] for key in self._dependencies}
        dependents = find_dependents(self._dependencies)
        self._first_step: dict[Any, int] = {}
        self._last_step: dict[Any, int] = {}
        # The steps of tasks that several steps take themselves, and not only through another task that is kept.
        self._sharing_steps: dict[Any, set[int]] = {}
        step_or_shared: dict[Any, int] = {}
        for key in reversed(sort_tasks(self._graph, self._dependencies)):
            own_steps = steps_of_chunk.get(key, set())
            all_steps = own_steps | {self._first_step[dependent] for dependent in dependents[key]}
            steps = own_steps | ({step_or_shared[dependent] for dependent in dependents[key]} - {_SHARED})
            is_shared = len(steps) > 1 or any(step_or_shared[dependent] == _SHARED for dependent in dependents[key])
            step_or_shared[key] = _SHARED if is_shared else next(iter(steps))
            self._first_step[key], self._last_step[key] = min(all_steps), max(all_steps)
            if len(steps) > 1:
                self._sharing_steps[key] = steps
        self._sampled_keys: set[Any] = set()

    def sample_chunks(self, reader: ChunkReader, chunk_rows: Sequence[int]) -> list[ChunkSample]:
        """Compute and describe the first stripe of some rows of chunks; the chunks are kept until their turn comes."""
        stripe = self._grid.stripes[0]
        blocks = [self._grid.keys([i], stripe) for i in chunk_rows]
        keys = flatten_keys(blocks)
        self._sampled_keys = set(keys)
        steps = {self._steps[stripe, i] for i in chunk_rows}
        values = self._compute(keys, steps, _BEFORE_FIRST_STEP, reader.matrix_name)
        shapes = [self._grid.shapes([i], stripe) for i in chunk_rows]
        try:
            return [
                reader.describe([[values[key] for key in row] for row in block], shape)
                for block, shape in zip(blocks, shapes, strict=True)
            ]
        finally:
            # Comprehensions of Python 3.11 are functions, whose variables the traceback of a kept error keeps.
            values.clear()

    def compute_parts(self, parts: Sequence[ChunkPart], reader: ChunkReader) -> list[list[list[Any]]]:
        """Compute the chunks of some neighbouring parts, row by row.

        Raises
        ------
        ChunkError
            One of them could not be computed.
        """
        blocks = [self._grid.keys(part.chunk_rows, part.chunk_columns) for part in parts]
        steps = {self._steps[part.chunk_columns, i] for part in parts for i in part.chunk_rows}
        values = self._compute(flatten_keys(blocks), steps, max(steps), reader.matrix_name)
        return [[[values[key] for key in row] for row in block] for block in blocks]

    def limit_kept_bytes(self, n_bytes: int) -> None:
        """Keep so many bytes of values at most, beside the sampled chunks."""
        self._max_bytes_kept = n_bytes
        self._keep(self._kept_values, _BEFORE_FIRST_STEP)

    def release(self) -> None:
        """Let go of the values that are kept, and end the threads."""
        self._kept_values.clear()
        if self._pool is not None:
            self._pool.shutdown()

    def _threads(self) -> dict[str, Any]:
        """Give dask's threaded scheduler a pool, unless the user has: it never ends the one that it makes itself."""
        if self._schedule is not threaded.get or config.get("pool", None) is not None:
            return {}
        if self._pool is None:
            n_threads = config.get("num_workers", None) or CPU_COUNT
            self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="scpdex-dask")
        return {"pool": self._pool}

    def _compute(self, keys: Sequence[Any], steps: set[int], last_step: int, matrix_name: str) -> dict[Any, Any]:
        """Compute chunks of these steps, and keep what is needed after ``last_step``."""
        graph: dict[Any, Any] = {}
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            if key not in graph:
                is_kept = key in self._kept_values
                graph[key] = as_task(self._kept_values[key]) if is_kept else self._graph[key]
                waiting += () if is_kept else self._dependencies[key]
        new = graph.keys() - self._kept_values.keys() - set(keys)
        needed_later = [key for key in new if max(self._first_step[key], last_step) < self._last_step[key]]
        shared = [key for key in needed_later if not self._sharing_steps.get(key, set()).isdisjoint(steps)]
        indirect = [key for key in needed_later if key not in self._sharing_steps]
        # A few of them are chunks that were cut more than once; many are all that goes into a median.
        computed_keys = [*keys, *shared, *(indirect if len(indirect) <= len(keys) else ())]
        try:
            values = dict(zip(computed_keys, self._schedule(graph, computed_keys, **self._threads()), strict=True))
        except Exception as error:
            raise ChunkError.of(matrix_name, error) from error
        self._keep(self._kept_values | values, last_step)
        return {key: values[key] for key in keys}

    def _keep(self, values: dict[Any, Any], last_step: int) -> None:
        """Keep what is needed after a step: first the sampled chunks, then the smallest values."""
        needed = {key: value for key, value in values.items() if self._last_step[key] > last_step}
        self._kept_values = {key: value for key, value in needed.items() if key in self._sampled_keys}
        bytes_left = self._max_bytes_kept
        for n_bytes, _, key in sorted((sizeof(value), i, key) for i, (key, value) in enumerate(needed.items())):
            if key not in self._kept_values:
                bytes_left -= n_bytes
                if bytes_left < 0:
                    break
                self._kept_values[key] = needed[key]
