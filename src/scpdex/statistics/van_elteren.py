"""The stratified rank-sum test of van Elteren: rank-sum tests within strata, combined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.statistics.rank_sum import moments_of_u, standard_scores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def van_elteren_test(
    strata: Iterable[tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64], NDArray[np.int64]]],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores z of van Elteren's test, genes x groups, and where they are defined.

    With U, its mean and its tie-corrected variance in each stratum h of ``N_h = n1 + n2`` cells as in
    :func:`~.rank_sum.rank_sum_test`, the score is

        z = sum_h (U_h - mu_h) / (N_h + 1)  /  sqrt(sum_h sigma_h**2 / (N_h + 1)**2).

    These weights suit a shift that is the same in all strata (van Elteren 1960, "On the combination of independent two
    sample tests of Wilcoxon"; Lehmann 1975, "Nonparametrics", section 3.3). A stratum that lacks either side has
    neither a deviation nor a variance, and adds nothing. Where none is left, or all values are tied, the score is 0 and
    not defined.

    Parameters
    ----------
    strata
        Of each stratum: 2 U, genes x groups; sums of t**3 - t over the ties, genes x groups or genes x 1; cells of
        each group, and cells it is compared with.
    """
    difference: NDArray[np.float64] | float = 0.0
    variance: NDArray[np.float64] | float = 0.0
    for twice_u, tie_sums, n_group, n_other in strata:
        weight = 1 / (n_group + n_other + 1.0)
        of_stratum, its_variance = moments_of_u(twice_u, tie_sums, n_group, n_other)
        difference = difference + weight * of_stratum
        variance = variance + weight * weight * its_variance
    return standard_scores(np.asarray(difference), np.asarray(variance))
