"""The two-sample Anderson-Darling test for tied values: from A squared to scipy's statistic and p-value."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Significance levels, and their critical values for two samples: the sums of the three coefficients in table 2 of
# Scholz and Stephens (1987).
_LEVELS = np.array([0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001])
_CRITICAL = (
    np.array([0.675, 1.281, 1.645, 1.96, 2.326, 2.573, 3.085])
    + np.array([-0.245, 0.25, 0.678, 1.149, 1.822, 2.364, 3.615])
    + np.array([-0.105, -0.305, -0.362, -0.391, -0.396, -0.345, -0.154])
)
# Between critical values log p is a parabola, fitted by least squares.
_LOG_P = np.polyfit(_CRITICAL, np.log(_LEVELS), 2)
# Fewest cells for which the variance of the statistic is defined.
_LEAST_CELLS = 4


def anderson_darling_test(
    squares: NDArray[np.float64], n_group: NDArray[np.int64], n_other: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute statistics and p-values, genes x groups, as ``scipy.stats.anderson_ksamp`` does for two samples.

    The statistic is ``(A**2 - 1) / sigma``, with sigma from equation 4 of Scholz and Stephens (1987), "K-sample
    Anderson-Darling tests". p is interpolated from their table, as in scipy, and lies between 0.001 and 0.25. The
    statistic is NaN and p is 1 where all cells have one value, for fewer than four cells in all, and where a group has
    no cells to compare with.

    Parameters
    ----------
    squares
        A**2 of each gene and group; NaN where it is undefined.
    n_group, n_other
        Cells of each group, and cells it is compared with.
    """
    sizes = zip(n_group.tolist(), np.broadcast_to(n_other, n_group.shape).tolist(), strict=True)
    sigma = np.array([_sigma(*pair) for pair in sizes])
    statistics = (squares - 1) / sigma
    pvals = np.exp(np.polyval(_LOG_P, np.clip(statistics, _CRITICAL[0], _CRITICAL[-1])))
    pvals[statistics < _CRITICAL[0]] = _LEVELS[0]
    pvals[statistics > _CRITICAL[-1]] = _LEVELS[-1]
    pvals[np.isnan(statistics)] = 1
    return statistics, pvals


@lru_cache(maxsize=1 << 16)
def _sigma(n1: int, n2: int) -> float:
    """Compute the standard deviation of A**2; NaN where it is undefined."""
    n = n1 + n2
    if n < _LEAST_CELLS or min(n1, n2) == 0:
        return float("nan")
    h, g = _harmonic_sums(n)
    inverse = 1 / n1 + 1 / n2
    a = (4 * g - 6) + (10 - 6 * g) * inverse
    b = 4 * (2 * g - 4) + 16 * h + (2 * g - 14 * h - 4) * inverse - 8 * h + 4 * g - 6
    c = 4 * (6 * h + 2 * g - 2) + 2 * (4 * h - 4 * g + 6) + (2 * h - 6) * inverse + 4 * h
    d = 4 * (2 * h + 6) - 8 * h
    return float(np.sqrt((a * n**3 + b * n**2 + c * n + d) / ((n - 1.0) * (n - 2.0) * (n - 3.0))))


@lru_cache(maxsize=1 << 10)
def _harmonic_sums(n: int) -> tuple[float, float]:
    """Sum ``1 / i`` over i from 1 to n - 1, and ``1 / ((n - i) j)`` over i < j from 1 to n - 1."""
    tails = np.cumsum(1.0 / np.arange(n - 1, 1, -1))
    return float(tails[-1] + 1), float((tails / np.arange(2, n)).sum())
