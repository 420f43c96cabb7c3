"""Progress bar: tqdm's, for work of more than 2 seconds in a terminal or notebook."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

# Shorter work shows no bar, unless show_progress=True.
_SECONDS_BEFORE_BAR = 2.0


def progress_bar(total: int, *, unit: str, show: bool | None) -> Any:
    """Open a tqdm bar; ``show=None`` shows it after 2 seconds, and only in a terminal or notebook.

    Without a stream to draw on, no bar is shown.
    """
    bar, needs_stream = _bar_class()
    disable = not (_is_interactive() if show is None else show) or (needs_stream and not _has_stream())
    stream = {"file": _Stream(sys.stderr)} if needs_stream and not disable else {}
    delay = 0 if show else _SECONDS_BEFORE_BAR
    return bar(total=total, unit=unit, disable=disable, delay=delay, leave=bool(show), **stream)


class _Stream:
    """A stream to draw on that swallows its errors, such as a full disk, so that they do not end the work."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.encoding = "ascii"
        with suppress(Exception):
            self.encoding = str(stream.encoding)

    def write(self, text: str) -> None:
        """Write, and ignore errors."""
        with suppress(Exception):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, and ignore errors."""
        with suppress(Exception):
            self._stream.flush()

    def fileno(self) -> int:
        """Give the file descriptor, from which tqdm gets the width of a terminal."""
        return int(self._stream.fileno())


def _bar_class() -> tuple[Any, bool]:
    """Choose the bar that ``tqdm.auto`` would choose, and tell whether it draws on ``sys.stderr``.

    ``tqdm.auto`` itself is not imported: its import, and that of ``tqdm.notebook`` without widgets, replaces Python's
    warning filters for a moment, and two threads that import it at once may leave each other's filters behind.
    """
    is_console = any(name == "QT_API" or name.startswith("SPYDER") for name in os.environ)
    if "ipykernel.zmqshell" in sys.modules and not is_console and find_spec("ipywidgets") is not None:
        from tqdm.notebook import IProgress, tqdm_notebook  # noqa: PLC0415

        if IProgress is not None:
            return tqdm_notebook, False
    from tqdm.std import tqdm  # noqa: PLC0415

    return tqdm, True


def _is_interactive() -> bool:
    if "ipykernel" in sys.modules:
        return True
    # A replacement of the stream may lack isatty, or raise any error from it.
    with suppress(Exception):
        return bool(sys.stderr.isatty())
    return False


def _has_stream() -> bool:
    """Tell whether ``sys.stderr`` can be written to: it may be None, closed, or lack methods that tqdm calls."""
    with suppress(Exception):
        sys.stderr.write("")
        sys.stderr.flush()
        return True
    return False
