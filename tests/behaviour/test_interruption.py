"""Interruption at each function: all of the result or none, nothing left, and the next call works (row 23)."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from routes import ROUTES, assert_all_or_nothing, assert_nothing_left, clear, light, same_result
from stored import without_slack

import scpdex

PACKAGE = str(Path(scpdex.__file__).parent)
Boundary = tuple[str, int, int]

# The others are run by nox -s slow.
FAST = {"CSR in memory", "levels and strata, as matrices", "row buckets"}


def by_speed(names: Iterable[str]) -> list[Any]:
    """Mark those that are left to the slow tests."""
    return [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in names]


def _boundary(frame: Any, calls: Counter[tuple[str, int]]) -> Boundary | None:
    """Tell of which function of scpdex this is the start, and how often it was called before."""
    code = frame.f_code
    if not code.co_filename.startswith(PACKAGE):
        return None
    place = (code.co_filename, code.co_firstlineno)
    calls[place] += 1
    return (*place, calls[place])


@contextmanager
def profiled(by: ModuleType, profile: Callable[[Any, str, Any], None]) -> Iterator[None]:
    """Have calls seen: those of this thread by ``sys``, those of threads that begin by ``threading``."""
    by.setprofile(profile)
    try:
        yield
    finally:
        by.setprofile(None)


# Scratch that Ctrl-C keeps from being closed is closed when it is collected.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", by_speed(ROUTES))
def test_ctrl_c_at_every_function(tmp_path, monkeypatch, scratch, name):
    """Ctrl-C comes in the main thread: at the first call of each function that is called there."""
    without_slack(monkeypatch)
    route = ROUTES[name](tmp_path)
    # What is compiled, read or imported at the first call is not there at the next.
    route.rank()
    clear(route.adata)
    seen: list[Boundary] = []
    calls: Counter[tuple[str, int]] = Counter()

    def see(frame: Any, event: str, _: Any) -> None:
        if event == "call" and (boundary := _boundary(frame, calls)) is not None:
            seen.append(boundary)

    with profiled(sys, see):
        route.rank()
    whole = light(route.adata)
    at = [(file, line, n) for file, line, n in seen if n == 1]
    assert len(at) > 40
    for stop in at:
        clear(route.adata)
        calls = Counter()

        def interrupt(frame: Any, event: str, _: Any, calls: Any = calls, stop: Boundary = stop) -> None:
            if event == "call" and _boundary(frame, calls) == stop:
                raise KeyboardInterrupt

        with profiled(sys, interrupt), pytest.raises(KeyboardInterrupt):
            route.rank()
        assert_all_or_nothing(route.adata, whole)
        assert_nothing_left(scratch, patience=30)
    route.rank()
    same_result(route.adata, whole)


@pytest.mark.parametrize(
    "name", by_speed(["CSR in memory", "column blocks", "row buckets", "row passes", "dask, row buckets"])
)
def test_an_error_in_any_thread(tmp_path, monkeypatch, scratch, name):
    """A worker or reader that runs out of memory: the error is raised, and the other threads end."""
    without_slack(monkeypatch)
    route = ROUTES[name](tmp_path)
    route.rank()
    clear(route.adata)
    lock, seen = threading.Lock(), set()
    calls: Counter[tuple[str, int]] = Counter()

    def see(frame: Any, event: str, _: Any) -> None:
        with lock:
            if event == "call" and (boundary := _boundary(frame, calls)) is not None:
                seen.add(boundary[:2])

    with profiled(threading, see):
        route.rank()
    whole = light(route.adata)
    assert len(seen) > 5
    for place in sorted(seen):
        clear(route.adata)

        def fail(frame: Any, event: str, _: Any, place: Any = place) -> None:
            if event == "call" and (frame.f_code.co_filename, frame.f_code.co_firstlineno) == place:
                raise MemoryError

        # What happens in the computation of a chunk is told as that.
        told = pytest.raises((MemoryError, RuntimeError), match=r"^$|could not be computed: MemoryError")
        with profiled(threading, fail), told:
            route.rank()
        assert_all_or_nothing(route.adata, whole)
        assert_nothing_left(scratch)
    route.rank()
    same_result(route.adata, whole)
