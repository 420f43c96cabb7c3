"""Byte sizes: parse ``"2GB"`` to a number of bytes, and format a number of bytes for a message."""

from __future__ import annotations

import re
import sys

import numpy as np

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)\s*((?:[kmgt]i?)?)b?\s*", re.IGNORECASE | re.ASCII)


def parse_bytes(size: str | float, argument: str) -> int:
    """Parse a number of bytes: a number, or a size such as ``"2GB"``; ``argument`` names it in messages.

    Raises
    ------
    ValueError
        ``size`` is not a size, or is less than one byte.
    """
    n_bytes: float | None = None
    if isinstance(size, str):
        if match := _SIZE.fullmatch(size):
            n_bytes = float(match[1]) * _UNITS[match[2].lower()]
    elif isinstance(size, int | float | np.integer | np.floating) and not isinstance(size, bool):
        n_bytes = float(size) if isinstance(size, np.floating) else size
    if n_bytes is not None and 1 <= n_bytes < float("inf"):
        return min(int(n_bytes), sys.maxsize)
    msg = f"{argument}={size!r} is not valid: pass bytes, a size such as '2GB' or '500MiB', or None."
    raise ValueError(msg)


def format_bytes(n_bytes: int) -> str:
    """Format a number of bytes for a message: ``1_500_000`` is ``"1.5 MB"``."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:.3g} {name}"
    return f"{n_bytes} bytes"
