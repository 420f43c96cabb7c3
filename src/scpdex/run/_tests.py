"""Tests: from the sums of a few genes to the scores, statistics and p-values of each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.moments import moments_of_rest
from scpdex.statistics.anderson_darling import anderson_darling_test
from scpdex.statistics.log_tails import log10_normal_tail, log10_t_tail
from scpdex.statistics.rank_sum import exact_pvals, rank_sum_test
from scpdex.statistics.student import student_test
from scpdex.statistics.tails import normal_tail, t_tail
from scpdex.statistics.van_elteren import VanElteren
from scpdex.statistics.welch import welch_test

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Comparison
    from scpdex.run._sufficient_statistics import SufficientStatistics
    from scpdex.statistics.options import TestOptions


@dataclass(frozen=True)
class TestResult:
    """What a test says, genes x groups."""

    scores: NDArray[np.float64]
    """By which genes are ordered; 0 where undefined."""
    statistics: NDArray[np.float64]
    """As scipy gives them: U, t, or the normalised A squared, NaN where undefined; the scores, within strata."""
    pvals: NDArray[np.float64]
    log10_pvals: NDArray[np.float64] | None
    """Where they are to be reported."""


def test_sums(sums: SufficientStatistics, comparison: Comparison, options: TestOptions) -> TestResult:
    """Test by the method that was chosen, given the sums of all cells."""
    if options.is_t_test:
        return _t_test(sums, comparison, options)
    return _anderson(sums, comparison, options) if options.needs_order else _rank_test(sums, comparison, options)


def test_strata(
    of_strata: Iterable[SufficientStatistics], comparison: Comparison, options: TestOptions
) -> tuple[TestResult, SufficientStatistics]:
    """Test within strata, given the sums of each in turn; give these together as well, without ranks of ties."""
    n_groups = comparison.n_groups
    together: SufficientStatistics | None = None
    for sums, sides in zip(of_strata, comparison.stratum_sizes, strict=True):
        if together is None:
            together = sums.zeros_like()
            test = VanElteren(sums.nonzero.shape[0], n_groups)
        test.add(sums.twice_u[:, :n_groups], sums.tie_sums[:, :n_groups], sides.group_sizes, sides.other_sizes)
        together.add_stratum(sums, sides.sizes)
    assert together is not None, "there are strata"  # noqa: S101
    together.means /= np.maximum(comparison.sizes, 1)
    scores, defined = test.scores()
    pvals, logs = _of_normal(scores, defined, options)
    return TestResult(scores, scores, pvals, logs), together


def _of_normal(scores: NDArray[np.float64], defined: NDArray[np.bool_], options: TestOptions) -> Any:
    """p-values of z, and their logs where these are to be reported; 1 where z is not defined."""
    pvals = normal_tail(scores, options.alternative)
    pvals[~np.broadcast_to(defined, pvals.shape)] = 1
    logs = None
    if "log10_pvals" in options.extras:
        logs = np.where(defined, log10_normal_tail(scores, options.alternative), 0)
    return pvals, logs


def _rank_test(sums: SufficientStatistics, comparison: Comparison, options: TestOptions) -> TestResult:
    twice_u = sums.twice_u[:, : comparison.n_groups]
    tie_sums = sums.tie_sums[:, : comparison.n_groups]
    sizes = (comparison.group_sizes, comparison.other_sizes)
    scores, defined = rank_sum_test(
        twice_u,
        tie_sums if options.tie_correct else None,
        *sizes,
        use_continuity=options.use_continuity,
        alternative=options.alternative,
    )
    pvals, logs = _of_normal(scores, defined, options)
    if options.exact:
        exact_pvals(twice_u, tie_sums, *sizes, pvals, options.alternative)
    return TestResult(scores, twice_u / 2, pvals, logs)


def _anderson(sums: SufficientStatistics, comparison: Comparison, options: TestOptions) -> TestResult:
    statistics, pvals = anderson_darling_test(sums.anderson, comparison.group_sizes, comparison.other_sizes)
    mean = comparison.group_sizes * comparison.other_sizes
    # Distributions of different spread may have equal rank sums.
    sign = np.where(sums.twice_u[:, : comparison.n_groups] < mean, -1, 1)
    scores = sign * np.nan_to_num(sums.anderson)
    return TestResult(scores, statistics, pvals, np.log10(pvals) if "log10_pvals" in options.extras else None)


def _t_test(sums: SufficientStatistics, comparison: Comparison, options: TestOptions) -> TestResult:
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
    freedom: NDArray[Any]
    if options.equal_variances:
        t, freedom = student_test(*moments)
    else:
        t, freedom = welch_test(*moments, overestimate_variance=options.method == "t-test_overestim_var")
    undefined = np.isnan(t)
    pvals = t_tail(t, freedom, options.alternative)
    pvals[undefined] = 1
    logs = None
    if "log10_pvals" in options.extras:
        logs = np.where(undefined, 0, log10_t_tail(t, freedom, options.alternative))
    return TestResult(np.where(undefined, 0, t), t, pvals, logs)
