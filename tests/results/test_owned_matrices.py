"""Matrices in varm are replaced by the result that owns them only; all others are refused by name, before any work."""

from typing import Any

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from stored import labelled, on_disk, values_of

import scpdex

WILCOXON = {"method": "wilcoxon"}
# Names of fields by argument, each checked against the matrices of a call that works.
CALLS: dict[str, dict[str, Any]] = {
    "wilcoxon": WILCOXON,
    "t-test": {"method": "t-test", "pts": True},
    "pts against a reference": WILCOXON | {"pts": True, "reference": "a"},
    "extras": WILCOXON | {"extras": ("auc", "u", "log10_pvals", "means")},
    "logreg": {"method": "logreg"},
}


@pytest.fixture
def adata() -> ad.AnnData:
    cells = labelled(values_of("float32"))
    cells.obs["level"] = np.resize(["x", "y"], cells.n_obs)
    return cells


def fail(*_: Any, **__: Any) -> None:
    pytest.fail("work has begun")


def refuse(adata: ad.AnnData, monkeypatch: pytest.MonkeyPatch, message: str, **arguments: Any) -> None:
    """Hold a call to be refused before the matrix is opened, and to change nothing."""
    uns, varm = dict(adata.uns), {name: np.array(matrix) for name, matrix in adata.varm.items()}
    with monkeypatch.context() as patch:
        patch.setattr("scpdex.work.open_source", fail)
        patch.setattr("sklearn.linear_model.LogisticRegression.fit", fail)
        with pytest.raises(ValueError, match=message):
            scpdex.tl.rank_genes_parallel(adata, "group", **({"storage": "varm"} | arguments))
    assert dict(adata.uns) == uns
    assert set(adata.varm) == set(varm)
    for name, matrix in varm.items():
        np.testing.assert_array_equal(adata.varm[name], matrix)


@pytest.mark.parametrize("arguments", CALLS.values(), ids=CALLS.keys())
def test_every_matrix_of_the_users_stays(adata, monkeypatch, arguments):
    """Row 30: one of any name that the result would take is refused; with any other, the call works."""
    other = scpdex.tl.rank_genes_parallel(adata, "group", key_added="pca", storage="varm", copy=True, **arguments)
    names = set(other.varm)
    every = {f"pca_{field}" for field in ("ranks", "scores", "logfoldchanges", "pvals", "pvals_adj", "auc", "u")}
    every |= {f"pca_{field}" for field in ("log10_pvals", "means", "means_reference", "pts", "pts_rest")}
    assert names <= every
    mine = np.arange(30.0)[:, None]
    for name in sorted(names):
        adata.varm[name] = mine
        message = rf"adata\.varm\['{name}'\].*pass another key_added.*del adata\.varm\['{name}'\]"
        refuse(adata, monkeypatch, message, key_added="pca", **arguments)
        del adata.varm[name]
    for name in every - names:
        adata.varm[name] = mine
    scpdex.tl.rank_genes_parallel(adata, "group", key_added="pca", storage="varm", **arguments)
    for name in every - names:
        np.testing.assert_array_equal(adata.varm[name], mine)


def test_its_own_matrices_are_replaced(adata):
    """Row 30: by the same key, with other fields, and by scanpy's layout too."""
    for arguments in (WILCOXON | {"pts": True, "extras": ("auc",)}, {"method": "t-test"}, WILCOXON):
        scpdex.tl.rank_genes_parallel(adata, "group", storage="varm", **arguments)
        assert adata.uns["rank_genes_groups"]["params"]["method"] == arguments["method"]
    assert "rank_genes_groups_auc" not in adata.varm
    scpdex.tl.rank_genes_parallel(adata, "group", **WILCOXON)
    assert not adata.varm.keys()


def test_matrices_of_another_result_stay(adata, monkeypatch):
    """Row 30: "x" has a field log10_pvals, "x_log10" a field pvals."""
    extras = WILCOXON | {"extras": ("log10_pvals",)}
    scpdex.tl.rank_genes_parallel(adata, "group", key_added="x", storage="varm", **extras)
    message = r"adata\.varm\['x_log10_pvals'\], which belongs to the result adata\.uns\['x'\]"
    refuse(adata, monkeypatch, message, key_added="x_log10")
    del adata.uns["x"]
    for name in list(adata.varm):
        del adata.varm[name]
    scpdex.tl.rank_genes_parallel(adata, "group", key_added="x_log10", storage="varm")
    message = r"adata\.varm\['x_log10_pvals'\], which belongs to the result adata\.uns\['x_log10'\]"
    refuse(adata, monkeypatch, message, key_added="x", **extras)
    scpdex.tl.rank_genes_parallel(adata, "group", key_added="x", storage="varm", method="wilcoxon")


