"""The one warning that compiled kernels are not kept on disk."""

from __future__ import annotations

import warnings
from threading import Lock

import numba

UNWRITABLE = "set the environment variable NUMBA_CACHE_DIR to a folder with space that can be written to"

# The first to warn takes the lock and never releases it.
_warned = Lock()


def warn_once(reason: object, remedy: str) -> None:
    """Warn, the first time in a process, that compiled kernels are not kept on disk."""
    if _warned.acquire(blocking=False):
        msg = (
            f"compiled kernels cannot be kept on disk ({reason}), so that each process compiles them again, which "
            f"takes 5 to 15 seconds: {remedy}."
        )
        warnings.warn(msg, stacklevel=2)


def warn_of_unknown_numba(lacking: object) -> None:
    """Warn, once, that this release of Numba lacks a private name of its cache."""
    reason = f"numba {numba.__version__} has another cache than scpdex knows: {lacking}"
    warn_once(reason, "update scpdex, or install an earlier numba")
