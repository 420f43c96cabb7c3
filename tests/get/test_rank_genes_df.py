"""The long table against scanpy's getter, over both forms of results, groups and filters."""

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from ranked import GROUPBY, rank
from stored import labelled, values_of

import scpdex
from scpdex.get import rank_genes_df


def of_scanpy(adata: ad.AnnData, group: Any, **filters: Any) -> pd.DataFrame:
    """scanpy's own table, of a result in its layout; its group column is not always categorical, or there."""
    table = sc.get.rank_genes_groups_df(adata, group, **filters)
    names = adata.uns["rank_genes_groups"]["names"].dtype.names if group is None else group
    names = [names] if isinstance(names, str) else names
    if "group" not in table:
        table.insert(0, "group", names[0])
    table["group"] = pd.Categorical(table["group"].astype(str), categories=names)
    return table


CALLS = {
    "rest": {},
    "reference": {"reference": "Dendritic"},
    "t-test": {"method": "t-test", "pts": False},
    "top genes": {"n_genes": 20},
    "logreg": {"method": "logreg", "pts": False},
}
GROUPS = {"all": None, "some": ["CD56+ NK", "CD19+ B"], "list of one": ["CD34+"], "one": "CD34+"}
FILTERS = [{}, {"pval_cutoff": 0.05}, {"log2fc_min": 0.5, "log2fc_max": 3}, {"gene_symbols": "n_counts"}]


@pytest.mark.parametrize("call", CALLS)
def test_against_scanpy(pbmc, storage, call):
    rank(pbmc, "uns", **CALLS[call])
    expected = pbmc.copy()
    if storage == "varm":
        scpdex.tl.rank_genes_to_varm(pbmc)
    for group in GROUPS.values():
        for filters in FILTERS:
            if call == "logreg" and filters.keys() & {"pval_cutoff", "log2fc_min"}:
                continue
            ours = rank_genes_df(pbmc, group, **filters)
            if call == "reference":
                # scanpy leaves this one out
                fractions = expected.uns["rank_genes_groups"]["pts"]["Dendritic"][ours["names"]]
                np.testing.assert_array_equal(ours.pop("pct_nz_reference"), fractions)
            pd.testing.assert_frame_equal(
                ours, of_scanpy(expected, group, **filters), check_exact=True, check_categorical=False
            )


def test_scanpys_own_result(pbmc):
    sc.tl.rank_genes_groups(pbmc, GROUPBY, method="wilcoxon", pts=True)
    pd.testing.assert_frame_equal(rank_genes_df(pbmc), of_scanpy(pbmc, None), check_exact=True, check_categorical=False)


def test_order_of_genes(pbmc, storage):
    """In the order of var, of raw that has other genes too; the first by score are the same ones."""
    rank(pbmc, "uns")
    if storage == "varm":
        scpdex.tl.rank_genes_to_varm(pbmc)
    by_score, by_gene = rank_genes_df(pbmc), rank_genes_df(pbmc, order="gene")
    assert by_gene["names"].tolist() == pbmc.raw.var_names.tolist() * 10
    on = ["group", "names"]
    expected = by_score.set_index(on).loc[list(zip(by_gene["group"], by_gene["names"], strict=True))]
    pd.testing.assert_frame_equal(by_gene.set_index(on), expected, check_exact=True, check_index_type=False)
    few = {"top_n": 3, "pval_cutoff": 0.05, "log2fc_max": 2.0}
    top = rank_genes_df(pbmc, **few)
    passing = by_score[(by_score["pvals_adj"] < 0.05) & (by_score["logfoldchanges"] < 2)]
    expected = passing.groupby("group", observed=True).head(3).reset_index(drop=True)
    pd.testing.assert_frame_equal(top, expected, check_exact=True)
    again = rank_genes_df(pbmc, order="gene", **few)
    assert set(zip(again["group"], again["names"], strict=True)) == set(zip(top["group"], top["names"], strict=True))


def test_raw_with_other_genes(pbmc):
    part = pbmc[:, 100:300].copy()
    part.raw.var["symbol"] = [f"S{i}" for i in range(765)]
    part.var["other"] = [f"O{i}" for i in range(200)]
    rank(part, "uns")
    table = rank_genes_df(part, "CD34+", order="gene", gene_symbols="symbol")
    assert table["names"].tolist() == part.raw.var_names.tolist()
    assert table["symbol"].tolist() == part.raw.var["symbol"].tolist()
    # of genes that var does not have there is none
    table = rank_genes_df(part, "CD34+", order="gene", gene_symbols="other")
    assert table["other"].notna().sum() == 200
    assert table.loc[100, "other"] == "O0"


def test_filtered(pbmc):
    """Ranks that scanpy's filter has left empty are left out."""
    rank(pbmc, "uns")
    sc.tl.filter_rank_genes_groups(pbmc, min_fold_change=2)
    table = rank_genes_df(pbmc, key="rank_genes_groups_filtered")
    names = pbmc.uns["rank_genes_groups_filtered"]["names"]
    expected = np.concatenate([names[group] for group in names.dtype.names])
    assert table["names"].tolist() == expected[~pd.isna(expected)].tolist()
    ours = rank_genes_df(pbmc, "CD34+", key="rank_genes_groups_filtered")
    theirs = of_scanpy(pbmc, "CD34+", key="rank_genes_groups_filtered")
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    by_gene = rank_genes_df(pbmc, key="rank_genes_groups_filtered", order="gene")
    assert len(by_gene) == len(table)


