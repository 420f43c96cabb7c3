"""Tracebacks: clear the local variables that the error of a failed call keeps alive, such as blocks of the matrix."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

# Packages whose local variables hold parts of the matrix. The user's functions keep theirs, for a debugger.
_PACKAGES = {"scpdex", "dask", "concurrent"}
# Before Python 3.13, clearing the frame of a suspended generator ends the generator. Those of scpdex have ended.
_MAY_BE_SUSPENDED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def release_locals(error: BaseException) -> None:
    """Clear the local variables of functions that have ended, in the tracebacks of an error and of its causes.

    Notebooks keep the last error, and with it the local variables of these functions and of their callers.
    """
    errors: list[BaseException | None] = [error]
    seen: set[int] = set()
    while errors:
        current = errors.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        errors += [current.__cause__, current.__context__]
        entry = current.__traceback__
        while entry is not None:
            frame: FrameType | None = entry.tb_frame
            while frame is not None and id(frame) not in seen:
                seen.add(id(frame))
                _clear(frame)
                frame = frame.f_back
            entry = entry.tb_next


def _clear(frame: FrameType) -> None:
    package, _, _ = str(frame.f_globals.get("__name__", "")).partition(".")
    if package not in _PACKAGES or (package != "scpdex" and frame.f_code.co_flags & _MAY_BE_SUSPENDED):
        return
    # A frame that is still running cannot be cleared.
    with suppress(RuntimeError):
        frame.clear()
