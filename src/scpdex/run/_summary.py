"""Summary: from the keys of a few genes to their statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.moments import are_counts, count_not_finite, group_expm1_sums, group_moments, moments_of_rest
from scpdex.kernels.rank_sums import new_scratch, rank_sums
from scpdex.statistics.fold_change import log2_fold_change
from scpdex.statistics.rank_sum import EXACT_TIE_SUMS_BELOW, rank_sum_test
from scpdex.statistics.welch import welch_test

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.comparisons import Comparison
    from scpdex.matrix import GeneBlock
    from scpdex.run._table import Table
    from scpdex.statistics.options import TestOptions


class Summary:
    """One thread's way from a few genes' keys to their statistics, with the scratch that it reuses."""

    def __init__(self, comparison: Comparison, options: TestOptions, longest: int, key_dtype: np.dtype[Any]) -> None:
        self.comparison = comparison
        self.options = options
        wide = key_dtype.itemsize > np.dtype(np.uint32).itemsize
        self.scratch: Any = () if options.is_t_test else new_scratch(longest, wide=wide)
        self.may_be_counts = True

    def add(self, block: GeneBlock, table: Table) -> None:
        """Write the statistics of a block's genes to their columns of the table."""
        comparison, options = self.comparison, self.options
        sizes = np.maximum(comparison.sizes, 1)
        nonzero = block.ends.astype(np.int64)
        nonzero[:, 1:] -= block.ends[:, :-1]
        means = np.empty(nonzero.shape)
        if options.is_t_test:
            scores, pvals = self._t_test(block, means)
        else:
            scores, pvals = self._rank_sum_test(block, comparison.sizes - nonzero, means)
        genes = slice(block.genes.start, block.genes.stop)
        table.not_finite[genes] = self._not_finite(block, means)
        table.are_counts[genes] = self._are_counts(block)

        log_scale: float | None = options.log_scale
        if not options.mean_in_log_space:
            group_expm1_sums(block.keys, block.starts, block.ends, options.log_scale, means)
            means, log_scale = means / sizes, None
        change = log2_fold_change(means[:, : comparison.n_groups], self._others(means), log_scale)

        table.scores[:, genes] = scores.T
        table.pvals[:, genes] = pvals.T
        table.logfoldchanges[:, genes] = change.T
        if table.fractions is not None:
            table.fractions[:, genes] = (nonzero / sizes).T
        if table.rest_fractions is not None:
            rest = nonzero.sum(axis=1, keepdims=True) - nonzero[:, : comparison.n_groups]
            table.rest_fractions[:, genes] = _divide(rest, comparison.other_sizes).T

    def _not_finite(self, block: GeneBlock, means: NDArray[np.float64]) -> NDArray[np.int64]:
        """Count NaN and infinite values, which show in the means, for each gene."""
        counts = np.zeros(len(block.genes), dtype=np.int64)
        for g in np.flatnonzero(~np.isfinite(means).all(axis=1)).tolist():
            counts[g] = count_not_finite(block.keys_of(g))
        return counts

    def _are_counts(self, block: GeneBlock) -> bool:
        """Tell whether all values look like raw counts; no longer asked once some did not."""
        if self.may_be_counts:
            self.may_be_counts = all(are_counts(block.keys_of(g)) for g in range(len(block.genes)))
        return self.may_be_counts

    def _rank_sum_test(
        self, block: GeneBlock, zeros: NDArray[np.int64], means: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Test, and write the mean of each group."""
        comparison, options = self.comparison, self.options
        n_tie_sums = 1 if comparison.against_rest else comparison.sizes.size if options.tie_correct else 0
        exact = comparison.sizes.sum() < EXACT_TIE_SUMS_BELOW
        tie_sums = np.empty((zeros.shape[0], n_tie_sums), dtype=np.int64 if exact else np.float64)
        twice_u = np.empty_like(zeros)
        rank_sums(
            block.keys,
            block.starts,
            block.ends,
            comparison.sizes,
            zeros,
            comparison.reference_code,
            means,
            twice_u,
            tie_sums,
            *self.scratch,
        )
        means /= np.maximum(comparison.sizes, 1)
        return rank_sum_test(
            twice_u[:, : comparison.n_groups],
            tie_sums[:, : comparison.n_groups] if options.tie_correct else None,
            comparison.group_sizes,
            comparison.other_sizes,
            use_continuity=options.use_continuity,
        )

    def _t_test(self, block: GeneBlock, means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Test, and write the mean of each group."""
        comparison = self.comparison
        n_groups = comparison.n_groups
        squares = np.empty_like(means)
        group_moments(block.keys, block.starts, block.ends, comparison.sizes, means, squares)
        if comparison.against_rest:
            other_means, other_squares = np.empty_like(means), np.empty_like(squares)
            scratch = np.empty((comparison.sizes.size, 3))
            moments_of_rest(comparison.sizes, means, squares, scratch, other_means, other_squares)
            others = slice(n_groups)
        else:
            other_means, other_squares = means, squares
            others = slice(n_groups, None)
        return welch_test(
            means[:, :n_groups],
            squares[:, :n_groups],
            comparison.group_sizes,
            other_means[:, others],
            other_squares[:, others],
            comparison.other_sizes,
            overestimate_variance=self.options.method == "t-test_overestim_var",
        )

    def _others(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of the cells that each group is compared with, genes x groups or genes x 1.

        The rest of a group is added up from the groups before it and those after it, never by subtraction.
        """
        n_groups = self.comparison.n_groups
        if not self.comparison.against_rest:
            return means[:, n_groups:]
        sums = means * self.comparison.sizes
        rest = np.zeros_like(sums)
        np.cumsum(sums[:, :-1], axis=1, out=rest[:, 1:])
        rest[:, :-1] += np.cumsum(sums[:, :0:-1], axis=1)[:, ::-1]
        return _divide(rest[:, :n_groups], self.comparison.other_sizes)


def _divide(a: NDArray[Any], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide, giving NaN without a warning where there are no cells."""
    with np.errstate(invalid="ignore"):
        return np.asarray(a / n)
