"""Van Elteren's stratified rank-sum test, which combines the rank sums within strata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scpdex.kernels._compile import kernel
from scpdex.statistics.rank_sum import moments_of_u, standard_score
from scpdex.statistics.tails import normal_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@kernel
def add_stratum(
    twice_u: NDArray[np.int64],
    tie_sums: NDArray[Any],
    n_group: NDArray[np.int64],
    n_other: NDArray[np.int64],
    deviations: NDArray[np.float64],
    variances: NDArray[np.float64],
) -> None:
    """Add a stratum to the weighted deviations of U and their variances, genes x groups.

    ``twice_u`` to ``n_other`` are the parameters of :func:`~.rank_sum.rank_sum_test`, of the cells of the stratum.
    """
    for g in range(deviations.shape[0]):
        for group in range(n_group.size):
            weight = 1 / (n_group[group] + n_other[group] + 1.0)
            deviation, variance = moments_of_u(twice_u, tie_sums, n_group, n_other, g, group)
            deviations[g, group] += weight * deviation
            variances[g, group] += weight * weight * variance


@kernel
def van_elteren_test(
    deviations: NDArray[np.float64],
    variances: NDArray[np.float64],
    alternative: int,
    scores: NDArray[np.float64],
    pvals: NDArray[np.float64],
) -> None:
    """Write scores z and p-values, genes x groups, from what :func:`add_stratum` added up.

    With U, its mean and its tie-corrected variance in each stratum h of ``N_h = n1 + n2`` cells as in
    :func:`~.rank_sum.rank_sum_test`, the score is

        z = sum_h (U_h - mu_h) / (N_h + 1)  /  sqrt(sum_h sigma_h**2 / (N_h + 1)**2).

    These weights suit a shift that is the same in all strata (van Elteren 1960, "On the combination of independent two
    sample tests of Wilcoxon"; Lehmann 1975, "Nonparametrics", section 3.3). A stratum that lacks either side has no
    deviation and no variance, and adds nothing. Where no stratum has both sides, or all values are tied, the score is 0
    and p is 1.
    """
    for g in range(deviations.shape[0]):
        for group in range(deviations.shape[1]):
            variance = variances[g, group]
            scores[g, group] = standard_score(deviations[g, group], variance)
            pvals[g, group] = normal_tail(scores[g, group], alternative) if variance > 0 else 1.0
