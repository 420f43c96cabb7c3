"""The statistics alone, at edges that data rarely reach."""

import warnings

import numpy as np

from scpdex.statistics.rank_sum import rank_sum_test


def test_one_tie_in_float64():
    """Above 2**21 cells a tie sum is rounded, and may come out above N**3 - N: score 0, p 1, no warning."""
    n1, n2 = np.array([1_250_001]), np.array([1_250_002])
    n = float(n1[0] + n2[0])
    tie_sums = np.array([[np.nextafter(n**3 - n, np.inf)]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores, pvals = rank_sum_test(np.atleast_2d(n1 * n2), tie_sums, n1, n2, use_continuity=False)
    assert scores == 0
    assert pvals == 1


def test_large_groups_do_not_overflow():
    """n1 n2 (N + 1) passes 2**63 here."""
    n = np.array([40_000_000])
    twice_u = np.atleast_2d(n * n + 2 * 10**12)
    scores, _ = rank_sum_test(twice_u, None, n, n, use_continuity=False)
    np.testing.assert_allclose(scores, 1e12 / np.sqrt(4e7 * 4e7 * (8e7 + 1) / 12))