def test_genes_of_one_name():
    """Each row of matrices is a gene; what scanpy's layout cannot tell apart is NaN rather than another gene's."""
    adata = labelled(values_of("float32"))
    adata.obs[GROUPBY] = adata.obs["group"]
    adata.var_names = ["twin", "twin", *adata.var_names[2:]]
    adata.var["number"] = np.arange(adata.n_vars)
    rank(adata, "varm")
    table = rank_genes_df(adata, "a", order="gene", gene_symbols="number")
    assert table["number"].tolist() == list(range(adata.n_vars))
    shares = (adata.X[adata.obs["group"] == "a"] != 0).mean(axis=0)
    np.testing.assert_array_equal(table["pct_nz_group"], shares)
    adata.obs["target"] = np.where(adata.obs["group"] == "a", "twin", "gene5")
    with pytest.raises(ValueError, match="target 'twin' of group 'a' is the name of 2 genes"):
        rank_genes_df(adata, on_target="target")
    rank(adata, "uns")
    with pytest.raises(ValueError, match="target 'twin' of group 'a' is the name of 2 genes"):
        rank_genes_df(adata, on_target="target")
    assert rank_genes_df(adata, "a", order="gene")["names"].tolist() == [*adata.var_names[2:], "twin", "twin"]
    table = rank_genes_df(adata, "a", gene_symbols="number")
    assert table.loc[table["names"] == "twin", ["number", "pct_nz_group"]].isna().all(axis=None)
    assert table["number"].notna().sum() == adata.n_vars - 2


WRONG = [
    ({"key": "nothing"}, KeyError, r"adata.uns\['nothing'\] holds no ranked genes.*'rank_genes_groups'"),
    ({"key": "neighbors"}, KeyError, "holds no ranked genes"),
    ({"group": "CD34"}, ValueError, r"group 'CD34' is not in .* Did you mean 'CD34\+'\?"),
    ({"group": ["CD34+", "CD34+"]}, ValueError, "a group twice"),
    ({"group": []}, ValueError, "no group"),
    ({"order": "p"}, ValueError, "order='p' is not valid: pass 'score' or 'gene'"),
    ({"top_n": 0}, ValueError, "top_n=0"),
    ({"backend": "arrow"}, ValueError, "backend='arrow' is not valid: pass 'pandas' or 'polars'"),
    ({"gene_symbols": "n_count"}, KeyError, "gene_symbols='n_count' .* Did you mean 'n_counts'"),
    ({"on_target": "targets"}, KeyError, "on_target='targets' is not a column of adata.obs"),
    ({"on_target": "phase"}, ValueError, "have several targets in adata.obs"),
    ({"on_target": "twice", "gene_symbols": "twice"}, ValueError, "target 'x' of group .* is the name of 5 genes"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), WRONG, ids=[str(wrong[0]) for wrong in WRONG])
def test_refused(pbmc, wrong, error, message):
    rank(pbmc, "uns", use_raw=False)
    pbmc.obs["twice"] = "x"
    pbmc.var["twice"] = np.where(np.arange(pbmc.n_vars) < 5, "x", "y")
    with pytest.raises(error, match=message):
        rank_genes_df(pbmc, **wrong)


def test_filters_of_what_is_not_there(pbmc):
    rank(pbmc, "uns", method="logreg", pts=False)
    with pytest.raises(ValueError, match=r"pval_cutoff=0\.05 filters by pvals_adj, which .* does not have"):
        rank_genes_df(pbmc, pval_cutoff=0.05)
    del pbmc.obs[GROUPBY]
    with pytest.raises(KeyError, match=GROUPBY):
        rank_genes_df(pbmc, on_target="phase")


@pytest.mark.parametrize("n_genes", [None, 100])
def test_genes_that_are_left_out_later(pbmc, n_genes):
    """Rows of matrices go with the genes of the object, in any order, and what is left keeps its order."""
    adata = pbmc.raw.to_adata()
    adata.raw = adata
    adata.var["symbol"] = [f"S{j}" for j in range(adata.n_vars)]
    rank(adata, "varm", n_genes=n_genes)
    whole = rank_genes_df(adata, gene_symbols="symbol")
    for genes in (slice(None, None, -3), [5, 700, 3, 400], [9]):
        part = adata[:, genes].copy()
        ours = rank_genes_df(part, gene_symbols="symbol")
        expected = whole[whole["names"].isin(part.var_names)].reset_index(drop=True)
        pd.testing.assert_frame_equal(ours, expected, check_exact=True)
        by_gene = rank_genes_df(part, order="gene")
        assert len(by_gene) == len(expected)
        if n_genes is None:
            assert by_gene["names"].tolist() == part.var_names.tolist() * 10
            scpdex.tl.rank_genes_to_uns(part)
            records = part.uns["rank_genes_groups"]["names"]
            assert list(records["CD34+"]) == expected.loc[expected["group"] == "CD34+", "names"].tolist()
        elif len(set(ours["group"].value_counts())) > 1:
            with pytest.raises(ValueError, match="have different numbers of genes"):
                scpdex.tl.rank_genes_to_uns(part)


def test_records_keep_genes_that_are_left_out_later(pbmc):
    """Scanpy's layout is not cut with the genes: all rows stay, as in scanpy's table, and in gene order come last."""
    adata = pbmc.raw.to_adata()
    rank(adata, "uns")
    part = adata[:, 5:9].copy()
    scanpys = sc.get.rank_genes_groups_df(part, None)
    assert rank_genes_df(part)["names"].tolist() == scanpys["names"].tolist()
    by_gene = rank_genes_df(part, "CD34+", order="gene")["names"].tolist()
    assert by_gene[:4] == part.var_names.tolist()
    assert sorted(by_gene) == sorted(adata.var_names)
