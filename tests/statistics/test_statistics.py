"""The statistics alone, at edges that data rarely reach."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scpdex.statistics.multiple_testing import adjust_pvals
from scpdex.statistics.ordering import order_genes
from scpdex.statistics.rank_sum import rank_sum_test


def test_one_tie_in_float64():
    """Above 2**21 cells a tie sum is rounded, and may come out above N**3 - N: score 0, not defined, no warning."""
    n1, n2 = np.array([1_250_001]), np.array([1_250_002])
    n = float(n1[0] + n2[0])
    tie_sums = np.array([[np.nextafter(n**3 - n, np.inf)]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores, defined = rank_sum_test(np.atleast_2d(n1 * n2), tie_sums, n1, n2, use_continuity=False)
    assert scores == 0
    assert not defined


def test_large_groups_do_not_overflow():
    """n1 n2 (N + 1) passes 2**63 here."""
    n = np.array([40_000_000])
    twice_u = np.atleast_2d(n * n + 2 * 10**12)
    scores, _ = rank_sum_test(twice_u, None, n, n, use_continuity=False)
    np.testing.assert_allclose(scores, 1e12 / np.sqrt(4e7 * 4e7 * (8e7 + 1) / 12))


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
