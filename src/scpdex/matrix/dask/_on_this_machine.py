"""Chunks of a dask array computed on this machine, a few at a time: what several of them need is computed once."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from dask import config, threaded
from dask.core import flatten, get_dependencies, quote, reverse_dict, toposort
from dask.sizeof import sizeof
from dask.system import CPU_COUNT

from scpdex.matrix.dask._chunk_reader import ChunkError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scpdex.matrix.dask._chunk_reader import ChunkReader, Grid, Look, Part

_BEFORE_ALL = -1
# A task that more than one step needs belongs to none.
_SHARED = -1


class LocalChunks:
    """Chunks that are computed stripe by stripe and, in each, from the first row to the last.

    A step is one chunk of rows in one stripe. What several steps need, such as a median that all rows are divided by or
    a chunk that is cut into smaller ones, is computed in the first of them and kept up to the last. What goes into that
    median, which is all rows, is not: each row is computed once for the median and once in its step. When what is kept
    takes more than it may, the largest is let go and computed again.
    """

    workers = None
    """It is this machine that does the work."""

    def __init__(self, graph: Mapping[Any, Any], grid: Grid, schedule: Callable[..., Sequence[Any]]) -> None:
        """Find out which step needs what; ``schedule`` computes keys of a graph, as dask's local schedulers do."""
        self._grid = grid
        self._schedule = schedule
        self._pool: ThreadPoolExecutor | None = None
        self._kept: dict[Any, Any] = {}
        # No bound until the budget is shared out.
        self._most_kept = sys.maxsize
        self._steps: dict[tuple[range, int], int] = {}
        uses: dict[Any, set[int]] = {}
        for stripe in grid.stripes:
            for i in grid.occupied.tolist():
                step = self._steps[stripe, i] = len(self._steps)
                uses |= {key: {step} for key in flatten(grid.keys([i], stripe))}
        graph = dict(graph)
        self._dependencies: dict[Any, set[Any]] = {}
        waiting = list(uses)
        while waiting:
            key = waiting.pop()
            if key not in self._dependencies:
                self._dependencies[key] = get_dependencies(graph, key)
                waiting += self._dependencies[key]
        self._graph = {key: graph[key] for key in self._dependencies}
        dependents = reverse_dict(self._dependencies)
        self._first_step: dict[Any, int] = {}
        self._last_step: dict[Any, int] = {}
        # Where several steps need a task themselves, and not for something that is kept: these.
        self._direct: dict[Any, set[int]] = {}
        owners: dict[Any, int] = {}
        for key in reversed(toposort(self._graph, dependencies=self._dependencies)):
            direct = set(uses.get(key, ()))
            every = direct | {self._first_step[dependent] for dependent in dependents[key]}
            direct |= {owners[dependent] for dependent in dependents[key]} - {_SHARED}
            shared = any(owners[dependent] == _SHARED for dependent in dependents[key])
            owners[key] = _SHARED if shared or len(direct) > 1 else next(iter(direct))
            self._first_step[key], self._last_step[key] = min(every), max(every)
            if len(direct) > 1:
                self._direct[key] = direct
        self._looked_at: set[Any] = set()

    def look(self, reader: ChunkReader, places: Sequence[int]) -> list[Look]:
        """Look at the first stripe of some chunks of rows, which are kept until their turn comes."""
        stripe = self._grid.stripes[0]
        blocks = [self._grid.keys([i], stripe) for i in places]
        self._looked_at = set(flatten(blocks))
        current = {self._steps[stripe, i] for i in places}
        values = self._compute(list(flatten(blocks)), current, _BEFORE_ALL, reader.where)
        shapes = [self._grid.shapes([i], stripe) for i in places]
        try:
            return [
                reader.look([[values[key] for key in row] for row in block], shape)
                for block, shape in zip(blocks, shapes, strict=True)
            ]
        finally:
            # Comprehensions of Python 3.11 are functions, whose variables the traceback of a kept error keeps.
            values.clear()

    def compute(self, parts: Sequence[Part], reader: ChunkReader) -> list[list[list[Any]]]:
        """Compute the chunks of some neighbouring parts, row by row.

        Raises
        ------
        ChunkError
            One of them could not be computed.
        """
        blocks = [self._grid.keys(part.chunk_rows, part.chunk_columns) for part in parts]
        current = {self._steps[part.chunk_columns, i] for part in parts for i in part.chunk_rows}
        values = self._compute(list(flatten(blocks)), current, max(current), reader.where)
        return [[[values[key] for key in row] for row in block] for block in blocks]

    def keep_up_to(self, n_bytes: int) -> None:
        """Say what may be kept beside the chunks that were looked at."""
        self._most_kept = n_bytes
        self._keep(self._kept, _BEFORE_ALL)

    def release(self) -> None:
        """Let go of what was kept, and end the threads."""
        self._kept.clear()
        if self._pool is not None:
            self._pool.shutdown()

    def _threads(self) -> dict[str, Any]:
        """Give the threaded scheduler a pool, unless the user did: its own, one for each thread, it never lets go."""
        if self._schedule is not threaded.get or config.get("pool", None) is not None:
            return {}
        if self._pool is None:
            n_threads = config.get("num_workers", None) or CPU_COUNT
            self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="scpdex-dask")
        return {"pool": self._pool}

    def _compute(self, keys: Sequence[Any], current: set[int], step: int, where: str) -> dict[Any, Any]:
        """Compute what belongs to the current steps, and keep what is needed after ``step``."""
        graph: dict[Any, Any] = {}
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            if key not in graph:
                kept = key in self._kept
                graph[key] = quote(self._kept[key]) if kept else self._graph[key]
                waiting += () if kept else self._dependencies[key]
        new = graph.keys() - self._kept.keys() - set(keys)
        later = [key for key in new if max(self._first_step[key], step) < self._last_step[key]]
        wanted = [*keys, *(key for key in later if not self._direct.get(key, set()).isdisjoint(current))]
        others = [key for key in later if key not in self._direct]
        # A few of them are chunks that were cut more than once; many are all that goes into a median.
        wanted += others if len(others) <= len(keys) else []
        try:
            values = dict(zip(wanted, self._schedule(graph, wanted, **self._threads()), strict=True))
        except Exception as error:
            raise ChunkError.of(where, error) from error
        self._keep(self._kept | values, step)
        return {key: values[key] for key in keys}

    def _keep(self, values: dict[Any, Any], step: int) -> None:
        """Keep what is needed after a step: what was looked at, and then the smallest first."""
        needed = {key: value for key, value in values.items() if self._last_step[key] > step}
        self._kept = {key: value for key, value in needed.items() if key in self._looked_at}
        left = self._most_kept
        for size, _, key in sorted((sizeof(value), i, key) for i, (key, value) in enumerate(needed.items())):
            if key not in self._kept:
                left -= size
                if left < 0:
                    break
                self._kept[key] = needed[key]
