"""Arguments of pdex 0.1's function: the values that are valid, and what each test takes."""

from __future__ import annotations

from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scanpy import logging as logg

from scpdex.comparisons.spelling import find_misspelt
from scpdex.compat._drop_in_task import refuse_invalid_is_log1p
from scpdex.statistics.options import ALTERNATIVES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Metric = Literal["wilcoxon", "anderson", "t-test"]

DEFAULT_BATCH_SIZE = 100
# What each test takes beyond the named arguments, and the values that are valid.
_TEST_ARGUMENTS: dict[str, dict[str, tuple[Any, ...]]] = {
    "wilcoxon": {"alternative": ALTERNATIVES, "method": ("auto", "asymptotic")},
    "anderson": {},
    "t-test": {"alternative": ALTERNATIVES, "equal_var": (True, False)},
}


def refuse_invalid_test(metric: str, arguments: Mapping[str, Any], parameters: Iterable[str]) -> None:
    """Raise an error for an unknown test, or for arguments that it does not take.

    ``arguments`` are those beyond the ``parameters`` of the function, among which misspelt ones are looked up.

    Raises
    ------
    TypeError
        The test has no such argument.
    ValueError
        The test is unknown, or an argument has a value that is not valid.
    """
    if metric not in tuple(_TEST_ARGUMENTS):
        msg = f"metric={metric!r} is not known. Valid: {', '.join(map(repr, _TEST_ARGUMENTS))}."
        raise ValueError(msg)
    valid = _TEST_ARGUMENTS[metric]
    for name, value in arguments.items():
        if name == "use_continuity":
            msg = "use_continuity is not an argument: tie_correct=False leaves out the correction for continuity."
            raise TypeError(msg)
        if name not in valid:
            close = find_misspelt([name], [*parameters, *valid])
            hint = (
                f"Did you mean {close[name]!r}?"
                if close
                else f"Further arguments of metric={metric!r}: {', '.join(map(repr, valid)) or 'none'}."
            )
            msg = f"{name!r} is not an argument of parallel_differential_expression(). {hint}"
            raise TypeError(msg)
        if value not in valid[name]:
            msg = f"{name}={value!r} is not valid with metric={metric!r}. Valid: {', '.join(map(repr, valid[name]))}."
            raise ValueError(msg)


def refuse_invalid_means(is_log1p: object, clip_value: Any) -> None:
    """Raise a ValueError for arguments that do not say how means are taken and compared."""
    refuse_invalid_is_log1p(is_log1p)
    is_real = isinstance(clip_value, Real) and not isinstance(clip_value, bool)
    if clip_value is not None and not (is_real and clip_value > 0):
        msg = f"clip_value={clip_value!r} is not valid: pass a number above 0, or None."
        raise ValueError(msg)


def count_threads(num_workers: int | None, num_threads: int | None) -> int | None:
    """Multiply workers and their threads; None is all cores.

    Raises
    ------
    ValueError
        One of them is no whole number, or too small.
    """
    for name, n, least in (("num_workers", num_workers, 1), ("num_threads", num_threads, 0)):
        if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < least):
            msg = f"{name}={n!r} is not valid: pass a whole number from {least} up, or None."
            raise ValueError(msg)
    if (num_workers is None and num_threads is None) or num_threads == 0:
        return None
    return int(num_workers or 1) * int(num_threads or 1)


@cache
def log_batch_size() -> None:
    """Log once in a session that ``batch_size`` has no effect."""
    logg.hint("batch_size has no effect: all groups are compared at once, gene by gene. (This is said once.)")
