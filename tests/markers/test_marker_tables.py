"""Tables of marker scores, and results of them in scanpy's layout."""

import anndata as ad
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from stored import labelled, values_of

import scpdex

mpl.use("agg")
KEY = "score_markers"


@pytest.fixture
def adata() -> ad.AnnData:
    scored = labelled(np.abs(values_of("float32")))
    scpdex.tl.score_markers(scored, "group", pvals=True, mask_var=np.arange(30) != 4)
    return scored


def test_one_group(adata):
    table = scpdex.get.score_markers_df(adata, "c")
    assert table.columns.tolist() == ["names", *adata.uns[KEY]["fields"]]
    assert len(table) == 29
    assert "gene4" not in set(table["names"])
    assert (np.diff(table["auc_median"]) <= 0).all()
    column = list(adata.uns[KEY]["groups"]).index("c")
    by_name = table.set_index("names")
    for field in adata.uns[KEY]["fields"]:
        expected = pd.Series(adata.varm[f"{KEY}_{field}"][:, column], index=adata.var_names)[by_name.index]
        np.testing.assert_array_equal(by_name[field], expected)
    assert table["auc_min_rank"].dtype == np.int32


def test_several_groups(adata):
    table = scpdex.get.score_markers_df(adata, ["d", "a"], order_by="cohens_d_min")
    assert table.columns[:2].tolist() == ["group", "names"]
    assert table["group"].cat.categories.tolist() == ["d", "a"]
    for group in ("d", "a"):
        alone = scpdex.get.score_markers_df(adata, group, order_by="cohens_d_min")
        of_group = table[table["group"] == group].drop(columns="group").reset_index(drop=True)
        pd.testing.assert_frame_equal(of_group, alone)
    assert scpdex.get.score_markers_df(adata)["group"].unique().tolist() == list("abcde")


@pytest.mark.parametrize("order_by", ["auc_min_rank", "pvals_any", "pvals_all_adj"])
def test_lowest_first(adata, order_by):
    """Ranks and p-values; equal genes keep the order of var."""
    table = scpdex.get.score_markers_df(adata, "b", order_by=order_by)
    assert (np.diff(table[order_by]) >= 0).all()
    position = adata.var_names.get_indexer(table["names"])
    for _, run in pd.Series(position).groupby(table[order_by].to_numpy()):
        assert run.is_monotonic_increasing


def test_undefined_scores_are_last():
    """Without an effect in any block."""
    adata = labelled(np.abs(values_of("float32")))
    adata.obs["block"] = np.where(adata.obs["group"] == "a", "x", "y")
    scpdex.tl.score_markers(adata, "group", strata="block")
    table = scpdex.get.score_markers_df(adata)
    assert table.loc[table["group"] == "a", "auc_median"].isna().all()
    assert table.loc[table["group"] != "a", "auc_median"].notna().all()
    assert len(table) == 5 * 30


def test_tables_refuse_what_is_not_there(adata):
    with pytest.raises(KeyError, match=r"uns\['other'\] holds no scores of markers. Results: 'score_markers'"):
        scpdex.get.score_markers_df(adata, "a", key="other")
    with pytest.raises(ValueError, match="'z' is not in uns"):
        scpdex.get.score_markers_df(adata, "z")
    with pytest.raises(ValueError, match=r"order_by='auc_meen' .* Did you mean 'auc_mean'"):
        scpdex.get.score_markers_df(adata, "a", order_by="auc_meen")
    del adata.varm[f"{KEY}_auc_max"]
    with pytest.raises(KeyError, match=r"varm\['score_markers_auc_max'\] is missing"):
        scpdex.get.score_markers_df(adata, "a")
    del adata.uns[KEY]
    with pytest.raises(KeyError, match=r"call scpdex\.tl\.score_markers first"):
        scpdex.get.score_markers_df(adata, "a")


def test_scores_are_no_ranking(adata):
    with pytest.raises(KeyError, match="holds scores of markers, not ranked genes"):
        scpdex.get.rank_genes_df(adata, key=KEY)
    with pytest.raises(KeyError, match="holds scores of markers, not ranked genes"):
        scpdex.tl.rank_genes_to_uns(adata, key=KEY)


