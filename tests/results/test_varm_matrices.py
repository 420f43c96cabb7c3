"""Results as matrices in varm: what is stored, refused and replaced, and back to scanpy's layout."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given
from hypothesis import strategies as st
from oracles import KEY, assert_same_bits
from ranked import GROUPBY, rank, without_raw
from stored import labelled, on_disk, values_of

import scpdex
from scpdex.results._varm_matrices import remove_matrices

CALLS = {
    "rest": {},
    "reference": {"reference": "Dendritic"},
    "t-test": {"method": "t-test", "pts": False},
    "top genes": {"n_genes": 7, "rankby_abs": True},
    "mask": {"mask_var": np.arange(765) % 3 == 1, "groups": ["CD34+", "CD19+ B"]},
    "logreg": {"method": "logreg", "pts": False},
    "logreg of two": {"method": "logreg", "pts": False, "groups": ["CD34+", "CD19+ B"]},
}


@pytest.mark.parametrize("arguments", CALLS.values(), ids=CALLS.keys())
def test_back_to_scanpys_layout(pbmc, arguments):
    """All that scanpy's layout holds comes back, bit for bit, from the matrices; and those from that layout."""
    adata = without_raw(pbmc)
    expected = rank(adata.copy(), "uns", **arguments)
    entry = rank(adata, **arguments)
    assert entry["params"] == expected["params"] | {"storage": "varm"}
    matrices = {name: matrix.copy() for name, matrix in adata.varm.items() if name.startswith(KEY)}
    assert set(matrices) == {f"{KEY}_{field}" for field in entry["fields"]}
    scpdex.tl.rank_genes_to_uns(adata)
    assert adata.uns[KEY]["params"] == expected["params"]
    assert list(adata.uns[KEY]) == list(expected)
    assert_same_bits(adata.uns[KEY], expected)
    assert not [name for name in adata.varm if name.startswith(KEY)]
    scpdex.tl.rank_genes_to_varm(adata)
    assert adata.uns[KEY]["params"] == entry["params"]
    for name in ("groups", "fields"):
        np.testing.assert_array_equal(adata.uns[KEY][name], entry[name])
    for name, matrix in matrices.items():
        np.testing.assert_array_equal(adata.varm[name], matrix, strict=True)


def test_matrices(pbmc):
    """Rows are genes of var, columns groups; what was not tested is NaN, and has no rank."""
    adata = without_raw(pbmc)
    mask = np.arange(adata.n_vars) % 2 == 0
    expected = rank(adata.copy(), "uns", mask_var=mask)
    groups = rank(adata, mask_var=mask)["groups"]
    assert list(groups) == list(expected["names"].dtype.names)
    for i, group in enumerate(groups):
        ranks = adata.varm[f"{KEY}_ranks"][:, i]
        assert ranks.dtype == np.int32
        assert (ranks[~mask] == -1).all()
        in_order = np.argsort(ranks[mask])
        np.testing.assert_array_equal(adata.var_names[mask][in_order], expected["names"][group])
        for field in ("scores", "logfoldchanges", "pvals", "pvals_adj"):
            column = adata.varm[f"{KEY}_{field}"][:, i]
            assert np.isnan(column[~mask]).all()
            np.testing.assert_array_equal(column[mask][in_order], expected[field][group], strict=True)
        np.testing.assert_array_equal(adata.varm[f"{KEY}_pts"][mask, i], expected["pts"][group])


def test_a_result_replaces_the_one_before(pbmc):
    """Its matrices too; those of other results stay."""
    adata = without_raw(pbmc)
    adata.varm["PCs"] = np.zeros((adata.n_vars, 2))
    rank(adata)
    rank(adata, key_added="other", pts=False)
    rank(adata, n_genes=5, pts=False, reference="Dendritic")
    fields = {"ranks", "scores", "logfoldchanges", "pvals", "pvals_adj"}
    assert set(adata.varm) == {"PCs"} | {f"{key}_{field}" for key in (KEY, "other") for field in fields}
    assert adata.varm[f"{KEY}_scores"].shape == (adata.n_vars, 9)
    rank(adata, "uns")
    assert set(adata.varm) == {"PCs"} | {f"other_{field}" for field in fields}


def test_raw_with_other_genes(pbmc):
    before = dict(pbmc.uns)
    part = pbmc[:, 5:].copy()
    with pytest.raises(ValueError, match=r"adata\.raw has other genes, or another order: pass use_raw=False"):
        rank(part)
    rank(part, "uns")
    with pytest.raises(ValueError, match=r"ranks the genes of adata\.raw.*use_raw=False"):
        scpdex.tl.rank_genes_to_varm(part)
    assert rank(part, use_raw=False)["params"]["use_raw"] is False
    rank(pbmc)
    assert pbmc.uns.keys() == before.keys() | {KEY}
    assert pbmc.uns[KEY]["params"]["use_raw"] is True


def test_views_and_copies(pbmc, tmp_path):
    adata = without_raw(pbmc)
    part = adata[:, ::-2]
    copy = scpdex.tl.rank_genes_parallel(part, GROUPBY, method="wilcoxon", storage="varm", copy=True)
    expected = rank(part.copy(), "uns", pts=False)
    scpdex.tl.rank_genes_to_uns(copy)
    assert_same_bits(copy.uns[KEY], expected)
    assert not [name for name in adata.varm if name.startswith(KEY)]
    backed = on_disk(labelled(values_of("float32")), tmp_path, "h5ad")
    light = scpdex.tl.rank_genes_parallel(backed, "group", method="wilcoxon", storage="varm", copy=True)
    assert light.X is None
    assert not backed.varm
    rank(backed, "varm", "group", pts=False)
    np.testing.assert_array_equal(backed.varm[f"{KEY}_scores"], light.varm[f"{KEY}_scores"])
    other = scpdex.tl.rank_genes_parallel(backed, "group", key_added="other", copy=True)
    pd.testing.assert_frame_equal(scpdex.get.rank_genes_df(other), scpdex.get.rank_genes_df(backed), check_exact=True)
    with pytest.raises(ValueError, match="view of data on disk"):
        scpdex.tl.rank_genes_to_uns(backed[:100])


