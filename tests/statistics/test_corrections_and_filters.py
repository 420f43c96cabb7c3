"""Corrections for many tests and filters of genes, against statsmodels and plain numpy."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from family_memory import measure_peak
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import KEY, all_by_gene, by_gene, by_scpdex
from scipy import stats
from statsmodels.stats.multitest import multipletests, multitest_alias
from stored import labelled, values_of

import scpdex
from scpdex.statistics.multiple_testing import Family, adjust_pvals, bytes_of_family


def uneven() -> ad.AnnData:
    """Genes that between none and half of the cells express, by so much more in one group."""
    adata = labelled(np.abs(values_of("float64")))
    rng = np.random.default_rng(3)
    adata.X[rng.random(adata.shape) > np.linspace(0, 1, adata.n_vars)] = 0
    adata.X[(adata.obs["group"] == "a").to_numpy(), ::3] *= 2
    return adata


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


@pytest.mark.parametrize(("corr_method", "bytes_per_pair"), [("benjamini-hochberg", 16), ("holm", 16), ("fdr_by", 42)])
def test_p_values_of_all_groups_fit_the_budget(corr_method, bytes_per_pair):
    """What adjusting them together takes is known beforehand, and is not held while genes are ranked."""
    adata = labelled(values_of("float32"))
    arguments = {"method": "wilcoxon", "corr_method": corr_method, "corr_scope": "all"}
    with pytest.raises(ValueError, match="to adjust p-values of 5 groups and 30 genes together"):
        scpdex.tl.rank_genes_parallel(adata, "group", max_memory=5 * 30 * bytes_per_pair - 1, **arguments)
    whole = scpdex.get.plan(adata, "group", max_memory="1GB", **arguments)
    assert whole.peak_memory == scpdex.get.plan(adata, "group", max_memory="1GB", method="wilcoxon").peak_memory


METHODS = ["benjamini-hochberg", *sorted(set(multitest_alias.values()))]


@pytest.mark.slow
def test_bytes_of_a_family():
    """The plan counts what each method takes, for p-values of every kind, and hardly more than the worst of them."""
    highest: dict[int, float] = {}
    # What else a process does, such as tests before this one, allocates too.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        for method in METHODS:
            # Hommel's takes quadratic time.
            n, n_bytes = 4_000 if method == "ho" else 100_000, bytes_of_family(method)
            peak = process.submit(measure_peak, method, n).result()
            # numpy converts integers in a buffer of 64 KiB.
            assert peak < n_bytes * n + 100_000, method
            highest[n_bytes] = max(peak / n, highest.get(n_bytes, 0))
    assert all(peak >= 0.95 * n_bytes for n_bytes, peak in highest.items()), highest


@pytest.mark.skipif("lfdr" not in multitest_alias, reason="statsmodels has it from 0.15 on")
@pytest.mark.parametrize("scope", ["group", "all"])
def test_p_values_that_statsmodels_cannot_adjust(scope):
    """A local false discovery rate of p = 0: the error names the method, and nothing is written."""
    matrix = np.random.default_rng(0).normal(size=(2_000, 5))
    matrix[:1_000, 0] += 100
    adata = ad.AnnData(matrix, obs=pd.DataFrame({"group": np.repeat(["a", "b"], 1_000)}, index=range(2_000)))
    with pytest.raises(ValueError, match=r"corr_method='lfdr': statsmodels cannot adjust p-values from 0 to"):
        scpdex.tl.rank_genes_parallel(adata, "group", method="t-test", corr_method="lfdr", corr_scope=scope)
    assert not adata.uns


@settings(max_examples=30)
@given(st.lists(st.sampled_from([np.nan, 1e-300, 1e-9, 0.01, 0.2, 1]) | st.floats(1e-12, 1), min_size=1))
@pytest.mark.parametrize("method", METHODS)
def test_a_family_is_one_row(method, pvals):
    """Looked up in the family, adjusted p-values are those of all p-values in one row, to the bit."""
    pvals = np.array(pvals, dtype=np.float64)
    expected = adjust_pvals(pvals[None], method, None)
    parts = [pvals[:2], pvals[2:]]
    np.testing.assert_array_equal(Family.of(parts, pvals.size, method).adjust(pvals[None]), expected)


@pytest.mark.parametrize(
    "corr_method", [alias for alias, name in multitest_alias.items() if name in {"b", "h", "fdr_bh"}]
)
@pytest.mark.parametrize("limits", [{}, {"min_pct": 0.3}], ids=str)
@pytest.mark.parametrize("scope", ["group", "all"])
def test_ours_by_every_name(monkeypatch, scope, limits, corr_method):
    """Benjamini-Hochberg, Bonferroni and Holm are computed here, in little memory, whichever name they go by."""
    monkeypatch.setattr(
        "statsmodels.stats.multitest.multipletests", lambda *_, **__: pytest.fail("left to statsmodels")
    )
    adata, arguments = uneven(), {"method": "t-test", "corr_scope": scope} | limits
    ours = by_scpdex(adata, "group", corr_method=corr_method, **arguments)
    name = {"b": "bonferroni", "h": "holm", "fdr_bh": "benjamini-hochberg"}[multitest_alias[corr_method]]
    expected = by_scpdex(adata, "group", corr_method=name, **arguments)
    for group in "abcde":
        np.testing.assert_array_equal(ours["pvals_adj"][group], expected["pvals_adj"][group])
