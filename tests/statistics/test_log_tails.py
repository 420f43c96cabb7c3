"""Logarithms of p, against mpmath, and beyond what float64 holds."""

import anndata as ad
import mpmath
import numpy as np
import pandas as pd
import pytest
from oracles import by_scpdex

from scpdex.statistics.log_tails import log10_normal_tail, log10_t_tail


def test_log_p_of_z():
    """Against mpmath, far beyond what float64 holds."""
    z = np.array([0, 1e-9, 0.3, *np.arange(0.5, 40, 0.5), *np.arange(40, 301, 20)])
    with mpmath.workdps(40):
        tails = [mpmath.erfc(mpmath.mpf(float(value)) / mpmath.sqrt(2)) / 2 for value in z]
        one = np.array([float(mpmath.log10(tail)) for tail in tails])
        other = np.array([float(mpmath.log10(1 - tail)) for tail in tails])
        both = np.array([float(mpmath.log10(2 * tail)) for tail in tails])
    close = {"rtol": 1e-14, "atol": 1e-14}
    np.testing.assert_allclose(log10_normal_tail(z, "greater"), one, **close)
    np.testing.assert_allclose(log10_normal_tail(-z, "less"), one, **close)
    np.testing.assert_allclose(log10_normal_tail(-z, "greater"), other, **close)
    np.testing.assert_allclose(log10_normal_tail(-z, "two-sided"), both, **close)


def exact_log10_t(t: float, freedom: float) -> float:
    """log10 of P(|T| > t) from the series of the incomplete beta function, whose terms are all above 0."""
    with mpmath.workdps(30):
        a, b = mpmath.mpf(freedom) / 2, mpmath.mpf(1) / 2
        x = 2 * a / (2 * a + mpmath.mpf(t) ** 2)
        total, term, k = mpmath.mpf(1), mpmath.mpf(1), 0
        while term > total * mpmath.mpf(10) ** -25:
            term *= x * (a + b + k) / (a + 1 + k)
            total += term
            k += 1
        log_p = mpmath.log(total) + a * mpmath.log(x) + b * mpmath.log(1 - x) - mpmath.log(a)
        log_p -= mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)
        return float(log_p / mpmath.log(10))


@pytest.mark.parametrize("freedom", [1, 1.7, 2, 5.3, 30, 400.5, 1e4])
def test_log_p_of_t(freedom):
    # From 37 to 40 p goes through numbers that float64 holds with a few digits only, for many degrees of freedom.
    # For few, p is as small at the highest t only.
    t = np.array([[1.5, 5, 20, *np.arange(37, 40, 0.25), 50, 100, 300, 1e4, 1e8, 1e20, 1e100]])
    expected = np.array([[exact_log10_t(value, freedom) for value in t[0]]])
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(log10_t_tail(t, np.array([[freedom]]), "two-sided"), expected, **close)
    np.testing.assert_allclose(log10_t_tail(-t, np.array([[freedom]]), "two-sided"), expected, **close)
    for sign, alternative in ((1, "greater"), (-1, "less")):
        one_side = log10_t_tail(sign * t, np.array([[freedom]]), alternative)
        np.testing.assert_allclose(one_side, expected - np.log10(2), **close)
    assert log10_t_tail(np.array([[np.inf]]), np.array([[freedom]]), "two-sided") == -np.inf


@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_log_p_beyond_float64(method):
    """A difference so clear that p is 0 has a finite log p, which orders genes as the scores do."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(8_000, 3))
    values[:4_000] += [4, 8, 9]
    adata = ad.AnnData(values, obs=pd.DataFrame({"g": ["a"] * 4_000 + ["b"] * 4_000}, index=map(str, range(8_000))))
    result = by_scpdex(adata, "g", method=method, extras=["log10_pvals"])
    logs = result["log10_pvals"]["a"]
    assert (result["pvals"]["a"] == 0).all()
    assert np.isfinite(logs).all()
    assert (logs < -308).all()
    assert (np.diff(logs) >= 0).all()
