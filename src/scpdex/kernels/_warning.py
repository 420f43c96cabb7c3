"""The one warning that compiled kernels are not kept."""

from __future__ import annotations

import warnings
from threading import Lock

# Taken by the first that warns, and never released.
_warned = Lock()


def warn_once(reason: object) -> None:
    """Warn, the first time in a process, that compiled kernels are not kept on disk."""
    if _warned.acquire(blocking=False):
        msg = (
            f"compiled kernels cannot be kept on disk ({reason}), so that each process compiles them again, which "
            "takes 5 to 15 seconds: set the environment variable NUMBA_CACHE_DIR to a folder with space that can be "
            "written to."
        )
        warnings.warn(msg, stacklevel=2)
