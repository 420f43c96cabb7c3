"""Threads: run parts of the work on a pool, map parts in order, read parts ahead of those that use them, and lend."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

# Storing a result turns a view into an object of its own, in steps that other threads must not see half done.
anndata_lock = threading.RLock()

Part = TypeVar("Part")
Result = TypeVar("Result")


def run_on_threads(pool: Executor, work: Callable[[Any], None], parts: Iterable[Any]) -> None:
    """Work on all parts; raise the first exception, Ctrl-C included, and skip the parts that have not begun."""
    stop = threading.Event()

    def work_unless_stopped(part: Any) -> None:
        if not stop.is_set():
            work(part)

    futures = [pool.submit(work_unless_stopped, part) for part in parts]
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
    """Give the results in the order of the parts, while the pool works on up to ``ahead`` further parts.

    When the generator is closed, or an exception is raised, no work on its parts is left running.
    """
    futures: deque[Future[Result]] = deque()

    def take() -> Result:
        result = futures[0].result()
        futures.popleft()
        return result

    try:
        for part in parts:
            futures.append(pool.submit(work, part))
            if len(futures) > ahead:
                # No name keeps the result while the next ones are made.
                yield take()
        while futures:
            yield take()
    finally:
        for future in futures:
            future.cancel()
        wait(futures)


def read_ahead(read: Callable[[Part], Result], parts: Iterable[Part], ahead: int = 1) -> Generator[Result, None, None]:
    """Read parts in order on one further thread, up to ``ahead`` parts before they are taken."""
    with ThreadPoolExecutor(1, thread_name_prefix="scpdex-reader") as reader:
        yield from map_in_order(reader, read, parts, ahead)


class Lender(Generic[Part]):
    """Things of which each thread takes one at a time: one that another thread has put back."""

    def __init__(self, things: Iterable[Part]) -> None:
        """Have these to lend; a thread waits while all are lent."""
        self._idle: SimpleQueue[Part] = SimpleQueue()
        for thing in things:
            self._idle.put(thing)

    @contextmanager
    def borrow(self) -> Generator[Part, None, None]:
        """Lend one."""
        thing = self._idle.get()
        try:
            yield thing
        finally:
            self._idle.put(thing)
