"""extras, alternative, corrections and filters, against scipy, statsmodels and plain numpy."""

import anndata as ad
import mpmath
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_same_bits, by_gene, by_scpdex
from scipy import stats
from statsmodels.stats.multitest import multipletests
from stored import labelled, values_of
from test_properties import REFERENCES, objects, pairs

import scpdex
from scpdex.statistics.log_tails import log10_normal_tail, log10_t_tail

KEY = "rank_genes_groups"
ALTERNATIVES = ["two-sided", "greater", "less"]
EXTRAS = ("u", "auc", "log10_pvals", "means")


def uneven() -> ad.AnnData:
    """Genes that between none and half of the cells express, by so much more in one group."""
    adata = labelled(np.abs(values_of("float64")))
    rng = np.random.default_rng(3)
    adata.X[rng.random(adata.shape) > np.linspace(0, 1, adata.n_vars)] = 0
    adata.X[(adata.obs["group"] == "a").to_numpy(), ::3] *= 2
    return adata


def all_by_gene(result: dict, group: str) -> pd.DataFrame:
    """Give every record of one group, indexed by gene."""
    fields = [name for name, value in result.items() if isinstance(value, np.ndarray)]
    return pd.DataFrame({name: result[name][group] for name in fields}).set_index("names").sort_index()


@settings(deadline=None, max_examples=150)
@given(objects(), REFERENCES, st.sampled_from(ALTERNATIVES), st.booleans())
def test_rank_test(adata, reference, alternative, use_continuity):
    options = {"alternative": alternative, "use_continuity": use_continuity}
    result = by_scpdex(
        adata, "label", method="wilcoxon", reference=reference, tie_correct=True, extras=EXTRAS, **options
    )
    for group, (x, y) in pairs(adata, reference).items():
        ours = all_by_gene(result, group)
        for j, gene in enumerate(adata.var_names):
            a, b = x[:, j], y[:, j]
            row = ours.loc[gene]
            with np.errstate(invalid="ignore", divide="ignore"):
                found = stats.mannwhitneyu(
                    a, b, alternative=alternative, use_continuity=use_continuity, method="asymptotic"
                )
            p = 1.0 if np.unique([*a, *b]).size == 1 else found.pvalue
            np.testing.assert_allclose(row["pvals"], p, rtol=1e-9)
            np.testing.assert_allclose(row["log10_pvals"], np.log10(p), rtol=1e-9, atol=1e-12)
            assert row["u"] == found.statistic
            assert row["auc"] == found.statistic / (a.size * b.size)
            np.testing.assert_allclose([row["means"], row["means_reference"]], [a.mean(), b.mean()], atol=1e-12)


