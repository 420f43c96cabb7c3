"""The Wilcoxon rank-sum (Mann-Whitney U) test by its normal approximation."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from scpdex.statistics.tie_correction import correct_for_ties

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.options import Alternative

# Most cells on the smaller side for which scipy uses the exact distribution.
_FEW_CELLS = 8


def rank_sum_test(
    twice_u: NDArray[np.int64],
    tie_sums: NDArray[Any] | None,
    n_group: NDArray[np.int64],
    n_other: NDArray[np.int64],
    *,
    use_continuity: bool,
    alternative: Alternative = "two-sided",
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Compute scores z, genes x groups, and whether each is defined.

    The score is ``z = (U - mu) / sigma`` with ``mu = n1 n2 / 2`` and, with N = n1 + n2,
    ``sigma**2 = n1 n2 (N + 1) / 12``, which is multiplied by ``1 - sum(t**3 - t) / (N**3 - N)`` when tie sums are
    given (Lehmann 1975, "Nonparametrics"; ``scipy.stats.mannwhitneyu(method="asymptotic")``). With continuity
    ``|U - mu|`` is lowered by 1/2, not below 0 (``U - mu`` is moved by 1/2 towards the other side for one-sided
    alternatives). Where sigma is 0 (all values tied, or nothing to compare with) the
    score is 0 and not defined.

    Parameters
    ----------
    twice_u
        2 U, genes x groups.
    tie_sums
        Sum of t**3 - t over the ties of the cells compared, genes x groups or genes x 1; None to leave ties
        uncorrected.
    n_group, n_other
        Cells of each group, and cells it is compared with.
    """
    difference, variance = moments_of_u(twice_u, tie_sums, n_group, n_other)
    if use_continuity and alternative != "two-sided":
        difference += 0.5 if alternative == "less" else -0.5
    elif use_continuity:
        difference = np.sign(difference) * np.maximum(np.abs(difference) - 0.5, 0)
    return standard_scores(difference, variance)


def moments_of_u(
    twice_u: NDArray[np.int64], tie_sums: NDArray[Any] | None, n_group: NDArray[np.int64], n_other: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute ``U - mu`` and ``sigma**2``, see :func:`rank_sum_test`."""
    n1 = n_group.astype(np.float64)
    n2 = n_other.astype(np.float64)
    n = n1 + n2
    variance = n1 * n2 * (n + 1) / 12
    # 2 U and n1 n2 are whole numbers, so that the difference is exact.
    difference = (twice_u - n_group * n_other).astype(np.float64) / 2
    return difference, variance if tie_sums is None else correct_for_ties(variance, tie_sums, n_group + n_other)


def standard_scores(
    difference: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Divide differences by their standard deviation, 0 where that is 0; return also where it is above 0."""
    sigma = np.broadcast_to(np.sqrt(variance), difference.shape)
    return np.divide(difference, sigma, out=np.zeros_like(difference), where=sigma > 0), sigma > 0


def exact_pvals(
    twice_u: NDArray[np.int64],
    tie_sums: NDArray[Any],
    n_group: NDArray[np.int64],
    n_other: NDArray[np.int64],
    pvals: NDArray[np.float64],
    alternative: Alternative,
) -> None:
    """Write p from the exact distribution of U where ``scipy.stats.mannwhitneyu`` takes it by default.

    scipy does so where one side has at most 8 cells and no two of the compared cells have the same value. ``pvals``,
    genes x groups, is written there and left unchanged elsewhere; the other parameters are those of
    :func:`rank_sum_test`.
    """
    n_other = np.broadcast_to(n_other, n_group.shape)
    few = np.minimum(n_group, n_other) <= _FEW_CELLS
    is_untied = (tie_sums == 0) & few
    for group in np.flatnonzero(is_untied.any(axis=0)).tolist():
        untied = np.flatnonzero(is_untied[:, group])
        n1, n2 = int(n_group[group]), int(n_other[group])
        u = twice_u[untied, group] // 2
        upper = {"greater": u, "less": n1 * n2 - u, "two-sided": np.maximum(u, n1 * n2 - u)}[alternative]
        # P(U >= u) is P(U <= n1 n2 - u): the lower half of the distribution is enough.
        lower = n1 * n2 - upper
        cumulative = _cumulative_u(min(n1, n2), max(n1, n2))
        at_most = np.minimum(np.minimum(lower, upper - 1), cumulative.size - 1)
        tail = np.where(lower < upper, cumulative[at_most], 1 - np.where(upper > 0, cumulative[at_most], 0))
        pvals[untied, group] = np.minimum(tail * (2 if alternative == "two-sided" else 1), 1)


@lru_cache(maxsize=16)
def _cumulative_u(few: int, many: int) -> NDArray[np.float64]:
    """Compute P(U <= u) without ties, for u up to half of ``few * many``.

    The number of orders of the cells with a given U is a coefficient of the Gaussian binomial (Mann and Whitney 1947),
    the product of ``(1 - q**(many + i)) / (1 - q**i)`` for i from 1 to ``few``.
    """
    ways = np.zeros(few * many // 2 + 1)
    ways[0] = 1
    for i in range(1, few + 1):
        ways[many + i :] -= ways[: max(0, ways.size - many - i)].copy()
        for first in range(i):
            np.cumsum(ways[first::i], out=ways[first::i])
    return np.asarray(np.cumsum(ways) / special.binom(few + many, few))
