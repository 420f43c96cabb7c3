"""The two-sample Anderson-Darling test for tied values: from A squared to scipy's statistic and p-value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import digamma, zeta

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
    sigma = _sigma(n_group.astype(np.float64), np.broadcast_to(n_other, n_group.shape).astype(np.float64))
    statistics = (squares - 1) / sigma
    pvals = np.exp(np.polyval(_LOG_P, np.clip(statistics, _CRITICAL[0], _CRITICAL[-1])))
    pvals[statistics < _CRITICAL[0]] = _LEVELS[0]
    pvals[statistics > _CRITICAL[-1]] = _LEVELS[-1]
    pvals[np.isnan(statistics)] = 1
    return statistics, pvals


def _sigma(n1: NDArray[np.float64], n2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the standard deviation of A**2 for each pair of group sizes; NaN where it is undefined."""
    sigma = np.full(n1.shape, np.nan)
    defined = (n1 + n2 >= _LEAST_CELLS) & (np.minimum(n1, n2) > 0)
    n1, n2 = n1[defined], n2[defined]
    n = n1 + n2
    h, g = _harmonic_sums(n)
    inverse = 1 / n1 + 1 / n2
    a = (4 * g - 6) + (10 - 6 * g) * inverse
    b = 4 * (2 * g - 4) + 16 * h + (2 * g - 14 * h - 4) * inverse - 8 * h + 4 * g - 6
    c = 4 * (6 * h + 2 * g - 2) + 2 * (4 * h - 4 * g + 6) + (2 * h - 6) * inverse + 4 * h
    d = 4 * (2 * h + 6) - 8 * h
    sigma[defined] = np.sqrt((a * n**3 + b * n**2 + c * n + d) / ((n - 1) * (n - 2) * (n - 3)))
    return sigma


def _harmonic_sums(n: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum ``1 / i`` over i from 1 to n - 1, and ``1 / ((n - i) j)`` over i < j from 1 to n - 1.

    The first sum, h, is ``digamma(n) + gamma`` (DLMF 5.4.14). In the second, ``i' = n - i`` makes the pairs i < j those
    with ``i' + j > n``. All pairs of i' and j from 1 to n - 1 sum to ``h**2``; those with ``i' + j = n`` to
    ``2 h / n``; and those with ``i' + j < n`` to ``h**2`` less the sum of ``1 / i**2``, since ``1 / (i' j)`` summed
    over ``i' + j = m`` is ``2 / m`` times the sum of ``1 / i`` to m - 1. What is left is the sum of ``1 / i**2`` over i
    from 1 to n - 1, which is ``pi**2 / 6 - zeta(2, n)`` (DLMF 25.6.1, 25.11.1), less ``2 h / n``.
    """
    h = digamma(n) + np.euler_gamma
    return h, np.pi**2 / 6 - zeta(2, n) - 2 * h / n