def test_matrices_without_their_entry_stay(adata, monkeypatch):
    """Row 30: the user took the result out of uns, or scanpy replaced it; one message names all of them."""
    scpdex.tl.rank_genes_parallel(adata, "group", storage="varm")
    result = adata.uns.pop("rank_genes_groups")
    message = r"'rank_genes_groups_scores'.*'rank_genes_groups_pvals_adj'"
    refuse(adata, monkeypatch, message)
    adata.uns["rank_genes_groups"] = result
    sc.tl.rank_genes_groups(adata, "group")
    refuse(adata, monkeypatch, "key_added")
    with pytest.raises(ValueError, match=r"adata\.varm\['rank_genes_groups_ranks'\] and 4 more"):
        scpdex.tl.rank_genes_to_varm(adata)
    scpdex.tl.rank_genes_parallel(adata, "group", key_added="other", storage="varm")


def test_levels(adata, monkeypatch):
    """Row 30: matrices of a level's name that no result owns, and those of a result that this call replaces."""
    adata.varm["de_y_scores"] = np.ones((30, 2))
    refuse(adata, monkeypatch, r"adata\.varm\['de_y_scores'\]", key_added="de", split_by="level")
    del adata.varm["de_y_scores"]
    for _ in range(2):
        scpdex.tl.rank_genes_parallel(adata, "group", key_added="de", storage="varm", split_by="level")
    scpdex.tl.rank_genes_parallel(adata, "group", key_added="de", storage="varm")
    assert all(name.startswith("de_") and not name.startswith(("de_x", "de_y")) for name in adata.varm)


def test_a_level_takes_the_matrix_of_a_level_that_goes(adata):
    """The levels of an earlier call are replaced: their matrices are in nobody's way."""
    arguments = {"storage": "varm", "split_by": "level", "key_added": "de"}
    adata.obs["level"] = np.resize(["x", "y"], adata.n_obs)
    scpdex.tl.rank_genes_parallel(adata, "group", **arguments, **WILCOXON, extras=("log10_pvals",))
    adata.obs["level"] = np.resize(["x_log10", "y"], adata.n_obs)
    scpdex.tl.rank_genes_parallel(adata, "group", **arguments, **WILCOXON)
    assert set(adata.uns) == {"de", "de_x_log10", "de_y"}


@pytest.mark.parametrize("split_by", [None, "level"])
def test_moved_results(adata, split_by):
    """Row 30: rank_genes_to_varm replaces nothing either, neither matrices nor, with levels, entries of uns."""
    scpdex.tl.rank_genes_parallel(adata, "group", split_by=split_by)
    key = "pca" if split_by is None else "pca_y"
    mine = np.ones((30, 2))
    adata.varm[f"{key}_pvals"] = mine
    entries = dict(adata.uns)
    with pytest.raises(ValueError, match=rf"adata\.varm\['{key}_pvals'\].*pass another key_added"):
        scpdex.tl.rank_genes_to_varm(adata, key_added="pca")
    assert dict(adata.uns) == entries
    assert list(adata.varm) == [f"{key}_pvals"]
    scpdex.tl.rank_genes_to_varm(adata, key_added="other")
    scpdex.tl.rank_genes_to_varm(adata)
    np.testing.assert_array_equal(adata.varm[f"{key}_pvals"], mine)


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_moved_levels_replace_no_entries(adata, storage):
    """As in the call itself: what is no result of a level stays."""
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", storage=storage)
    move = scpdex.tl.rank_genes_to_varm if storage == "uns" else scpdex.tl.rank_genes_to_uns
    adata.uns["other_y"] = mine = {"params": {}}
    with pytest.raises(ValueError, match=r"level 'y' would replace adata\.uns\['other_y'\], which is something else"):
        move(adata, key_added="other")
    assert adata.uns["other_y"] is mine
    assert "other" not in adata.uns
    assert "other_x" not in adata.uns


def test_views_copies_and_files(adata, monkeypatch, tmp_path):
    """Row 30: wherever the object lies, and whether it is copied."""
    adata.varm["pca_scores"] = np.arange(60.0).reshape(30, 2)
    refuse(adata, monkeypatch, "pca_scores", key_added="pca", copy=True)
    view = adata[:200, ::2]
    refuse(view, monkeypatch, "pca_scores", key_added="pca")
    assert view.is_view
    backed = on_disk(adata, tmp_path, "h5ad", mode="r+")
    refuse(backed, monkeypatch, "pca_scores", key_added="pca")
    refuse(backed[:100], monkeypatch, "pca_scores", key_added="pca", copy=True)
