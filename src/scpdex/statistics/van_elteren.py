"""Van Elteren's stratified rank-sum test, which combines the rank sums within strata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.statistics.rank_sum import moments_of_u, standard_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray


class VanElteren:
    """Accumulator of strata, from which the scores z of van Elteren's test are computed, genes x groups.

    With U, its mean and its tie-corrected variance in each stratum h of ``N_h = n1 + n2`` cells as in
    :func:`~.rank_sum.rank_sum_test`, the score is

        z = sum_h (U_h - mu_h) / (N_h + 1)  /  sqrt(sum_h sigma_h**2 / (N_h + 1)**2).

    These weights suit a shift that is the same in all strata (van Elteren 1960, "On the combination of independent two
    sample tests of Wilcoxon"; Lehmann 1975, "Nonparametrics", section 3.3). A stratum that lacks either side has no
    deviation and no variance, and adds nothing.
    """

    def __init__(self, n_genes: int, n_groups: int) -> None:
        """Start without a stratum."""
        self.difference = np.zeros((n_genes, n_groups))
        self.variance = np.zeros((n_genes, n_groups))

    def add(
        self, twice_u: NDArray[np.int64], tie_sums: NDArray[Any], n_group: NDArray[np.int64], n_other: NDArray[np.int64]
    ) -> None:
        """Add a stratum; the parameters are those of :func:`~.rank_sum.rank_sum_test`."""
        weight = 1 / (n_group + n_other + 1.0)
        difference, variance = moments_of_u(twice_u, tie_sums, n_group, n_other)
        self.difference += weight * difference
        self.variance += weight * weight * variance

    def scores(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Compute the scores, and whether each is defined; 0 where no stratum has both sides or all values are tied."""
        return standard_scores(self.difference, self.variance)
