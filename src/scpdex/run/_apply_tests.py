"""Tests: from the sufficient statistics of a few genes to the scores, statistics and p-values of each group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.moments import moments_of_rest
from scpdex.statistics.anderson_darling import anderson_darling_test
from scpdex.statistics.brunner_munzel import AucEstimate, estimate_auc
from scpdex.statistics.log_tails import log10_normal_tail, log10_t_tail
from scpdex.statistics.minimal_effect import minimal_effect_test
from scpdex.statistics.rank_sum import exact_pvals, rank_sum_test
from scpdex.statistics.scores import TestResult
from scpdex.statistics.student import student_test
from scpdex.statistics.tails import SIGN_OF_ALTERNATIVE, t_tail
from scpdex.statistics.van_elteren import add_stratum, van_elteren_test
from scpdex.statistics.welch import welch_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Comparison
    from scpdex.run._sufficient_statistics import SufficientStatistics
    from scpdex.statistics.options import Alternative, TestOptions


def test_sums(
    sums: SufficientStatistics, auc: AucEstimate | None, comparison: Comparison, options: TestOptions
) -> TestResult:
    """Apply the test of the options to the sufficient statistics of all cells, and their AUC where it is estimated."""
    if options.is_t_test:
        return _t_test(sums, comparison, options)
    if options.method == "anderson":
        return _anderson_test(sums, comparison)
    if options.method == "brunner-munzel":
        assert auc is not None, "the test needs placements"  # noqa: S101
        return _student_result(*auc, options)
    return _rank_test(sums, comparison, options)


def estimate_auc_of_sums(
    sums: SufficientStatistics, comparison: Comparison, options: TestOptions
) -> AucEstimate | None:
    """Estimate the AUC and its standard error from squared placements; None where nothing needs them."""
    if not options.needs_placements:
        return None
    squares = (sums.group_squares, sums.other_squares)
    return estimate_auc(sums.twice_u, *squares, comparison.group_sizes, comparison.other_sizes)


def test_strata(
    sums_of_strata: Iterable[SufficientStatistics], comparison: Comparison, options: TestOptions
) -> tuple[TestResult, SufficientStatistics]:
    """Apply the stratified test to the sufficient statistics of each stratum in turn; return their pool as well.

    The pool has no tie sums, which do not add up over strata.
    """
    n_groups = comparison.n_groups
    pooled: SufficientStatistics | None = None
    for sums, sides in zip(sums_of_strata, comparison.stratum_sizes, strict=True):
        if pooled is None:
            pooled = sums.zeros_like()
            deviations, variances = np.zeros((2, sums.nonzero.shape[0], n_groups))
        add_stratum(sums.twice_u, sums.tie_sums, sides.group_sizes, sides.other_sizes, deviations, variances)
        pooled.add_stratum(sums, sides.sizes)
    assert pooled is not None, "there are strata"  # noqa: S101
    pooled.means /= np.maximum(comparison.sizes, 1)
    scores, pvals = np.empty((2, *deviations.shape))
    van_elteren_test(deviations, variances, SIGN_OF_ALTERNATIVE[options.alternative], scores, pvals)
    return _normal_result(scores, pvals, lambda: scores, options.alternative), pooled


def _normal_result(
    scores: NDArray[np.float64],
    pvals: NDArray[np.float64],
    compute_statistics: Callable[[], NDArray[np.float64]],
    alternative: Alternative,
) -> TestResult:
    """Make the result of a test whose scores are standard normal."""

    def compute_log10_pvals() -> NDArray[np.float64]:
        return np.where((scores == 0) & (pvals == 1), 0, log10_normal_tail(scores, alternative))

    return TestResult(scores, pvals, compute_statistics, compute_log10_pvals)


def _rank_test(sums: SufficientStatistics, comparison: Comparison, options: TestOptions) -> TestResult:
    n_groups = comparison.n_groups
    scores, pvals = np.empty((2, sums.twice_u.shape[0], n_groups))
    sizes = (comparison.group_sizes, comparison.other_sizes)
    rank_sum_test(
        sums.twice_u,
        sums.tie_sums if options.tie_correct else None,
        sums.nonzero,
        *sizes,
        comparison.size_classes,
        options.use_continuity,
        SIGN_OF_ALTERNATIVE[options.alternative],
        scores,
        pvals,
        np.full((2, n_groups), -1),
    )
    if options.exact:
        exact_pvals(sums.twice_u[:, :n_groups], sums.tie_sums[:, :n_groups], *sizes, pvals, options.alternative)
    return _normal_result(scores, pvals, lambda: sums.twice_u[:, :n_groups] / 2, options.alternative)


def _anderson_test(sums: SufficientStatistics, comparison: Comparison) -> TestResult:
    statistics, pvals = anderson_darling_test(sums.anderson, comparison.group_sizes, comparison.other_sizes)
    mean = comparison.group_sizes * comparison.other_sizes
    # Distributions of different spread may have equal rank sums: their sign is 1, not 0.
    sign = np.where(sums.twice_u[:, : comparison.n_groups] < mean, -1, 1)
    scores = sign * np.nan_to_num(sums.anderson)
    return TestResult(scores, pvals, lambda: statistics, lambda: np.log10(pvals))


def _t_test(sums: SufficientStatistics, comparison: Comparison, options: TestOptions) -> TestResult:
    n_groups = comparison.n_groups
    if comparison.against_rest:
        other_means, other_squares = np.empty_like(sums.means), np.empty_like(sums.squares)
        scratch = np.empty((comparison.sizes.size, 3))
        moments_of_rest(comparison.sizes, sums.means, sums.squares, scratch, other_means, other_squares)
        other_codes = slice(n_groups)
    else:
        other_means, other_squares = sums.means, sums.squares
        other_codes = slice(n_groups, None)
    moments = (
        sums.means[:, :n_groups],
        sums.squares[:, :n_groups],
        comparison.group_sizes,
        other_means[:, other_codes],
        other_squares[:, other_codes],
        comparison.other_sizes,
    )
    freedom: NDArray[Any]
    if options.equal_variances:
        difference, standard_error, freedom = student_test(*moments)
    else:
        overestimate = options.method == "t-test_overestim_var"
        difference, standard_error, freedom = welch_test(*moments, overestimate_variance=overestimate)
    return _student_result(difference, standard_error, freedom, options)


def _student_result(
    difference: NDArray[np.float64], standard_error: NDArray[np.float64], freedom: NDArray[Any], options: TestOptions
) -> TestResult:
    """Make the result of a test whose scores, differences by their standard errors, follow Student's t."""
    if options.min_effect:
        return minimal_effect_test(difference, standard_error, freedom, options.min_effect, options.alternative)
    t = difference / standard_error
    undefined = np.isnan(t)
    pvals = t_tail(t, freedom, options.alternative)
    pvals[undefined] = 1

    def compute_log10_pvals() -> NDArray[np.float64]:
        return np.where(undefined, 0, log10_t_tail(t, freedom, options.alternative))

    return TestResult(np.where(undefined, 0, t), pvals, lambda: t, compute_log10_pvals)
