"""Tests for a minimal effect, McCarthy and Smyth's TREAT, against plain code."""

import anndata as ad
import mpmath
import numpy as np
import pandas as pd
import pytest
from oracles import all_by_gene, assert_same_bits, by_scpdex, plain_placements, plain_treat
from scipy import stats
from stored import labelled, values_of

import scpdex
from scpdex.statistics.minimal_effect import minimal_effect_test

METHODS = {"t-test": 0.3, "brunner-munzel": 0.08}
ALTERNATIVES = ["two-sided", "greater", "less"]


def plain_welch(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Difference of means, its standard error, and Satterthwaite's degrees of freedom."""
    a, b = x.var(ddof=1) / x.size, y.var(ddof=1) / y.size
    return x.mean() - y.mean(), np.sqrt(a + b), (a + b) ** 2 / (a**2 / (x.size - 1) + b**2 / (y.size - 1))


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", METHODS)
def test_against_plain_code(method, reference, alternative):
    adata = labelled(values_of("float64"))
    adata.X[:, ::3] += 0.4 * (adata.obs["group"].to_numpy() == "a")[:, None]
    arguments = {"method": method, "reference": reference, "alternative": alternative, "extras": ("log10_pvals",)}
    result = by_scpdex(adata, "group", min_effect=METHODS[method], **arguments)
    assert result["params"]["min_effect"] == METHODS[method]
    labels, moments = adata.obs["group"].to_numpy(), plain_welch if method == "t-test" else plain_placements
    seen = set()
    for group in result["names"].dtype.names:
        others = labels != group if reference == "rest" else labels == reference
        assert (np.diff(result["scores"][group]) <= 0).all()
        ours = all_by_gene(result, group)
        for j, gene in enumerate(adata.var_names):
            effect = moments(adata.X[labels == group, j], adata.X[others, j])
            score, p = plain_treat(*effect, METHODS[method], alternative)
            seen.add(np.sign(score))
            np.testing.assert_allclose(ours.loc[gene, "scores"], score, rtol=2e-7, atol=1e-12)
            np.testing.assert_allclose(ours.loc[gene, "pvals"], p, rtol=1e-9)
            np.testing.assert_allclose(ours.loc[gene, "log10_pvals"], np.log10(p), rtol=1e-9, atol=1e-12)
    assert 0 in seen
    assert len(seen) > 1


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("method", METHODS)
def test_no_effect_is_the_usual_test(method, alternative):
    """To the last bit."""
    adata = labelled(values_of("float32"))
    arguments = {"method": method, "alternative": alternative, "extras": ("log10_pvals",)}
    usual, zero = (by_scpdex(adata, "group", min_effect=e, **arguments) for e in (None, 0))
    for group in usual["names"].dtype.names:
        pd.testing.assert_frame_equal(all_by_gene(zero, group), all_by_gene(usual, group), check_exact=True)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("method", METHODS)
def test_no_effect_at_the_edges(method, alternative):
    """Constant and separated genes, means without spread, and a group of one cell."""
    labels = np.repeat([*"abc"], [5, 6, 1])
    values = np.where(labels == "a", 1.0, 0)[:, None] * [2, -1, 0] + [0, 1, 3]
    obs = pd.DataFrame({"group": labels}, index=[f"cell{i}" for i in range(12)])
    arguments = {"method": method, "alternative": alternative, "min_cells": 1, "extras": ("log10_pvals",)}
    usual, zero = (by_scpdex(ad.AnnData(values, obs=obs), "group", min_effect=e, **arguments) for e in (None, 0.0))
    assert_same_bits(zero, usual)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_separated_and_constant_genes(alternative):
    """By the variance that separated sides have in the Brunner-Munzel test."""
    labels = np.repeat([*"ab"], [30, 40])
    values = np.where(labels == "a", 1.0, 0)[:, None] * [1, -1, 0]
    obs = pd.DataFrame({"group": labels}, index=[f"cell{i}" for i in range(70)])
    arguments = {"reference": "b", "min_effect": 0.49, "alternative": alternative, "extras": ("log10_pvals",)}
    ours = all_by_gene(by_scpdex(ad.AnnData(values, obs=obs), "group", method="brunner-munzel", **arguments), "a")
    error, freedom = 1 / (np.sqrt(2) * 1200), 4 / (1 / 29 + 1 / 39)
    expected = [*(plain_treat(d, error, freedom, 0.49, alternative) for d in (0.5, -0.5)), (0, 1)]
    np.testing.assert_allclose(ours[["scores", "pvals"]], expected, rtol=1e-7)
    np.testing.assert_allclose(ours["log10_pvals"], np.log10([p for _, p in expected]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_p_is_at_most_1(method):
    """Where there is no difference at all, two tails make up the whole, and rounding could add to it."""
    half = np.random.default_rng(0).normal(size=(20, 400)) * np.linspace(0.5, 2, 400)
    obs = pd.DataFrame({"group": np.repeat([*"ab"], 20)}, index=[f"cell{i}" for i in range(40)])
    arguments = {"method": method, "reference": "b", "extras": ("log10_pvals",)}
    for effect in (0.05, 0.1, 0.2):
        result = by_scpdex(ad.AnnData(np.vstack([half, half]), obs=obs), "group", min_effect=effect, **arguments)
        assert (result["scores"]["a"] == 0).all()
        assert result["pvals"]["a"].max() <= 1
        assert result["log10_pvals"]["a"].max() <= 0
        np.testing.assert_allclose(result["pvals"]["a"], 1, rtol=1e-12)


def test_two_tails_that_round_to_more_than_1():
    """Found by search: Student's t of these degrees of freedom, one step of float64 beside the effect."""
    near, far, freedom = -0.8726522991795099, 0.8726522991795101, 2.274067734516656
    effect, difference = (far - near) / 2, (far + near) / 2
    arguments = [np.array([[value]]) for value in (difference, 1.0, freedom)]
    assert (difference - effect, difference + effect) == (near, far)
    assert minimal_effect_test(*arguments, effect, "two-sided").pvals[0, 0] <= 1


@pytest.mark.parametrize("method", METHODS)
def test_one_cell(method):
    adata = labelled(values_of("float64"))
    adata.obs["group"] = ["one", *np.resize([*"ab"], adata.n_obs - 1)]
    arguments = {"min_cells": 1, "min_effect": METHODS[method], "extras": ("log10_pvals",)}
    ours = all_by_gene(by_scpdex(adata, "group", method=method, **arguments), "one")
    for name, value in {"scores": 0, "pvals": 1, "log10_pvals": 0}.items():
        assert (ours[name] == value).all()


def test_small_effects_tend_to_the_usual_test():
    """The formula for a positive effect has the usual p as its limit."""
    adata = labelled(values_of("float64"))
    usual, near = (by_scpdex(adata, "group", method="t-test", min_effect=e) for e in (None, 1e-13))
    for group in usual["names"].dtype.names:
        np.testing.assert_allclose(*(all_by_gene(r, group)["pvals"] for r in (near, usual)), rtol=1e-9)


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_log10_of_tiny_p(alternative):
    """Where p itself is 0 in float64."""
    values = np.r_[np.resize([100.0, 100.01], 500), np.resize([1.0, 1.01], 400)][:, None]
    obs = pd.DataFrame({"group": np.repeat([*"ab"], [500, 400])}, index=[f"cell{i}" for i in range(900)])
    arguments = {"reference": "b", "min_effect": 10, "alternative": alternative, "extras": ("log10_pvals",)}
    result = by_scpdex(ad.AnnData(values, obs=obs), "group", method="t-test", **arguments)
    d, se, freedom = plain_welch(values[:500, 0], values[500:, 0])
    with mpmath.workdps(50):
        tails = [(d - 10) / se] + ([(d + 10) / se] if alternative == "two-sided" else [])
        p = sum(mpmath.betainc(freedom / 2, 0.5, 0, freedom / (freedom + t * t), regularized=True) / 2 for t in tails)
        expected = float(mpmath.log10(p))
    assert result["pvals"]["a"][0] == 0
    np.testing.assert_allclose(result["log10_pvals"]["a"][0], expected, rtol=1e-9)


def test_means_without_spread():
    """Above the effect infinite, at it or below nothing."""
    labels = np.repeat([*"ab"], 5)
    values = np.where(labels == "a", 1.0, 0)[:, None] * [2, 1, 0.5, 0, -2]
    obs = pd.DataFrame({"group": labels}, index=[f"cell{i}" for i in range(10)])
    arguments = {"reference": "b", "min_effect": 1.0, "extras": ("log10_pvals",)}
    ours = all_by_gene(by_scpdex(ad.AnnData(values, obs=obs), "group", method="t-test", **arguments), "a")
    assert ours["scores"].tolist() == [np.inf, 0, 0, 0, -np.inf]
    assert ours["pvals"].tolist() == [0, 1, 1, 1, 0]
    assert ours["log10_pvals"].tolist() == [-np.inf, 0, 0, 0, -np.inf]
    for alternative, pvals in {"less": [1, 1, 1, 1, 0], "greater": [0, 1, 1, 1, 1]}.items():
        one_sided = by_scpdex(ad.AnnData(values, obs=obs), "group", alternative=alternative, **arguments)
        assert all_by_gene(one_sided, "a")["pvals"].tolist() == pvals


@pytest.mark.parametrize("method", METHODS)
def test_false_positives_at_the_threshold(method):
    """Where the effect is the threshold itself, p below 0.05 is as rare as it says."""
    rng = np.random.default_rng(0)
    n_genes, sizes = 4_000, (80, 120)
    shift = 0.5
    values = rng.normal(size=(200, n_genes))
    values[:80] += shift
    obs = pd.DataFrame({"group": np.repeat([*"ab"], sizes)}, index=[f"cell{i}" for i in range(200)])
    effect = shift if method == "t-test" else stats.norm.cdf(shift / np.sqrt(2)) - 0.5
    result = by_scpdex(ad.AnnData(values, obs=obs), "group", method=method, reference="b", min_effect=effect)
    share = (result["pvals"]["a"] < 0.05).mean()
    assert abs(share - 0.05) < 4 * np.sqrt(0.05 * 0.95 / n_genes) + 0.005


@pytest.mark.parametrize("method", ["t-test_overestim_var", "wilcoxon", "anderson", "logreg"])
def test_other_methods(method):
    adata = labelled(values_of("float32"))
    message = "does not take min_effect" if method == "logreg" else rf"min_effect=0.1 is not for method='{method}'"
    with pytest.raises(ValueError, match=message):
        scpdex.tl.rank_genes_parallel(adata, "group", method=method, min_effect=0.1)


@pytest.mark.parametrize("effect", [-0.1, np.nan, np.inf, True, "0.1"])
@pytest.mark.parametrize("method", METHODS)
def test_invalid_effects(method, effect):
    adata = labelled(values_of("float32"))
    for verb in (scpdex.tl.rank_genes_parallel, scpdex.get.plan):
        with pytest.raises(ValueError, match=rf"min_effect={effect!r} is not valid: pass"):
            verb(adata, "group", method=method, min_effect=effect)


def test_an_auc_is_at_most_a_half_from_a_half():
    adata = labelled(values_of("float32"))
    with pytest.raises(ValueError, match=r"min_effect=0.5 is not valid: pass an AUC's distance from 1/2, below 0.5"):
        scpdex.tl.rank_genes_parallel(adata, "group", method="brunner-munzel", min_effect=0.5)
