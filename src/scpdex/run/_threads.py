"""Threads: share parts of the work among a pool, and end together."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable


def on_threads(pool: Executor, work: Callable[[Any], None], parts: Iterable[Any], stop: threading.Event) -> None:
    """Work on all parts; the first exception, Ctrl-C included, stops the others and is raised."""
    futures = [pool.submit(work, part) for part in parts]
    try:
        for future in wait(futures, return_when=FIRST_EXCEPTION).done:
            future.result()
    except BaseException:
        stop.set()
        raise
    finally:
        wait(futures)
