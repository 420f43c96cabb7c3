"""Tail probabilities: p-values of a standard normal or t statistic, one-sided or two-sided."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from scpdex.kernels._compile import inner_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.options import Alternative

# The alternatives as numbers, for compiled code.
SIGN_OF_ALTERNATIVE: dict[Alternative, int] = {"two-sided": 0, "greater": 1, "less": -1}
_SQRT_2 = math.sqrt(2)


@inner_kernel
def normal_tail(z: float, alternative: int) -> float:
    """Compute the probability that a standard normal is as extreme as z, by ``erfc``.

    ``alternative`` is 0 for two-sided, 1 for greater, -1 for less. Relative errors are below 1e-13 up to ``|z|`` = 20,
    and below 5e-13 beyond.
    """
    if alternative == 0:
        return math.erfc(abs(z) / _SQRT_2)
    return math.erfc(alternative * z / _SQRT_2) / 2


def t_tail(t: NDArray[np.float64], freedom: NDArray[Any], alternative: Alternative) -> NDArray[np.float64]:
    """Compute the probability that Student's t is as extreme as t, by ``scipy.special.stdtr``."""
    if alternative == "two-sided":
        return np.asarray(2 * special.stdtr(freedom, -np.abs(t)))
    return np.asarray(special.stdtr(freedom, t if alternative == "less" else -t))