@settings(deadline=None, max_examples=100)
@given(objects(), REFERENCES, st.sampled_from(ALTERNATIVES))
def test_t_test(adata, reference, alternative):
    result = by_scpdex(
        adata, "label", method="t-test", reference=reference, alternative=alternative, extras=["means", "log10_pvals"]
    )
    for group, (x, y) in pairs(adata, reference).items():
        ours = all_by_gene(result, group)
        for j, gene in enumerate(adata.var_names):
            a, b = x[:, j], y[:, j]
            if np.ptp(a) == np.ptp(b) == 0:
                continue
            p = stats.ttest_ind(a, b, equal_var=False, alternative=alternative).pvalue
            np.testing.assert_allclose(ours.loc[gene, "pvals"], p, rtol=1e-7)
            np.testing.assert_allclose(ours.loc[gene, "log10_pvals"], np.log10(p), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_one_side_follows_the_other(method):
    """Where the score is above 0, the p of the greater alternative is half of both."""
    adata = labelled(values_of("float64"))
    found = {side: by_scpdex(adata, "group", method=method, alternative=side) for side in ALTERNATIVES}
    for group in "abcde":
        both, greater, less = (by_gene(found[side], group) for side in ALTERNATIVES)
        np.testing.assert_array_equal(both["scores"], greater["scores"])
        np.testing.assert_allclose(np.minimum(greater["pvals"], less["pvals"]) * 2, both["pvals"], rtol=1e-12)
        for one in (greater, less):
            np.testing.assert_allclose(one["pvals_adj"], stats.false_discovery_control(one["pvals"]), rtol=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_constant_genes_have_p_1_on_either_side(alternative):
    """Their score, 0, is among those of other genes, whose p may be less."""
    adata = labelled(values_of("float64"))
    adata.X[:, ::4] = 1
    result = by_scpdex(adata, "group", method="wilcoxon", tie_correct=True, alternative=alternative)
    for group in "abcde":
        ours = by_gene(result, group)
        assert (ours.loc[["gene0", "gene4"], ["pvals", "pvals_adj"]] == 1).all(axis=None)
        np.testing.assert_allclose(ours["pvals_adj"], stats.false_discovery_control(ours["pvals"]), rtol=1e-12)


def test_extras_follow_names_and_reach_tables_and_files(pbmc, tmp_path):
    scpdex.tl.rank_genes_parallel(pbmc, "bulk_labels", method="wilcoxon", extras=EXTRAS)
    result = pbmc.uns[KEY]
    for field in ("auc", "log10_pvals", "u", "means", "means_reference"):
        assert result[field].dtype.names == result["names"].dtype.names
        assert result[field].dtype[0] == np.float64
    table = scpdex.get.rank_genes_df(pbmc, "Dendritic")
    assert {"auc", "log10_pvals", "u", "means", "means_reference"} <= set(table)
    raw = pbmc.raw.to_adata()
    inside = (pbmc.obs["bulk_labels"] == "Dendritic").to_numpy()
    gene = table["names"].iloc[0]
    values = raw[:, gene].X.toarray().ravel()
    assert (
        table["auc"].iloc[0]
        == stats.mannwhitneyu(values[inside], values[~inside]).statistic / inside.sum() / (~inside).sum()
    )
    np.testing.assert_allclose(table["means"].iloc[0], values[inside].mean(dtype=float), rtol=1e-6)
    assert list(sc.get.rank_genes_groups_df(pbmc, "Dendritic")["names"]) == list(table["names"])
    pbmc.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad")
    pd.testing.assert_frame_equal(scpdex.get.rank_genes_df(back, "Dendritic"), table, check_dtype=False)
    assert back.uns[KEY]["params"]["extras"].tolist() == list(EXTRAS)
    scpdex.tl.rank_genes_parallel(
        pbmc, "bulk_labels", method="wilcoxon", extras=EXTRAS, pts=True, storage="varm", use_raw=False
    )
    assert "rank_genes_groups_auc" in pbmc.varm


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


CORRECTIONS = ["sidak", "holm", "holm-sidak", "simes-hochberg", "hommel", "fdr_bh", "fdr_by", "fdr_tsbh", "fdr_tsbky"]


@pytest.mark.parametrize("corr_method", [*CORRECTIONS, "bonferroni", "benjamini-hochberg"])
@pytest.mark.parametrize("scope", ["group", "all"])
@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_corrections(method, scope, corr_method):
    adata = labelled(values_of("float64"))
    result = by_scpdex(adata, "group", method=method, corr_method=corr_method, corr_scope=scope)
    name = {"benjamini-hochberg": "fdr_bh"}.get(corr_method, corr_method)
    pvals = np.stack([result["pvals"][group] for group in "abcde"])
    adjusted = np.stack([result["pvals_adj"][group] for group in "abcde"])
    with np.errstate(divide="ignore"):
        if scope == "all":
            expected = multipletests(pvals.ravel(), method=name)[1].reshape(pvals.shape)
        else:
            expected = np.stack([multipletests(row, method=name)[1] for row in pvals])
    np.testing.assert_allclose(adjusted, expected, rtol=1e-12)
    assert result["params"]["corr_method"] == corr_method
    assert result["params"].get("corr_scope", "group") == scope


def test_all_is_all_levels_and_all_genes():
    """One family: every level, group and gene of the call, whatever is then shown of it."""
    adata = labelled(values_of("float64"))
    adata.obs["half"] = np.resize(["x", "y"], adata.n_obs)
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="half", method="wilcoxon", corr_scope="all")
    table = scpdex.get.rank_genes_df(adata)
    np.testing.assert_allclose(table["pvals_adj"], stats.false_discovery_control(table["pvals"]), rtol=1e-12)
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="half", method="wilcoxon", corr_scope="all", n_genes=3)
    best = scpdex.get.rank_genes_df(adata)
    together = best.merge(table, on=["split", "group", "names"])
    np.testing.assert_array_equal(together["pvals_adj_x"], together["pvals_adj_y"])


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("corr_method", ["benjamini-hochberg", "bonferroni", "holm"])
@pytest.mark.parametrize("scope", ["group", "all"])
@pytest.mark.parametrize("limits", [{"min_pct": 0.3}, {"min_logfc": 0.4}, {"min_pct": 0.2, "min_logfc": 0.1}], ids=str)
def test_filters(limits, scope, corr_method, reference):
    """Numbers of tested genes are as without filters, but for adjusted p-values, which count tested genes only."""
    adata = uneven()
    arguments = {"method": "wilcoxon", "reference": reference, "pts": True, "extras": ["auc"]}
    corrections = {"corr_method": corr_method, "corr_scope": scope}
    ours = by_scpdex(adata, "group", **arguments, **corrections, **limits)
    whole = by_scpdex(adata, "group", **arguments)
    pvals, adjusted = [], []
    for group in ours["names"].dtype.names:
        a, b = all_by_gene(ours, group), all_by_gene(whole, group)
        other = whole["pts_rest"][group] if reference == "rest" else whole["pts"][reference]
        highest = np.maximum(whole["pts"][group], other)[b.index]
        passing = (highest >= limits.get("min_pct", 0)) & (b["logfoldchanges"].abs() >= limits.get("min_logfc", 0))
        assert passing.any()
        assert not passing.all()
        pd.testing.assert_frame_equal(a[passing].drop(columns="pvals_adj"), b[passing].drop(columns="pvals_adj"))
        assert a[~passing].isna().all(axis=None)
        # Tested genes come first, those that are not tested after them, in var order.
        names = list(ours["names"][group])
        last = [gene for gene in adata.var_names if not passing[gene]]
        assert names[int(passing.sum()) :] == last
        pvals.append(a["pvals"][passing].to_numpy())
        adjusted.append(a["pvals_adj"][passing].to_numpy())
    name = {"benjamini-hochberg": "fdr_bh"}.get(corr_method, corr_method)
    if scope == "all":
        pvals, adjusted = [np.concatenate(pvals)], [np.concatenate(adjusted)]
    for p, q in zip(pvals, adjusted, strict=True):
        np.testing.assert_allclose(q, multipletests(p, method=name)[1], rtol=1e-12)


