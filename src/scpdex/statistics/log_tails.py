"""Log10 of tail probabilities, correct where p itself is too small for float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from scpdex.statistics.tails import t_tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.options import Alternative

_LN_10 = np.log(10)
_LOG10_2 = np.log10(2)
# A smaller p loses digits, or is 0.
_LEAST_P = 1e-290
# From this argument on, five terms of the series give the ratio of gamma functions to the last bit.
_LEAST_OF_SERIES = 20
_MOST_TERMS = 10_000


def log10_normal_tail(z: NDArray[np.float64], alternative: Alternative) -> NDArray[np.float64]:
    """Compute log10 of :func:`~.tails.normal_tail`, by ``scipy.special.log_ndtr``."""
    if alternative == "two-sided":
        # At 0 the two logs cancel to rounding.
        return np.asarray(np.minimum(_LOG10_2 + special.log_ndtr(-np.abs(z)) / _LN_10, 0))
    return np.asarray(special.log_ndtr(z if alternative == "less" else -z) / _LN_10)


def log10_t_tail(t: NDArray[np.float64], freedom: NDArray[Any], alternative: Alternative) -> NDArray[np.float64]:
    """Compute log10 of :func:`~.tails.t_tail`.

    Where p is too small, it comes from the continued fraction of the incomplete beta function (DLMF 8.17.22) with
    ``a = freedom / 2`` and ``b = 1 / 2``, since ``P(|T| > t)`` is ``I_x(a, b)`` at ``x = freedom / (freedom + t**2)``.
    """
    pvals = t_tail(t, freedom, alternative)
    with np.errstate(divide="ignore"):
        logs = np.log10(pvals)
    small = (pvals < _LEAST_P) & np.isfinite(t)
    if small.any():
        both_sides = _log_both_tails(np.abs(t[small]), np.broadcast_to(freedom, t.shape)[small].astype(np.float64))
        logs[small] = both_sides / _LN_10 - (0 if alternative == "two-sided" else _LOG10_2)
    return logs


def _log_both_tails(t: NDArray[np.float64], freedom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the natural log of ``P(|T| > t)`` for large t."""
    a, b = freedom / 2, 0.5
    squared = t * t
    log_x, log_rest = -np.log1p(squared / freedom), -np.log1p(freedom / squared)
    log_beta = np.log(np.pi) / 2 - _log_gamma_ratio(a)
    fraction = _continued_fraction(a, b, freedom / (freedom + squared))
    return np.asarray(a * log_x + b * log_rest - np.log(a) - log_beta + np.log(fraction))


def _log_gamma_ratio(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the log of gamma(a + 1/2) / gamma(a) by its series for large a (DLMF 5.11.13): gammas would cancel."""
    # The ratio for a is the ratio for a + 1 times a / (a + 1/2).
    n_steps = np.maximum(0, np.ceil(_LEAST_OF_SERIES - a))
    log_factors = np.zeros_like(a)
    for step in range(int(n_steps.max(initial=0))):
        log_factors -= np.where(step < n_steps, np.log1p(0.5 / (a + step)), 0)
    a = a + n_steps
    series = 1 / (8 * a) - 1 / (192 * a**3) + 1 / (640 * a**5) - 17 / (14336 * a**7) + 31 / (18432 * a**9)
    return np.asarray(log_factors + np.log(a) / 2 - series)


def _continued_fraction(a: NDArray[np.float64], b: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate ``1 / (1 + n1 / (1 + n2 / (1 + ...)))`` by Lentz's algorithm (Lentz 1976)."""
    denominator = c = np.ones_like(x)
    d = np.zeros_like(x)
    for term in range(1, _MOST_TERMS):
        m = term // 2
        if term % 2 == 1:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / (1 + numerator * d)
        c = 1 + numerator / c
        denominator = denominator * c * d
        if (np.abs(c * d - 1) <= np.finfo(np.float64).eps).all():
            break
    return np.asarray(1 / denominator)
