"""Results that lost fields or rows, that concat merged, and with genes of one name."""

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from oracles import KEY
from ranked import ranked
from stored import labelled, values_of

import scpdex
from scpdex.get import rank_genes_df


@pytest.mark.parametrize("field", ["scores", "logfoldchanges", "pvals", "pvals_adj", "pts", "pts_rest", "params"])
def test_fields_that_vanished(field: str) -> None:
    """Row 38: the others are read; what needs it says so."""
    adata = ranked()
    expected = rank_genes_df(adata).drop(
        columns={"pts": "pct_nz_group", "pts_rest": "pct_nz_reference"}.get(field, field), errors="ignore"
    )
    del adata.uns[KEY][field]
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_exact=True)
    if field == "pvals_adj":
        with pytest.raises(ValueError, match="filters by pvals_adj"):
            rank_genes_df(adata, pval_cutoff=0.05)


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_without_names(storage: str) -> None:
    """Row 38: the message names the missing field, and does not list this entry among the results."""
    adata = ranked(storage, pts=False)
    needed = "names" if storage == "uns" else "groups"
    del adata.uns[KEY][needed]
    calls = (rank_genes_df, scpdex.tl.rank_genes_to_varm, scpdex.tl.rank_genes_to_uns)
    for call in calls[: 1 if storage == "varm" else 3]:
        with pytest.raises(KeyError, match=rf"the field '{needed}' is missing.*Results: none") as refused:
            call(adata)
        assert "Rank again" in str(refused.value)
    # Ranking again works over what is left.
    scpdex.tl.rank_genes_parallel(adata, "group", storage=storage)
    assert len(rank_genes_df(adata)) == 5 * adata.n_vars
    adata.uns[KEY] = {"params": {}}
    with pytest.raises(KeyError, match="the field 'names' is missing"):
        rank_genes_df(adata)


@pytest.mark.parametrize("names", [np.array([["g", "h"]]), ["g"], "text", None, pd.DataFrame(), 5], ids=repr)
def test_names_that_are_no_records(names: Any) -> None:
    adata = ranked()
    adata.uns[KEY]["names"] = names
    with pytest.raises(KeyError, match=r"\['names'\] is a .* without a column for each group"):
        rank_genes_df(adata)


@pytest.mark.parametrize("how", ["same", "unique", "first", "only"])
def test_concat(how: str) -> None:
    """Row 38: of objects with the same result, with different ones, and of one that has none."""
    adata = ranked()
    other = labelled(values_of("float32", seed=1))
    other.obs["other"] = other.obs["group"]
    results = {"same": ranked(), "none": other, "different": other.copy()}
    sc.tl.rank_genes_groups(results["different"], "other", method="t-test")
    expected = rank_genes_df(adata)
    for name, second in results.items():
        joined = ad.concat([adata, second], uns_merge=how, index_unique="-")
        whole = how == "first" or (name == "same" and how != "only") or (name == "none" and how in {"unique", "only"})
        if whole:
            pd.testing.assert_frame_equal(rank_genes_df(joined), expected, check_exact=True)
            continue
        missing = "the field 'names' is missing" if joined.uns.get(KEY) else "holds no ranked genes"
        with pytest.raises(KeyError, match=missing):
            rank_genes_df(joined)


def test_rows_that_lost_their_names() -> None:
    """Row 38: rows of fractions are in the order of the tested genes, where there are as many as var has."""
    adata = ranked(reference="b")
    expected = rank_genes_df(adata)
    adata.uns[KEY]["pts"] = adata.uns[KEY]["pts"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_exact=True)
    adata.uns[KEY]["pts"] = adata.uns[KEY]["pts"].iloc[1:]
    assert "pct_nz_group" not in rank_genes_df(adata)


@pytest.mark.parametrize("n_genes", [None, 12])
def test_genes_of_one_name(n_genes: int | None, messages: Callable[[], str]) -> None:
    """Row 20 and 38: fractions and symbols of others are right; those of twins are NaN, which is told once."""
    adata = labelled(values_of("float32"))
    adata.var_names = ["twin", "twin", *adata.var_names[2:]]
    adata.var["symbol"] = [f"S{j}" for j in range(adata.n_vars)]
    scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", pts=True, n_genes=n_genes)
    unique = adata.copy()
    unique.var_names_make_unique()
    messages()
    for one in (adata, unique):
        table = rank_genes_df(one, gene_symbols="symbol")
        said = messages()
        is_twin = table["names"] == "twin"
        assert is_twin.any()
        assert said.count("WARNING") == 1
        assert "NaN for the genes called 'twin'" in said
        assert "storage='varm'" in said
        assert "adata.var_names_make_unique()" in said
        assert table.loc[is_twin, ["symbol", "pct_nz_group", "pct_nz_reference"]].isna().all(axis=None)
        shares = pd.DataFrame(
            {g: (adata.X[adata.obs["group"] == g] != 0).mean(axis=0) for g in "abcde"}, index=adata.var["symbol"]
        )
        rest = table[~is_twin]
        expected = [shares.loc[symbol, g] for symbol, g in zip(rest["symbol"], rest["group"], strict=True)]
        np.testing.assert_array_equal(rest["pct_nz_group"], expected)
    scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", pts=True, n_genes=n_genes, storage="varm")
    assert rank_genes_df(adata, gene_symbols="symbol").notna().all(axis=None)
    scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", n_genes=n_genes)
    messages()
    rank_genes_df(adata)
    assert messages() == ""


@pytest.mark.parametrize("repeated", [[0, 0], [0, 0, 2, 3], [1, 1, 0, 0]])
def test_genes_that_repeat(repeated: list[int]) -> None:
    """Row 38: matrices in varm are cut with the genes, and a rank may be there twice while another is not."""
    adata = ranked("varm", pts=False)
    table = rank_genes_df(adata, "a")
    columns = [adata.var_names.get_loc(name) for name in table["names"].iloc[repeated]]
    some = adata[:, columns].copy()
    found = rank_genes_df(some, "a")
    expected = table.iloc[sorted(repeated)]
    np.testing.assert_array_equal(found["names"], expected["names"])
    np.testing.assert_array_equal(found["scores"], expected["scores"])


def test_records_beside_matrices() -> None:
    """Row 38: concat merges an entry with records and one with matrices field by field; records are read."""
    first, second = ranked("uns", pts=False), ranked("varm", pts=False)
    expected = rank_genes_df(first)
    merged = ad.concat([first, second], uns_merge="first", index_unique="-")
    assert rank_genes_df(merged)[["group", "names", "scores"]].equals(expected[["group", "names", "scores"]])
