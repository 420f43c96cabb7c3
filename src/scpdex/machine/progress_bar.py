"""Progress: a bar when the work is long and someone is watching."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

# Shorter work shows no bar unless one is asked for.
_SECONDS_BEFORE_BAR = 2.0


def progress_bar(total: int, *, unit: str, show: bool | None) -> Any:
    """Open a tqdm bar for the terminal or notebook; None shows it after 2 seconds where someone is watching.

    Where there is no stream to draw it on, none is shown.
    """
    bar, needs_stream = _bar_class()
    disable = not (_is_watched() if show is None else show) or (needs_stream and not _has_stream())
    stream = {"file": _Stream(sys.stderr)} if needs_stream and not disable else {}
    delay = 0 if show else _SECONDS_BEFORE_BAR
    return bar(total=total, unit=unit, disable=disable, delay=delay, leave=bool(show), **stream)


class _Stream:
    """A stream to draw on, whose failures, as on a full disk, leave the work alone."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.encoding = "ascii"
        with suppress(Exception):
            self.encoding = str(stream.encoding)

    def write(self, text: str) -> None:
        """Write, if that is possible."""
        with suppress(Exception):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        with suppress(Exception):
            self._stream.flush()

    def fileno(self) -> int:
        """Give the descriptor, by which tqdm finds the width of a terminal."""
        return int(self._stream.fileno())


def _bar_class() -> tuple[Any, bool]:
    """Choose the bar that ``tqdm.auto`` would choose, and tell whether it draws on ``sys.stderr``.

    To import ``tqdm.auto``, or ``tqdm.notebook`` without widgets, replaces Python's warning filters for a moment. Two
    threads that do so at once may restore each other's filters, which then stay.
    """
    is_console = any(name == "QT_API" or name.startswith("SPYDER") for name in os.environ)
    if "ipykernel.zmqshell" in sys.modules and not is_console and find_spec("ipywidgets") is not None:
        from tqdm.notebook import IProgress, tqdm_notebook  # noqa: PLC0415

        if IProgress is not None:
            return tqdm_notebook, False
    from tqdm.std import tqdm  # noqa: PLC0415

    return tqdm, True


def _is_watched() -> bool:
    if "ipykernel" in sys.modules:
        return True
    # What stands in for the stream may lack isatty, or raise any error from it.
    with suppress(Exception):
        return bool(sys.stderr.isatty())
    return False


def _has_stream() -> bool:
    """Tell whether ``sys.stderr`` can be written to: it may be None, closed, or lack what tqdm calls."""
    with suppress(Exception):
        sys.stderr.write("")
        sys.stderr.flush()
        return True
    return False