@pytest.mark.parametrize("pvals", ["any", "all"])
@pytest.mark.parametrize("order_by", ["auc_median", "auc_min_rank", "pvals_all", "delta_mean_min"])
def test_scanpy_layout(adata, order_by, pvals):
    scpdex.tl.markers_to_rank_genes(adata, order_by=order_by, pvals=pvals)
    for group in "abcde":
        ours = scpdex.get.score_markers_df(adata, group, order_by=order_by)
        table = sc.get.rank_genes_groups_df(adata, group)
        assert table["names"].tolist() == ours["names"].tolist()
        sign = -1 if order_by in {"auc_min_rank", "pvals_all"} else 1
        np.testing.assert_array_equal(table["scores"], (sign * ours[order_by]).astype(np.float32))
        changes = (ours["delta_mean_mean"] / np.log(2)).astype(np.float32)
        np.testing.assert_array_equal(table["logfoldchanges"], changes)
        np.testing.assert_array_equal(table["pvals"], ours[f"pvals_{pvals}"])
        np.testing.assert_array_equal(table["pvals_adj"], ours[f"pvals_{pvals}_adj"])
        pd.testing.assert_frame_equal(
            scpdex.get.rank_genes_df(adata, group)[["names", "scores"]], table[["names", "scores"]]
        )
    params = adata.uns["rank_genes_groups"]["params"]
    assert (params["groupby"], params["reference"], params["method"]) == ("group", "rest", "score_markers")


def test_without_pvals_and_means():
    adata = labelled(np.abs(values_of("float32")))
    scpdex.tl.score_markers(adata, "group", effects=("auc",), key_added="m")
    copied = scpdex.tl.markers_to_rank_genes(adata, key="m", key_added="r", copy=True)
    assert "r" not in adata.uns
    table = sc.get.rank_genes_groups_df(copied, "a", key="r")
    assert table[["pvals", "pvals_adj", "logfoldchanges"]].isna().all(axis=None)
    with pytest.raises(ValueError, match="pvals='some' is not known: pass 'any' or 'all'"):
        scpdex.tl.markers_to_rank_genes(adata, key="m", pvals="some")
    with pytest.raises(ValueError, match="order_by='delta_mean_min' is not a field"):
        scpdex.tl.markers_to_rank_genes(adata, key="m", order_by="delta_mean_min")


def test_plots():
    adata = labelled(np.abs(values_of("float32")))
    scpdex.tl.score_markers(adata, "group")
    scpdex.tl.markers_to_rank_genes(adata, order_by="auc_min")
    sc.tl.dendrogram(adata, "group", use_rep="X")
    sc.pl.rank_genes_groups(adata, n_genes=3, show=False)
    sc.pl.rank_genes_groups_dotplot(adata, n_genes=2, show=False)
    sc.pl.rank_genes_groups_dotplot(adata, n_genes=2, values_to_plot="logfoldchanges", show=False)
    mpl.pyplot.close("all")


def test_results_follow_the_genes(adata):
    """Genes that are taken away take their scores with them."""
    some = adata[:, ::-2].copy()
    table = scpdex.get.score_markers_df(some, "a").set_index("names")
    whole = scpdex.get.score_markers_df(adata, "a").set_index("names")
    pd.testing.assert_frame_equal(table, whole.loc[table.index])


def test_a_result_replaces_the_one_before(adata):
    scpdex.tl.score_markers(adata, "group", effects=("delta_mean",), summaries=("mean",))
    assert [name for name in adata.varm if name.startswith(KEY)] == [f"{KEY}_delta_mean_mean"]


def test_matrices_of_the_users_stay(adata):
    """Scores have no ranks, so that a matrix of such a name is the user's."""
    adata.varm[f"{KEY}_ranks"] = np.ones((adata.n_vars, 2))
    scpdex.tl.score_markers(adata, "group")
    scpdex.tl.rank_genes_parallel(adata, "group", key_added=KEY)
    assert list(adata.varm) == [f"{KEY}_ranks"]