def test_some_groups_for_a_plot(pbmc):
    import matplotlib as mpl

    mpl.use("Agg")
    adata = without_raw(pbmc)
    rank(adata, pts=False)
    scpdex.tl.rank_genes_to_uns(adata, groups=["Dendritic", "CD34+"], key_added="two")
    assert adata.uns["two"]["names"].dtype.names == ("Dendritic", "CD34+")
    assert f"{KEY}_scores" in adata.varm
    sc.pl.rank_genes_groups_dotplot(adata, key="two", n_genes=3, show=False)
    mpl.pyplot.close("all")


def test_results_of_scanpy(pbmc):
    """Those can be moved as well, and come back as they were."""
    adata = without_raw(pbmc)
    sc.tl.rank_genes_groups(adata, GROUPBY, method="wilcoxon", pts=True)
    expected = adata.uns[KEY]
    scpdex.tl.rank_genes_to_varm(adata, key_added="moved")
    scpdex.tl.rank_genes_to_uns(adata, key="moved")
    assert_same_bits(adata.uns["moved"], expected)


def test_refused(pbmc):
    adata = without_raw(pbmc)
    with pytest.raises(ValueError, match="storage='obsm' is not valid: pass 'uns' or 'varm'"):
        rank(adata, "obsm")
    for move in (scpdex.tl.rank_genes_to_uns, scpdex.tl.rank_genes_to_varm):
        with pytest.raises(KeyError, match="holds no ranked genes"):
            move(adata, key="nothing")
    rank(adata, "uns")
    with pytest.raises(ValueError, match="scanpy's layout already"):
        scpdex.tl.rank_genes_to_uns(adata)
    sc.tl.filter_rank_genes_groups(adata)
    with pytest.raises(ValueError, match="was filtered"):
        scpdex.tl.rank_genes_to_varm(adata, key=f"{KEY}_filtered")
    doubled = without_raw(pbmc)
    doubled.var_names = [doubled.var_names[1], *doubled.var_names[1:]]
    rank(doubled, "uns")
    with pytest.raises(ValueError, match=f"genes '{doubled.var_names[1]}' are absent there, or repeated"):
        scpdex.tl.rank_genes_to_varm(doubled)
    rank(doubled)
    with pytest.raises(ValueError, match=r"matrices in adata\.varm already"):
        scpdex.tl.rank_genes_to_varm(doubled)
    with pytest.raises(ValueError, match="pass key_added="):
        scpdex.tl.rank_genes_to_uns(doubled, groups=["CD34+"])
    with pytest.raises(ValueError, match=r"group 'CD34' is not in .* Did you mean 'CD34\+'"):
        scpdex.tl.rank_genes_to_uns(doubled, groups=["CD34"], key_added="x")
    for i, junk in enumerate(["text", {"params": None}, {"params": "text"}]):
        doubled.uns[f"junk{i}"] = junk
        rank(doubled, key_added=f"junk{i}", pts=False)
    del doubled.varm[f"{KEY}_ranks"]
    with pytest.raises(KeyError, match=r"rank_genes_groups_ranks.* is missing"):
        scpdex.tl.rank_genes_to_uns(doubled)


def test_uns_is_written_last(pbmc, monkeypatch):
    """A call that fails leaves both forms as they were."""
    adata = without_raw(pbmc)
    rank(adata)
    entry, scores = adata.uns[KEY], adata.varm[f"{KEY}_scores"].copy()
    monkeypatch.setattr("scpdex.tl._rank_and_write.order_table", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rank(adata, method="t-test")
    assert adata.uns[KEY] is entry
    np.testing.assert_array_equal(adata.varm[f"{KEY}_scores"], scores)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=40, unique=True))
def test_any_names(names):
    """Of groups: kept as they are by both forms."""
    labels = np.repeat(np.array(names, dtype=object), 2)
    obs = pd.DataFrame({"label": pd.Categorical(labels, categories=names)}, index=[str(i) for i in range(labels.size)])
    adata = ad.AnnData(np.eye(labels.size, 2), obs=obs)
    entry = rank(adata, "varm", "label", pts=False)
    assert list(entry["groups"]) == names


@pytest.mark.parametrize("n", [1, 2, 3])
def test_what_was_there_comes_back(pbmc, monkeypatch, n):
    """An error while a result replaces another, after some of that was taken away."""
    pbmc.obs["level"] = np.resize(["x", "y"], pbmc.n_obs)
    arguments = {"use_raw": False, "storage": "varm", "split_by": "level", "min_cells": 2}
    scpdex.tl.rank_genes_parallel(pbmc, "bulk_labels", **arguments)
    uns, varm = dict(pbmc.uns), dict(pbmc.varm)
    remove, calls = remove_matrices, []

    def remove_or_fail(adata: ad.AnnData, key: str) -> None:
        calls.append(key)
        if len(calls) == n:
            raise MemoryError
        remove(adata, key)

    with monkeypatch.context() as patch:
        patch.setattr("scpdex.results._write_results.remove_matrices", remove_or_fail)
        with pytest.raises(MemoryError):
            scpdex.tl.rank_genes_parallel(pbmc, "bulk_labels", **arguments)
    assert dict(pbmc.uns).keys() == uns.keys()
    assert all(pbmc.uns[key] is value for key, value in uns.items())
    assert dict(pbmc.varm).keys() == varm.keys()
