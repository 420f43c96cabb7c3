"""Names that changed after ranking: tables are read by position."""

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from stored import labelled, values_of

import scpdex
from scpdex.get import rank_genes_df


def rank_by_scanpy(adata: ad.AnnData, **arguments: Any) -> None:
    sc.tl.rank_genes_groups(adata, "label", method="wilcoxon", pts=True, **arguments)


def rank_by_scpdex(adata: ad.AnnData, **arguments: Any) -> None:
    scpdex.tl.rank_genes_parallel(adata, "label", method="wilcoxon", pts=True, **arguments)


def rank_into_varm(adata: ad.AnnData, **arguments: Any) -> None:
    rank_by_scpdex(adata, storage="varm", **arguments)


RENAMED = {
    "new": ["new 1", "new 2", "new 3", "new 4"],
    "one": ["a", "b", "c", "new"],
    "swapped": ["b", "a", "d", "c"],
    "shifted": ["b", "c", "d", "a"],
}


def in_four_groups() -> ad.AnnData:
    adata = labelled(values_of("float32"))
    adata.obs["label"] = pd.Categorical(np.resize(list("abcd"), adata.n_obs))
    return adata


def renamed(adata: ad.AnnData, names: list[str]) -> None:
    """Rename as scanpy's tutorial does, of which anndata may say that a result does not follow."""
    adata.rename_categories("label", names)


@pytest.mark.parametrize("rank", [rank_by_scanpy, rank_by_scpdex])
@pytest.mark.parametrize("names", RENAMED.values(), ids=RENAMED)
def test_records_that_were_renamed(rank: Callable[..., None], names: list[str], messages: Callable[[], str]) -> None:
    """Row 34: anndata renames the groups of records and not the columns of fractions, which follow by position."""
    adata = in_four_groups()
    rank(adata)
    expected = rank_genes_df(adata)
    expected["group"] = expected["group"].cat.rename_categories(dict(zip("abcd", names, strict=True)))
    renamed(adata, names)
    messages()
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_exact=True, check_categorical=False)
    for group in names:
        shares = (adata.X[adata.obs["label"] == group] != 0).mean(axis=0)
        table = rank_genes_df(adata, group, order="gene")
        np.testing.assert_allclose(table["pct_nz_group"], shares)
    # Both forms that it is moved to are named anew as a whole.
    scpdex.tl.rank_genes_to_varm(adata)
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_exact=True, check_categorical=False)
    scpdex.tl.rank_genes_to_uns(adata)
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_exact=True, check_categorical=False)
    table = sc.get.rank_genes_groups_df(adata, names)
    np.testing.assert_array_equal(table["pct_nz_group"], expected["pct_nz_group"])
    assert "no longer" not in messages()


@pytest.mark.parametrize("rank", [rank_by_scanpy, rank_by_scpdex, rank_into_varm])
@pytest.mark.parametrize("arguments", [{}, {"reference": "b"}, {"groups": ["a", "c"], "reference": "b"}], ids=str)
def test_names_that_do_not_follow(
    rank: Callable[..., None], arguments: dict[str, Any], messages: Callable[[], str]
) -> None:
    """Row 34: the numbers of before under the names of before, and one message that says so."""
    if rank is not rank_into_varm and not arguments:
        pytest.skip("their names follow")
    adata = in_four_groups()
    rank(adata, **arguments)
    expected = rank_genes_df(adata)
    renamed(adata, RENAMED["new"])
    messages()
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_exact=True)
    said = messages()
    groups = [repr(name) for name in expected["group"].cat.categories]
    assert said.count(f"names groups {', '.join(groups)}, which are no longer labels of adata.obs['label']") == 1
    if rank is rank_into_varm:
        scpdex.tl.rank_genes_to_uns(adata)
    else:
        scpdex.tl.rank_genes_to_varm(adata)
    assert messages().count("no longer") == 1
    with pytest.raises(ValueError, match="group 'new 1' is not in"):
        rank_genes_df(adata, "new 1")


def test_levels_that_were_renamed(messages: Callable[[], str]) -> None:
    """Row 34: one message for groups and levels together."""
    adata = in_four_groups()
    adata.obs["level"] = pd.Categorical(np.repeat(["x", "y"], adata.n_obs // 2))
    rank_into_varm(adata, split_by="level")
    expected = rank_genes_df(adata)
    renamed(adata, RENAMED["new"])
    adata.rename_categories("level", ["X", "Y"])
    messages()
    pd.testing.assert_frame_equal(rank_genes_df(adata), expected, check_exact=True)
    said = messages()
    assert said.count("no longer") == 2
    assert said.count("WARNING") == 1
    assert "levels 'x', 'y', which are no longer labels of adata.obs['level']" in said


def test_lazily_opened_labels(tmp_path: Any, messages: Callable[[], str]) -> None:
    """The column is read, and names are held against it."""
    pytest.importorskip("xarray")
    adata = in_four_groups()
    rank_into_varm(adata)
    adata.write_zarr(tmp_path / "same.zarr")
    adata.rename_categories("label", RENAMED["new"])
    adata.write_zarr(tmp_path / "renamed.zarr")
    expected = rank_genes_df(adata)
    for name, n_said in (("same", 0), ("renamed", 1)):
        lazy = ad.experimental.read_lazy(tmp_path / f"{name}.zarr")
        messages()
        pd.testing.assert_frame_equal(rank_genes_df(lazy), expected, check_exact=True)
        assert messages().count("no longer") == n_said


def test_targets_of_renamed_groups() -> None:
    """Records that follow find their targets; names that do not are refused."""
    adata = in_four_groups()
    adata.obs["target"] = adata.obs["label"].map({"a": "gene1", "b": "gene2", "c": "gene3", "d": "gene4"})
    for rank in (rank_by_scanpy, rank_into_varm):
        rank(adata)
        expected = rank_genes_df(adata, on_target="target")
        changed = adata.copy()
        renamed(changed, RENAMED["new"])
        if rank is rank_into_varm:
            with pytest.raises(ValueError, match=r"'a', 'b', 'c', 'd' of the result are not in adata\.obs"):
                rank_genes_df(changed, on_target="target")
            continue
        table = rank_genes_df(changed, on_target="target")
        assert table["group"].tolist() == RENAMED["new"]
        pd.testing.assert_frame_equal(table.drop(columns="group"), expected.drop(columns="group"), check_exact=True)
    adata.obs["number"] = np.resize([0, 1, 2, 3], adata.n_obs)
    scpdex.tl.rank_genes_parallel(adata, "number", method="wilcoxon")
    expected = rank_genes_df(adata, on_target="target")
    adata.obs["number"] = adata.obs["number"].astype(float)
    pd.testing.assert_frame_equal(rank_genes_df(adata, on_target="target"), expected, check_exact=True)
