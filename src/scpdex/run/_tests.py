"""Tests: from the sums of a few genes to the scores, statistics and p-values of each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scpdex.kernels.moments import moments_of_rest
from scpdex.statistics.anderson_darling import anderson_darling_test
from scpdex.statistics.rank_sum import exact_pvals, rank_sum_test
from scpdex.statistics.student import student_test
from scpdex.statistics.welch import welch_test

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.comparisons import Comparison
    from scpdex.run._sums import Sums
    from scpdex.statistics.options import TestOptions


@dataclass(frozen=True)
class Tested:
    """What a test says, genes x groups."""

    scores: NDArray[np.float64]
    """By which genes are ordered; 0 where undefined."""
    statistics: NDArray[np.float64]
    """As scipy gives them: U, t, or the normalised A squared; NaN where undefined."""
    pvals: NDArray[np.float64]


def test_sums(sums: Sums, comparison: Comparison, options: TestOptions) -> Tested:
    """Test by the method that was chosen."""
    if options.is_t_test:
        return _t_test(sums, comparison, options)
    return _anderson(sums, comparison) if options.needs_order else _rank_test(sums, comparison, options)


def _rank_test(sums: Sums, comparison: Comparison, options: TestOptions) -> Tested:
    twice_u = sums.twice_u[:, : comparison.n_groups]
    tie_sums = sums.tie_sums[:, : comparison.n_groups]
    sizes = (comparison.group_sizes, comparison.other_sizes)
    scores, pvals = rank_sum_test(
        twice_u,
        tie_sums if options.tie_correct else None,
        *sizes,
        use_continuity=options.use_continuity,
        alternative=options.alternative,
    )
    if options.exact:
        exact_pvals(twice_u, tie_sums, *sizes, pvals, options.alternative)
    return Tested(scores, twice_u / 2, pvals)


def _anderson(sums: Sums, comparison: Comparison) -> Tested:
    statistics, pvals = anderson_darling_test(sums.anderson, comparison.group_sizes, comparison.other_sizes)
    mean = comparison.group_sizes * comparison.other_sizes
    scores = np.sign(sums.twice_u[:, : comparison.n_groups] - mean) * np.nan_to_num(sums.anderson)
    return Tested(scores, statistics, pvals)


def _t_test(sums: Sums, comparison: Comparison, options: TestOptions) -> Tested:
    n_groups = comparison.n_groups
    if comparison.against_rest:
        other_means, other_squares = np.empty_like(sums.means), np.empty_like(sums.squares)
        scratch = np.empty((comparison.sizes.size, 3))
        moments_of_rest(comparison.sizes, sums.means, sums.squares, scratch, other_means, other_squares)
        others = slice(n_groups)
    else:
        other_means, other_squares = sums.means, sums.squares
        others = slice(n_groups, None)
    moments = (
        sums.means[:, :n_groups],
        sums.squares[:, :n_groups],
        comparison.group_sizes,
        other_means[:, others],
        other_squares[:, others],
        comparison.other_sizes,
    )
    if options.equal_variances:
        t, pvals = student_test(*moments, alternative=options.alternative)
    else:
        t, pvals = welch_test(
            *moments,
            overestimate_variance=options.method == "t-test_overestim_var",
            alternative=options.alternative,
        )
    return Tested(np.where(np.isnan(t), 0, t), t, pvals)
