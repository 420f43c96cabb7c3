"""The Wilcoxon rank-sum (Mann-Whitney U) test by its normal approximation."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from scpdex.kernels._compile import inner_kernel, kernel
from scpdex.statistics.tails import normal_tail
from scpdex.statistics.tie_correction import share_without_ties

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.options import Alternative

# Most cells on the smaller side for which scipy uses the exact distribution.
_FEW_CELLS = 8


@inner_kernel
def moments_of_u(
    twice_u: NDArray[np.int64],
    tie_sums: NDArray[Any] | None,
    n_group: NDArray[np.int64],
    n_other: NDArray[np.int64],
    g: int,
    group: int,
) -> tuple[float, float]:
    """Compute ``U - mu`` and ``sigma**2`` of gene ``g`` and a group, see :func:`rank_sum_test`."""
    n1, n2 = n_group[group], n_other[group]
    variance = np.float64(n1) * np.float64(n2) * (np.float64(n1) + np.float64(n2) + 1) / 12
    # Numba compiles only the branch for the type of tie_sums.
    if tie_sums is not None:
        tie_sum = tie_sums[g, group if tie_sums.shape[1] > 1 else 0]
        variance *= share_without_ties(tie_sum, tie_sums.dtype.type(n1 + n2))
    # 2 U and n1 n2 are whole numbers, so that the difference is exact.
    return np.float64(twice_u[g, group] - n1 * n2) / 2, variance


@inner_kernel
def standard_score(deviation: float, variance: float) -> Any:
    """Divide a deviation by its standard deviation; 0 where that is 0."""
    return deviation / np.sqrt(variance) if variance > 0 else 0.0


@inner_kernel
def continuity_corrected(deviation: float, alternative: int) -> Any:
    """Move ``U - mu`` by 1/2: towards 0, not beyond, or towards the other side for one-sided alternatives."""
    if alternative != 0:
        return deviation - 0.5 * alternative
    return np.sign(deviation) * max(abs(deviation) - 0.5, 0.0)


@kernel
def rank_sum_test(
    twice_u: NDArray[np.int64],
    tie_sums: NDArray[Any] | None,
    nonzero: NDArray[np.int64],
    n_group: NDArray[np.int64],
    n_other: NDArray[np.int64],
    size_classes: NDArray[np.int64],
    use_continuity: bool,
    alternative: int,
    scores: NDArray[np.float64],
    pvals: NDArray[np.float64],
    empty: NDArray[np.int64],
) -> None:
    """Write scores z and their p-values, genes x groups.

    The score is ``z = (U - mu) / sigma`` with ``mu = n1 n2 / 2`` and, with N = n1 + n2,
    ``sigma**2 = n1 n2 (N + 1) / 12``, which is multiplied by ``1 - sum(t**3 - t) / (N**3 - N)`` when tie sums are
    given (Lehmann 1975, "Nonparametrics"; ``scipy.stats.mannwhitneyu(method="asymptotic")``). With continuity
    ``|U - mu|`` is lowered by 1/2, not below 0 (``U - mu`` is moved by 1/2 towards the other side for one-sided
    alternatives). Where sigma is 0 (all values tied, or nothing to compare with) the score is 0 and p is 1.

    Groups of one size without a non-zero cell have equal U and tie sums: these are tested once for each gene.

    Parameters
    ----------
    twice_u, nonzero
        2 U and number of non-zero cells, genes x codes, of which the tested groups come first.
    tie_sums
        Sum of t**3 - t over the ties of the cells compared, genes x codes or genes x 1; None to leave ties
        uncorrected.
    n_group, n_other
        Cells of each group, and cells that it is compared with.
    size_classes
        Position of each group's size among the distinct sizes.
    use_continuity, alternative
        Whether to correct for continuity; 0 for two-sided, 1 for greater, -1 for less, see :mod:`~.tails`.
    scores, pvals
        Output.
    empty
        Scratch, 2 x groups, -1 at first: by size class, the last gene with an empty group, and that group.
    """
    genes, groups = empty[0], empty[1]
    for g in range(twice_u.shape[0]):
        for group in range(n_group.size):
            if nonzero[g, group] == 0:
                size_class = np.uint64(size_classes[group])
                if genes[size_class] == g:
                    scores[g, group] = scores[g, np.uint64(groups[size_class])]
                    pvals[g, group] = pvals[g, np.uint64(groups[size_class])]
                    continue
                genes[size_class] = g
                groups[size_class] = group
            deviation, variance = moments_of_u(twice_u, tie_sums, n_group, n_other, g, group)
            if use_continuity:
                deviation = continuity_corrected(deviation, alternative)
            score = standard_score(deviation, variance)
            pval = normal_tail(score, alternative) if variance > 0 else 1.0
            scores[g, group] = score
            pvals[g, group] = pval


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
