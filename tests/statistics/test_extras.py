"""extras and alternative, against scipy and plain numpy."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import KEY, all_by_gene, assert_same_bits, by_gene, by_scpdex
from scipy import stats
from stored import labelled, values_of
from tied_objects import REFERENCES, objects, pairs

import scpdex

ALTERNATIVES = ["two-sided", "greater", "less"]
EXTRAS = ("u", "auc", "log10_pvals", "means")


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
        ({"extras": ["pct"]}, "extras='pct' is not known. Valid: 'auc', 'auc_se', 'auc_low', 'auc_high'"),
        (
            {"extras": ["u"], "method": "t-test"},
            r"extras=\['u'\] are not for method='t-test': pass one of 'anderson', 'brunner-munzel', 'wilcoxon'",
        ),
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
