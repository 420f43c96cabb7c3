"""Tails: p-values of a standard normal or t statistic, for either alternative or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.options import Alternative


def normal_tail(z: NDArray[np.float64], alternative: Alternative) -> NDArray[np.float64]:
    """Probability under a standard normal of what is as extreme as z: ``scipy.special.ndtr``."""
    if alternative == "two-sided":
        return np.asarray(2 * special.ndtr(-np.abs(z)))
    return np.asarray(special.ndtr(z if alternative == "less" else -z))


def t_tail(t: NDArray[np.float64], freedom: NDArray[Any], alternative: Alternative) -> NDArray[np.float64]:
    """Probability under Student's t of what is as extreme as t: ``scipy.special.stdtr``."""
    if alternative == "two-sided":
        return np.asarray(2 * special.stdtr(freedom, -np.abs(t)))
    return np.asarray(special.stdtr(freedom, t if alternative == "less" else -t))
