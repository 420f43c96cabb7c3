"""Pairwise tests: whether values of one group are higher than those of another, for every pair of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.statistics.tails import SIGN_OF_ALTERNATIVE
from scpdex.statistics.van_elteren import add_stratum, van_elteren_test

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PairwiseTest:
    """The one-sided Wilcoxon rank-sum test of every pair, corrected for ties; over blocks, van Elteren's."""

    def __init__(self, n_genes: int, n_groups: int, n_others: int) -> None:
        """Begin without blocks."""
        self._deviations, self._variances = np.zeros((2, n_genes, n_groups * n_others))
        self._n_pairs = np.zeros((n_groups, n_others), dtype=np.int64)

    def add(
        self,
        twice_u: NDArray[np.int64],
        tie_sums: NDArray[Any],
        group_sizes: NDArray[np.int64],
        other_sizes: NDArray[np.int64],
    ) -> None:
        """Add a block: 2 U and tie sums, genes x groups x others, and the cells of both sides."""
        shape = self._n_pairs.shape
        self._n_pairs += group_sizes * other_sizes
        n_group, n_other = (np.broadcast_to(sizes, shape).ravel() for sizes in (group_sizes, other_sizes))
        by_pair = self._deviations.shape
        by_pair_u, by_pair_ties = twice_u.reshape(by_pair), tie_sums.reshape(by_pair)
        add_stratum(by_pair_u, by_pair_ties, n_group, n_other, self._deviations, self._variances)

    def pvals(self) -> NDArray[np.float64]:
        """Compute p-values, genes x groups x others; NaN for pairs that share no block."""
        scores, pvals = np.empty((2, *self._deviations.shape))
        van_elteren_test(self._deviations, self._variances, SIGN_OF_ALTERNATIVE["greater"], scores, pvals)
        pvals[:, self._n_pairs.ravel() == 0] = np.nan
        return np.asarray(pvals.reshape(-1, *self._n_pairs.shape))
