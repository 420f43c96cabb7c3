"""Threads: share parts of the work among a pool and end together; read ahead of those who work."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

# A view becomes an object of its own where a result is stored, in steps that other threads must not see.
anndata_lock = threading.RLock()

Part = TypeVar("Part")
Result = TypeVar("Result")


def run_on_threads(pool: Executor, work: Callable[[Any], None], parts: Iterable[Any]) -> None:
    """Work on all parts; the first exception, Ctrl-C included, is raised, and parts not yet begun are left."""
    stop = threading.Event()

    def unless_stopped(part: Any) -> None:
        if not stop.is_set():
            work(part)

    futures = [pool.submit(unless_stopped, part) for part in parts]
    try:
        for future in wait(futures, return_when=FIRST_EXCEPTION).done:
            future.result()
    except BaseException:
        stop.set()
        raise
    finally:
        wait(futures)


def map_in_order(
    pool: Executor, work: Callable[[Part], Result], parts: Iterable[Part], ahead: int
) -> Generator[Result, None, None]:
    """Give the result of each part in turn, while the pool works on up to ``ahead`` further ones.

    When the generator is closed, or an exception is raised, nothing of it is left running.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) > ahead:
                result = waiting[0].result()
                waiting.popleft()
                yield result
        while waiting:
            result = waiting[0].result()
            waiting.popleft()
            yield result
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)


def read_ahead(read: Callable[[Part], Result], parts: Iterable[Part], ahead: int = 1) -> Generator[Result, None, None]:
    """Read parts in turn on a thread of its own, which stays so many ahead of who takes them."""
    with ThreadPoolExecutor(1, thread_name_prefix="scpdex-reader") as reader:
        yield from map_in_order(reader, read, parts, ahead)
