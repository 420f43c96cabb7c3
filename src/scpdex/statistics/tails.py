"""Tail probabilities: p-values of a standard normal or t statistic, one-sided or two-sided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.options import Alternative


def normal_tail(z: NDArray[np.float64], alternative: Alternative) -> NDArray[np.float64]:
    """Compute the probability that a standard normal is as extreme as z, by ``scipy.special.ndtr``."""
    if alternative == "two-sided":
        return np.asarray(2 * special.ndtr(-np.abs(z)))
    return np.asarray(special.ndtr(z if alternative == "less" else -z))


def t_tail(t: NDArray[np.float64], freedom: NDArray[Any], alternative: Alternative) -> NDArray[np.float64]:
    """Compute the probability that Student's t is as extreme as t, by ``scipy.special.stdtr``."""
    if alternative == "two-sided":
        return np.asarray(2 * special.stdtr(freedom, -np.abs(t)))
    return np.asarray(special.stdtr(freedom, t if alternative == "less" else -t))
