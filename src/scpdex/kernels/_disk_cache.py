"""Disk cache of compiled kernels, and what happens without one where Numba has changed its caching classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite.binding import get_host_cpu_name

from scpdex.kernels._cache_warning import warn_of_unknown_numba

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    from scpdex.kernels._numba import attach_cache, cpu_name, offer_private_folder
except (ImportError, AttributeError) as error:
    warn_of_unknown_numba(error)

    def attach_cache(compiled: Any, function: Callable[..., Any]) -> None:
        """Leave the function without a cache."""

    def cpu_name() -> str:
        """Name the processor that runs this process."""
        return str(get_host_cpu_name())

    def offer_private_folder() -> None:
        """Leave other packages to Numba's own folders."""


__all__ = ["attach_cache", "cpu_name", "offer_private_folder"]
