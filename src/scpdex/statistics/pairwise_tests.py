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

    def __init__(self, n_genes: int, n_pairs: int) -> None:
        """Begin without blocks."""
        self._deviations, self._variances = np.zeros((2, n_genes, n_pairs))
        self._n_cell_pairs = np.zeros(n_pairs, dtype=np.int64)

    def add(
        self,
        twice_u: NDArray[np.int64],
        tie_sums: NDArray[Any],
        first_sizes: NDArray[np.int64],
        second_sizes: NDArray[np.int64],
    ) -> None:
        """Add a block: 2 U and tie sums, genes x pairs, and the cells of both sides of each pair."""
        self._n_cell_pairs += first_sizes * second_sizes
        add_stratum(twice_u, tie_sums, first_sizes, second_sizes, self._deviations, self._variances)

    def pvals(self) -> NDArray[np.float64]:
        """Compute p-values, genes x pairs; NaN for pairs that share no block."""
        scores, pvals = np.empty((2, *self._deviations.shape))
        van_elteren_test(self._deviations, self._variances, SIGN_OF_ALTERNATIVE["greater"], scores, pvals)
        pvals[:, self._n_cell_pairs == 0] = np.nan
        return np.asarray(pvals)
