"""Progress: a bar when the work is long and someone is watching."""

from __future__ import annotations

import sys
import warnings
from typing import Any

# Shorter work shows no bar unless one is asked for.
_SECONDS_BEFORE_BAR = 2.0


def progress_bar(total: int, *, unit: str, show: bool | None) -> Any:
    """Open a tqdm bar for the terminal or notebook; None shows it after 2 seconds where someone is watching."""
    with warnings.catch_warnings():
        # tqdm warns when a notebook lacks its widgets, and then draws a plain bar.
        warnings.filterwarnings("ignore", message="IProgress not found")
        from tqdm.auto import tqdm  # noqa: PLC0415

    disable = not _is_watched() if show is None else not show
    return tqdm(total=total, unit=unit, disable=disable, delay=0 if show else _SECONDS_BEFORE_BAR, leave=bool(show))


def _is_watched() -> bool:
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
