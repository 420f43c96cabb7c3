"""How kernels are compiled: without the GIL, with exact arithmetic, cached on disk where possible."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.extending import overload

from scpdex.kernels._disk_cache import attach_cache

Function = TypeVar("Function", bound=Callable[..., Any])

# No C code calls kernels.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


def kernel(function: Function) -> Function:
    """Compile ``function`` on first use, to run without the GIL so that threads share one process.

    ``fastmath`` stays off (it breaks NaN and signed zeros) and so does ``parallel`` (it compiles slowly and
    fights with other thread pools).
    """
    compiled: Any = numba.njit(**_OPTIONS)(function)
    if compiled is function:
        # NUMBA_DISABLE_JIT. Compiled code warns of no overflow and no division by zero.
        return np.errstate(all="ignore")(function)
    attach_cache(compiled, function)
    return cast("Function", compiled)


def compiled_form(function: Callable[..., Any]) -> Callable[[Function], Function]:
    """Decorate what Numba asks for the compiled form of ``function``, by the types of its arguments."""
    options: Any = {"no_cfunc_wrapper": True}
    return cast("Callable[[Function], Function]", overload(function, jit_options=options))


def inner_kernel(function: Function) -> Function:
    """Compile ``function`` for use in kernels only: Python cannot call it, and the files of its callers contain it."""
    options = _OPTIONS | {"no_cpython_wrapper": True}
    return cast("Function", numba.njit(**options)(function))
