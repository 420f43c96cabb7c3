"""The Brunner-Munzel test: the AUC, its standard error and degrees of freedom, from sums of squared placements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

from scpdex.kernels._compile import inner_kernel, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Squared deviations of twice the placements sum to 4/27 N**3 at most: of fewer than these N cells, to less than 2**64.
EXACT_SQUARES_BELOW = 4_900_000


class AucEstimate(NamedTuple):
    """AUC of each gene and group, genes x groups, with its uncertainty."""

    difference: NDArray[np.float64]
    """AUC - 1/2."""
    standard_error: NDArray[np.float64]
    """0 where all cells have one value; NaN with one cell on a side."""
    freedom: NDArray[np.float64]
    """Degrees of freedom of Student's t for the difference divided by its standard error."""

    def interval(self, confidence: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute the ends of the confidence interval of the AUC, cut to [0, 1]."""
        margin = special.stdtrit(self.freedom, (1 + confidence) / 2) * self.standard_error
        auc = self.difference + 0.5
        return np.clip(auc - margin, 0, 1), np.clip(auc + margin, 0, 1)


def estimate_auc(
    twice_u: NDArray[np.int64],
    group_squares: NDArray[Any],
    other_squares: NDArray[Any],
    n_group: NDArray[np.int64],
    n_other: NDArray[np.int64],
) -> AucEstimate:
    """Estimate the AUC, P(X > Y) + P(X = Y) / 2 for X of the group and Y of the others, and its uncertainty.

    With S1 and S2 the variances of the placements (:mod:`scpdex.kernels.placements`) of the group's n1 cells and of the
    n2 others, the squared standard error is ``S1 / (n1 n2**2) + S2 / (n2 n1**2)``, and the degrees of freedom are
    Satterthwaite's (Brunner and Munzel 2000, "The nonparametric Behrens-Fisher problem"). The difference divided by
    its standard error is ``scipy.stats.brunnermunzel(others, group).statistic``.

    Both variances are 0 where one side lies above the other. There scipy's statistic is infinite; here the variance is
    the smallest positive one that n1 and n2 allow. Placements are multiples of 1/2, so that a variance S1 that is not 0
    is at least 1 / (4 n1), and one tie of a cell of either side, all else separated, has that on both sides: together
    ``1 / (2 n1**2 n2**2)``. (If one of the variances is 0, the other side's placements jump by n: that is more.)

    Parameters
    ----------
    twice_u, group_squares, other_squares
        2 U, and sums of squared placements, genes x codes, of which the tested groups come first. Sums of squares in
        int64 may have wrapped around. Those in float64, of ``EXACT_SQUARES_BELOW`` cells or more, are rounded, so that
        variances of nearly separated sides are too large.
    n_group, n_other
        Cells of each group, and cells that it is compared with.
    """
    shape = (twice_u.shape[0], n_group.size)
    estimate = AucEstimate(np.empty(shape), np.empty(shape), np.empty(shape))
    is_exact = group_squares.dtype == np.int64
    _estimate_auc(twice_u, group_squares, other_squares, n_group, n_other, is_exact, *estimate)
    return estimate


@kernel
def _estimate_auc(
    twice_u: NDArray[np.int64],
    group_squares: NDArray[Any],
    other_squares: NDArray[Any],
    n_group: NDArray[np.int64],
    n_other: NDArray[np.int64],
    is_exact: bool,
    difference: NDArray[np.float64],
    standard_error: NDArray[np.float64],
    freedom: NDArray[np.float64],
) -> None:
    for g in range(twice_u.shape[0]):
        for group in range(n_group.size):
            n1, n2 = n_group[group], n_other[group]
            n_pairs = n1 * n2
            cells1, cells2 = np.float64(n1), np.float64(n2)
            total = twice_u[g, group]
            # The difference of whole numbers is exact.
            difference[g, group] = np.float64(total - n_pairs) / max(2 * n_pairs, 1)
            if n1 < 2 or n2 < 2:
                standard_error[g, group] = freedom[g, group] = np.nan
                continue
            if total in (0, 2 * n_pairs):
                variance1 = variance2 = 1 / (4 * cells1 * cells1 * cells2 * cells2)
            else:
                dtype = group_squares.dtype.type
                spread1 = _squared_deviations(group_squares[g, group], total, n1, dtype, is_exact)
                spread2 = _squared_deviations(other_squares[g, group], 2 * n_pairs - total, n2, dtype, is_exact)
                variance1 = spread1 / (4 * cells1 * (cells1 - 1) * cells2 * cells2)
                variance2 = spread2 / (4 * cells2 * (cells2 - 1) * cells1 * cells1)
            variance = variance1 + variance2
            standard_error[g, group] = np.sqrt(variance)
            freedom[g, group] = 1.0
            if variance > 0:
                share1, share2 = variance1 / variance, variance2 / variance
                freedom[g, group] = 1 / (share1 * share1 / (cells1 - 1) + share2 * share2 / (cells2 - 1))


@inner_kernel
def _squared_deviations(squares: Any, total: int, n: int, dtype: Any, is_exact: bool) -> float:
    """Sum squared deviations from the mean of ``n`` whole numbers, given the sum of their squares and their sum.

    Deviations from the rounded-down mean are whole numbers with the sum r < n, so that the sum of their squares is at
    least r: nothing cancels. As uint64 that sum is right whatever has wrapped around on the way to it.
    """
    mean = total // n
    r = total - mean * n
    beyond_r = squares - dtype(2 * mean) * dtype(total) + dtype(n) * dtype(mean) * dtype(mean) - dtype(r)
    whole = np.float64(np.uint64(np.int64(beyond_r))) if is_exact else max(np.float64(beyond_r), 0.0)
    return whole + np.float64(r * (n - r)) / n
