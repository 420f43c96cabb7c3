"""Gene by gene against scipy and the textbook formula, with ties, continuity on and off."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from oracles import by_gene, by_scpdex, plain_rank_sum
from scipy import stats
from statsmodels.stats.multitest import multipletests


@pytest.fixture(params=["log", "counts", "scaled", "constant genes"])
def adata(request: pytest.FixtureRequest) -> ad.AnnData:
    """120 cells in 4 groups of unequal size and 40 genes, tied in many ways."""
    rng = np.random.default_rng(5)
    counts = rng.poisson(rng.lognormal(0, 1.5, 40), (120, 40)).astype(float)
    values = {
        "counts": counts,
        "log": np.log1p(counts / counts.sum(1, keepdims=True) * 50),
        "scaled": np.round((counts - counts.mean(0)) / counts.std(0), 1),
        "constant genes": np.where(np.arange(40) % 3 == 0, 0, np.where(np.arange(40) % 3 == 1, 0.1, counts)),
    }[request.param]
    labels = pd.Categorical(rng.choice(list("abcd"), 120, p=[0.1, 0.2, 0.3, 0.4]))
    return ad.AnnData(values, obs=pd.DataFrame({"label": labels}, index=[f"cell{i}" for i in range(120)]))


def _pairs(adata: ad.AnnData, reference: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    labels = adata.obs["label"]
    others = {g: labels != g if reference == "rest" else labels == reference for g in labels.cat.categories}
    return {g: (adata.X[labels == g], adata.X[other]) for g, other in others.items() if g != reference}


@pytest.mark.parametrize("use_continuity", [False, True], ids=["", "continuity"])
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_mannwhitneyu(adata, reference, use_continuity):
    result = by_scpdex(
        adata, "label", method="wilcoxon", reference=reference, tie_correct=True, use_continuity=use_continuity
    )
    for group, (x, y) in _pairs(adata, reference).items():
        ours = by_gene(result, group).loc[adata.var_names]
        expected = stats.mannwhitneyu(x, y, use_continuity=use_continuity, method="asymptotic")
        # scipy's p of a gene without any variation is undefined
        varies = np.ptp(np.concatenate([x, y]), axis=0) > 0
        np.testing.assert_allclose(ours["pvals"][varies], expected.pvalue[varies], rtol=1e-10)
        assert (ours["scores"][~varies] == 0).all()
        assert (ours["pvals"][~varies] == 1).all()
        above = expected.statistic - x.shape[0] * y.shape[0] / 2
        assert (np.sign(ours["scores"]) * np.sign(above) >= 0).all()


@pytest.mark.parametrize("tie_correct", [False, True], ids=["", "ties"])
@pytest.mark.parametrize("use_continuity", [False, True], ids=["", "continuity"])
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_rank_sum_formula(adata, reference, use_continuity, tie_correct):
    options = {"use_continuity": use_continuity, "tie_correct": tie_correct}
    result = by_scpdex(adata, "label", method="wilcoxon", reference=reference, **options)
    for group, (x, y) in _pairs(adata, reference).items():
        ours = by_gene(result, group).loc[adata.var_names]
        z, p = np.transpose([plain_rank_sum(x[:, j], y[:, j], **options) for j in range(adata.n_vars)])
        np.testing.assert_allclose(ours["scores"], z.astype(np.float32), rtol=2e-7)
        np.testing.assert_allclose(ours["pvals"], p, rtol=1e-10)


@pytest.mark.parametrize("overestimate", [False, True], ids=["t-test", "t-test_overestim_var"])
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_ttest_ind(adata, reference, overestimate):
    method = "t-test_overestim_var" if overestimate else "t-test"
    result = by_scpdex(adata, "label", method=method, reference=reference)
    for group, (x, y) in _pairs(adata, reference).items():
        ours = by_gene(result, group).loc[adata.var_names]
        varies = (np.ptp(x, axis=0) > 0) | (np.ptp(y, axis=0) > 0)
        counted_as = len(x) if overestimate else len(y)
        expected = stats.ttest_ind_from_stats(
            x.mean(0), x.std(0, ddof=1), len(x), y.mean(0), y.std(0, ddof=1), counted_as, equal_var=False
        )
        np.testing.assert_allclose(ours["scores"][varies], expected.statistic[varies].astype(np.float32), rtol=2e-7)
        np.testing.assert_allclose(ours["pvals"][varies], expected.pvalue[varies], rtol=1e-10)
        if not overestimate:
            direct = stats.ttest_ind(x, y, equal_var=False)
            np.testing.assert_allclose(ours["pvals"][varies], direct.pvalue[varies], rtol=1e-10)
        assert (ours["scores"][~varies] == 0).all()
        assert (ours["pvals"][~varies] == 1).all()


@pytest.mark.parametrize("corr_method", ["benjamini-hochberg", "bonferroni"])
@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_adjusted_pvals(adata, method, corr_method):
    result = by_scpdex(adata, "label", method=method, corr_method=corr_method)
    for group in "abcd":
        name = {"benjamini-hochberg": "fdr_bh", "bonferroni": "bonferroni"}[corr_method]
        expected = multipletests(result["pvals"][group], method=name)[1]
        np.testing.assert_allclose(result["pvals_adj"][group], expected, rtol=1e-12)


@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("base", [None, 2.0])
def test_mean_of_counts_changes_fold_changes_only(adata, reference, method, base):
    """``mean_in_log_space=False``: the mean of expm1, by numpy; the test itself stays on the values as they are."""
    adata.uns["log1p"] = {"base": base}
    arguments = {"method": method, "reference": reference}
    plain = by_scpdex(adata, "label", **arguments)
    result = by_scpdex(adata, "label", mean_in_log_space=False, **arguments)
    for group, (x, y) in _pairs(adata, reference).items():
        ours, log_space = by_gene(result, group).loc[adata.var_names], by_gene(plain, group).loc[adata.var_names]
        pd.testing.assert_frame_equal(
            ours.drop(columns="logfoldchanges"), log_space.drop(columns="logfoldchanges"), check_exact=True
        )
        scale = np.log(base or np.e)
        with np.errstate(invalid="ignore"):
            expected = np.log2((np.expm1(x * scale).mean(0) + 1e-9) / (np.expm1(y * scale).mean(0) + 1e-9))
        np.testing.assert_allclose(ours["logfoldchanges"], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_tiny_pvals(method):
    """p-values down to the smallest float64, and 0 beyond, in the order of the scores."""
    rng = np.random.default_rng(0)
    n = 3000
    shift = np.linspace(0, 3, 30)
    values = rng.normal(size=(2 * n, 30)) + np.repeat([[0], [1]], n, axis=0) * shift
    obs = pd.DataFrame({"label": np.repeat(["a", "b"], n)}, index=[str(i) for i in range(2 * n)])
    result = by_scpdex(ad.AnnData(values, obs=obs), "label", method=method, reference="a", tie_correct=True)
    ours = by_gene(result, "b")
    x, y = values[n:], values[:n]
    expected = (
        stats.mannwhitneyu(x, y, use_continuity=False, method="asymptotic")
        if method == "wilcoxon"
        else stats.ttest_ind(x, y, equal_var=False)
    )
    pvals = ours["pvals"].loc[[str(j) for j in range(30)]]
    np.testing.assert_allclose(pvals, expected.pvalue, rtol=1e-10)
    assert pvals.min() < 1e-300
    assert list(result["names"]["b"][:5]) == ["29", "28", "27", "26", "25"]


def test_large_mean_tiny_variance():
    """A spread far below the mean: scipy on the values less their offset is the oracle."""
    rng = np.random.default_rng(1)
    noise = np.round(rng.normal(size=(400, 20)) * 64) / 64 + np.repeat([[0], [1 / 8]], 200, axis=0)
    obs = pd.DataFrame({"label": np.repeat(["a", "b"], 200)}, index=[str(i) for i in range(400)])
    for reference in ("rest", "b"):
        result = by_scpdex(ad.AnnData(noise + 2.0**12, obs=obs), "label", method="t-test", reference=reference)
        ours = by_gene(result, "a")["pvals"].loc[[str(j) for j in range(20)]]
        np.testing.assert_allclose(ours, stats.ttest_ind(noise[:200], noise[200:], equal_var=False).pvalue, rtol=1e-10)


@pytest.mark.parametrize("scale", [1e-120, 1e-90, 1.0, 1e90, 1e120])
def test_degrees_of_freedom_at_every_scale(scale):
    """Variances of variances would be beyond float64."""
    values = np.random.default_rng(8).normal(size=(40, 3))
    values[:10] *= 3
    adata = ad.AnnData(values * scale, obs=pd.DataFrame({"label": np.repeat(["a", "b"], [10, 30])}))
    result = by_scpdex(adata, "label", method="t-test")
    for j in range(3):
        expected = stats.ttest_ind(values[:10, j], values[10:, j], equal_var=False).pvalue
        np.testing.assert_allclose(by_gene(result, "a").loc[str(j), "pvals"], expected, rtol=1e-9)


def test_t_beyond_float32():
    """Stored as infinite, and no warning of numpy's."""
    adata = ad.AnnData(np.array([[1e50], [1e50], [0], [1e5]]), obs=pd.DataFrame({"label": list("aabb")}))
    result = by_scpdex(adata, "label", method="t-test")
    assert result["scores"]["a"][0] == np.inf
    assert 0 < result["pvals"]["a"][0] < 1e-30
