"""How every kernel is compiled: without the GIL, exact arithmetic, cached on disk where that is possible."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile ``function`` on first use; run it without the GIL so that threads share one process.

    ``fastmath`` stays off (it breaks NaN and signed zeros) and so does ``parallel`` (it compiles slowly and
    fights with other thread pools). Numba refuses to decorate when it finds no folder to cache in, as in a
    read-only installation; the kernel is then compiled anew in each process.
    """
    try:
        return cast("Function", numba.njit(nogil=True, error_model="numpy", cache=True)(function))
    except RuntimeError:
        return cast("Function", numba.njit(nogil=True, error_model="numpy")(function))
