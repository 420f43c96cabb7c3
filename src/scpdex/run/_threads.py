"""Threads: share parts of the work among a pool, and end together."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def on_threads(pool: Executor, work: Callable[[Any], None], parts: Iterable[Any]) -> None:
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
