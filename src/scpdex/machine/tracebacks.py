"""Errors: clear the local variables that the traceback of a failed call keeps alive, such as blocks of the matrix."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

# Packages whose local variables hold parts of the matrix. Those of functions of the user's stay for a debugger.
_HOLDERS = {"scpdex", "dask", "concurrent"}
# To clear a generator that is suspended ends it, before Python 3.13; ours have ended.
_MAY_BE_SUSPENDED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def release_locals(error: BaseException) -> None:
    """Clear the local variables of functions that have ended, in the tracebacks of an error and of its causes.

    Notebooks keep the last error, and with it all that these functions, and those that called them, held.
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        waiting += [current.__cause__, current.__context__]
        at = current.__traceback__
        while at is not None:
            frame: FrameType | None = at.tb_frame
            while frame is not None and id(frame) not in seen:
                seen.add(id(frame))
                _clear(frame)
                frame = frame.f_back
            at = at.tb_next


def _clear(frame: FrameType) -> None:
    package, _, _ = str(frame.f_globals.get("__name__", "")).partition(".")
    if package not in _HOLDERS or (package != "scpdex" and frame.f_code.co_flags & _MAY_BE_SUSPENDED):
        return
    # It may be running still.
    with suppress(RuntimeError):
        frame.clear()
