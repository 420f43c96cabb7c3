"""How kernels are compiled: without the GIL, with exact arithmetic, cached on disk where possible."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numba.extending import overload

from scpdex.kernels._disk_cache import attach_cache

Function = TypeVar("Function", bound=Callable[..., Any])

# No C code calls kernels.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}

# Those of this package, which are made when it is imported.
_kernels: list[Any] = []


class CacheUse(NamedTuple):
    """How this process has used the disk cache of kernels."""

    n_compiled: int
    """Kernels that were compiled, one for each list of argument types."""
    n_loaded: int
    """Kernels that were read from the cache."""
    folder: str | None
    """Folder that kernels are written to, in folders of their own; None if they cannot be kept."""


def measure_cache_use() -> CacheUse:
    """Count the kernels that this process has compiled, and those that it has read from the cache."""
    uses = [kernel.stats for kernel in _kernels]
    folders = {use.cache_path for use in uses}
    return CacheUse(
        n_compiled=sum(sum(use.cache_misses.values()) for use in uses),
        n_loaded=sum(sum(use.cache_hits.values()) for use in uses),
        folder=os.path.commonpath(folders) if folders and None not in folders else None,
    )


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
    _kernels.append(compiled)
    return cast("Function", compiled)


def compiled_form(function: Callable[..., Any]) -> Callable[[Function], Function]:
    """Decorate what Numba asks for the compiled form of ``function``, by the types of its arguments."""
    options: Any = {"no_cfunc_wrapper": True}
    return cast("Callable[[Function], Function]", overload(function, jit_options=options))


def inner_kernel(function: Function) -> Function:
    """Compile ``function`` for use in kernels only: Python cannot call it, and the files of its callers contain it."""
    options = _OPTIONS | {"no_cpython_wrapper": True}
    return cast("Function", numba.njit(**options)(function))