@pytest.mark.parametrize("limit", ["min_pct", "min_logfc"])
def test_genes_at_the_limit_are_tested(limit):
    adata = uneven()
    whole = by_scpdex(adata, "group", method="wilcoxon", pts=True)
    of_gene = {
        "min_pct": np.maximum(whole["pts"]["a"], whole["pts_rest"]["a"]),
        "min_logfc": by_gene(whole, "a")["logfoldchanges"].abs(),
    }[limit]
    least = float(np.sort(of_gene)[10])
    tested = by_gene(by_scpdex(adata, "group", method="wilcoxon", **{limit: least}), "a")["pvals"].notna()
    assert tested.equals((of_gene >= least).loc[tested.index])


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_genes_that_are_not_tested_are_not_in_tables(storage):
    adata = uneven()
    scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", min_pct=0.3, storage=storage)
    table = scpdex.get.rank_genes_df(adata)
    assert not table.isna().any(axis=None)
    assert 0 < len(table) < 150
    if storage == "varm":
        scpdex.tl.rank_genes_to_uns(adata)
        assert len(adata.uns[KEY]["names"]) == adata.n_vars
        pd.testing.assert_frame_equal(scpdex.get.rank_genes_df(adata), table)
    assert not pd.isna(adata.uns[KEY]["names"]["a"]).any()
    sc.pl.rank_genes_groups(adata, n_genes=3, show=False)
    sc.pl.rank_genes_groups_dotplot(adata, n_genes=2, dendrogram=False, show=False)


