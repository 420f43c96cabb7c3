"""The statistics alone, at edges that data rarely reach."""

import warnings
from typing import Any

import anndata as ad
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import by_scpdex
from scipy import stats

from scpdex.statistics.multiple_testing import adjust_pvals
from scpdex.statistics.ordering import order_genes
from scpdex.statistics.rank_sum import rank_sum_test
from scpdex.statistics.tails import SIGN_OF_ALTERNATIVE


def scores_of(twice_u: Any, tie_sums: Any, n_group: Any, n_other: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scores and two-sided p-values, without continuity, of groups that have non-zero cells."""
    scores, pvals = np.empty((2, *twice_u.shape))
    classes = np.unique(n_group, return_inverse=True)[1]
    empty = np.full((2, n_group.size), -1)
    rank_sum_test(twice_u, tie_sums, np.ones_like(twice_u), n_group, n_other, classes, False, 0, scores, pvals, empty)
    return scores, pvals


def test_one_tie_in_float64():
    """Above 2**21 cells a tie sum is rounded, and may come out above N**3 - N: score 0, p of 1, no warning."""
    n1, n2 = np.array([1_250_001]), np.array([1_250_002])
    n = float(n1[0] + n2[0])
    tie_sums = np.array([[np.nextafter(n**3 - n, np.inf)]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores, pvals = scores_of(np.atleast_2d(n1 * n2), tie_sums, n1, n2)
    assert scores == 0
    assert pvals == 1


def test_large_groups_do_not_overflow():
    """n1 n2 (N + 1) passes 2**63 here."""
    n = np.array([40_000_000])
    twice_u = np.atleast_2d(n * n + 2 * 10**12)
    scores, _ = scores_of(twice_u, None, n, n)
    np.testing.assert_allclose(scores, 1e12 / np.sqrt(4e7 * 4e7 * (8e7 + 1) / 12))


@pytest.mark.parametrize("alternative", SIGN_OF_ALTERNATIVE)
def test_normal_pvals(alternative):
    """Against mpmath: 1e-13 up to 20, and 5e-13 as far as p is a normal number of float64."""
    n = np.array([40_000_000])
    z = np.r_[np.linspace(-37, 37, 1481), np.random.default_rng(0).uniform(-9, 9, 500)]
    twice_u = (n * n + 2 * np.round(z * np.sqrt(4e7 * 4e7 * (8e7 + 1) / 12)).astype(np.int64))[:, None]
    scores, pvals = np.empty((2, z.size, 1))
    sign = SIGN_OF_ALTERNATIVE[alternative]
    empty = np.full((2, n.size), -1)
    rank_sum_test(twice_u, None, np.ones_like(twice_u), n, n, np.zeros_like(n), False, sign, scores, pvals, empty)
    with mpmath.workdps(40):
        exact = [mpmath.mpf(score) for score in scores[:, 0].tolist()]
        tails = [mpmath.ncdf(-abs(x)) * 2 if sign == 0 else mpmath.ncdf(-sign * x) for x in exact]
        errors = np.array([float(abs(p / tail - 1)) for p, tail in zip(pvals[:, 0].tolist(), tails, strict=True)])
    assert errors[np.abs(scores[:, 0]) <= 20].max() < 1e-13
    assert errors.max() < 5e-13


@pytest.mark.parametrize("reference", ["rest", "control"])
def test_groups_without_values_share_their_numbers(reference):
    """Groups of one size without a non-zero cell are tested once, with the numbers that each has alone."""
    rng = np.random.default_rng(0)
    groups = np.array(["control"] * 12 + ["a", "b", "c"] * 4 + ["d", "e"] * 5 + ["f"])
    values = np.where(rng.random((groups.size, 30)) < 0.1, rng.integers(1, 4, (groups.size, 30)), 0).astype(np.float32)
    adata = ad.AnnData(values, obs={"group": groups})
    arguments = {"method": "wilcoxon", "tie_correct": True, "reference": reference, "groups": list("abcde")}
    together = by_scpdex(adata, "group", **arguments)
    assert (together["pvals"]["a"] < 1).any()
    for group in "abcde":
        alone = by_scpdex(adata, "group", **arguments | {"groups": [group]})
        for field in ("scores", "pvals"):
            np.testing.assert_array_equal(together[field][group], alone[field][group], err_msg=field)
        np.testing.assert_allclose(together["logfoldchanges"][group], alone["logfoldchanges"][group], rtol=1e-6)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, -0.0, 1, -1, 1 + 1e-15, 1e-300, np.inf, -np.inf]) | st.floats(-9, 9), min_size=1))
@pytest.mark.parametrize("rankby_abs", [True, False])
def test_genes_in_order(rankby_abs, values):
    scores = np.array([values, values[::-1]])
    expected = np.argsort(-(np.abs(scores) if rankby_abs else scores), axis=1, kind="stable")
    np.testing.assert_array_equal(order_genes(scores, rankby_abs=rankby_abs), expected)


@settings(deadline=None)
@given(st.lists(st.floats(-9, 9), min_size=1, max_size=300))
def test_adjusted_pvals(values):
    """In the order of the scores where there is one, and without."""
    scores = np.array([values, values[::-1]])
    pvals = 2 * stats.norm.sf(np.abs(scores))
    expected = stats.false_discovery_control(pvals, axis=1)
    for order in (order_genes(scores, rankby_abs=False), None):
        np.testing.assert_allclose(adjust_pvals(pvals, "benjamini-hochberg", order), expected, rtol=1e-14)
