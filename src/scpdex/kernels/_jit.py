"""How every kernel is compiled: without the GIL, exact arithmetic, cached on disk where that is possible."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numba

from scpdex.kernels._cache import KernelCache

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile ``function`` on first use; run it without the GIL so that threads share one process.

    ``fastmath`` stays off (it breaks NaN and signed zeros) and so does ``parallel`` (it compiles slowly and
    fights with other thread pools).
    """
    compiled: Any = numba.njit(nogil=True, error_model="numpy")(function)
    # Numba finds no folder to cache in where neither the installation nor the home can be written to; kernels are
    # then compiled anew in each process.
    with suppress(RuntimeError):
        compiled._cache = KernelCache(function)
    return cast("Function", compiled)


def inner_kernel(function: Function) -> Function:
    """Compile ``function`` for use in kernels only: without an entry from Python, and kept on disk by its callers."""
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast("Function", numba.njit(nogil=True, error_model="numpy", **options)(function))