def test_filters_that_leave_nothing():
    adata = uneven()
    for scope in ("group", "all"):
        result = by_scpdex(adata, "group", method="t-test", min_logfc=1e6, corr_scope=scope)
        assert np.isnan(result["pvals_adj"]["a"]).all()
        assert list(result["names"]["a"]) == list(adata.var_names)


def test_rankby_abs_puts_untested_genes_last():
    adata = uneven()
    result = by_scpdex(adata, "group", method="wilcoxon", min_pct=0.3, rankby_abs=True)
    scores = np.abs(result["scores"]["a"])
    n_tested = int((~np.isnan(scores)).sum())
    assert 0 < n_tested < scores.size
    assert (np.diff(scores[:n_tested]) <= 0).all()


def test_nothing_changes_by_default():
    adata = labelled(values_of("float64"))
    off = {"exclude": None, "min_cells": None, "split_by": None, "strata": None, "alternative": "two-sided"}
    off |= {"min_pct": None, "min_logfc": None, "corr_scope": "group", "extras": ()}
    ours, expected = by_scpdex(adata, "group", **off), by_scpdex(adata, "group")
    assert_same_bits(ours, expected)
    assert ours["params"] == expected["params"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"extras": "auc"}, r"extras='auc' is not a sequence of names: pass a tuple such as \('auc',\)"),
        ({"extras": None}, "extras=None is not a sequence of names"),
        ({"extras": ["pct"]}, "extras='pct' is not known. Valid: 'auc', 'log10_pvals', 'u', 'means'"),
        ({"extras": ["u"], "method": "t-test"}, r"extras=\['u'\] are of ranks, which method='t-test' does not take"),
        ({"alternative": "more"}, "alternative='more' is not known. Valid: 'two-sided', 'less', 'greater'"),
        ({"alternative": "less", "method": "anderson"}, "alternative='less' is not for method='anderson'"),
        ({"corr_method": "holms"}, "corr_method='holms' is not known. Did you mean 'holm'\\? Valid: 'benjamini-h"),
        ({"corr_method": ["holm"]}, r"corr_method=\['holm'\] is not known"),
        ({"corr_method": "x"}, "'holm', 'holm-sidak', 'simes-hochberg', 'hommel', 'fdr_bh'"),
        ({"corr_scope": "table"}, "corr_scope='table' is not known. Valid: 'group', 'all'"),
        ({"min_pct": 10}, "min_pct=10 is not valid: pass a fraction of cells from 0 to 1"),
        ({"min_pct": float("nan")}, "min_pct=nan is not valid"),
        ({"min_pct": True}, "min_pct=True is not valid"),
        ({"min_logfc": -1}, "min_logfc=-1 is not valid: pass an absolute log2 fold change"),
    ],
    ids=str,
)
def test_refused(wrong, message):
    adata = labelled(values_of("float32"))
    with pytest.raises(ValueError, match=message):
        scpdex.tl.rank_genes_parallel(adata, "group", **{"method": "wilcoxon"} | wrong)
    assert not adata.uns


def test_extras_may_be_given_by_an_iterator():
    result = by_scpdex(labelled(values_of("float32")), "group", method="wilcoxon", extras=iter(["auc"]))
    assert "auc" in result


@pytest.mark.parametrize(("corr_method", "budget"), [("benjamini-hochberg", 5 * 30 * 40), ("holm", 5 * 30 * 80)])
def test_p_values_of_all_groups_fit_the_budget(corr_method, budget):
    """What adjusting them together takes is known beforehand, and is not held while genes are ranked."""
    adata = labelled(values_of("float32"))
    arguments = {"method": "wilcoxon", "corr_method": corr_method, "corr_scope": "all"}
    with pytest.raises(ValueError, match="to adjust p-values of 5 groups and 30 genes together"):
        scpdex.tl.rank_genes_parallel(adata, "group", max_memory=budget - 1, **arguments)
    whole = scpdex.get.plan(adata, "group", max_memory="1GB", **arguments)
    assert whole.peak_memory == scpdex.get.plan(adata, "group", max_memory="1GB", method="wilcoxon").peak_memory
