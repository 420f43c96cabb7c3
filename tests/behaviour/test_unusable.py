"""Objects that cannot be ranked at all: row 39 of the promises, each refused by name before any work."""

from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from stored import FORMS, labelled, on_disk, values_of

import scpdex


def call(name: str, adata: ad.AnnData, groupby: Any, **arguments: Any) -> Any:
    """Call one of the public functions that compare groups."""
    if name == "pdex":
        return scpdex.parallel_differential_expression(adata, groupby_key=groupby, reference="a", show_progress=False)
    verb = scpdex.get.plan if name == "plan" else scpdex.tl.rank_genes_parallel
    return verb(adata, groupby, **arguments)


FUNCTIONS = pytest.mark.parametrize("name", ["rank", "plan", "pdex"])
UNHASHABLE = {
    "list": [1],
    "dict": {1: 2},
    "set": {1},
    "ndarray": np.array([1, 2]),
    "tuple": (1, [2]),
    "Series": pd.Series([1]),
}


@FUNCTIONS
@pytest.mark.parametrize("kind", UNHASHABLE)
def test_labels_that_cannot_be_compared(name, kind):
    """Row 39: the column and its first such label are named."""
    adata = labelled(values_of("float32"))
    labels = np.array(["a"] * adata.n_obs, dtype=object)
    labels[7] = labels[9] = UNHASHABLE[kind]
    adata.obs["odd"] = labels
    with pytest.raises(
        TypeError, match=rf"'odd' holds labels of type {kind} that cannot be compared .*, the first in cell 'cell7'"
    ):
        call(name, adata, "odd")
    assert not adata.uns


@pytest.mark.parametrize("argument", ["split_by", "strata"])
def test_levels_that_cannot_be_compared(argument):
    """Row 39: other columns too."""
    adata = labelled(values_of("float32"))
    adata.obs["odd"] = [[1]] * adata.n_obs
    with pytest.raises(TypeError, match=rf"{argument}='odd' holds labels of type list"):
        call("rank", adata, "group", method="wilcoxon", **{argument: "odd"})


@FUNCTIONS
@pytest.mark.parametrize("groupby", [None, 3, ["group"], ("group",), b"group", np.nan])
def test_groupby_that_is_no_name(name, groupby):
    """Row 39: the valid names are listed."""
    adata = labelled(values_of("float32"))
    expected = r"groupby(_key)?=.* is not the name of a column of adata\.obs: pass a string\. Valid: 'group'"
    with pytest.raises(TypeError, match=expected):
        call(name, adata, groupby)


def test_groupby_that_is_no_name_of_a_lazy_object(tmp_path):
    """Row 39: nothing of it is read."""
    pytest.importorskip("xarray")
    labelled(values_of("float32")).write_zarr(tmp_path / "x.zarr")
    lazy = ad.experimental.read_lazy(tmp_path / "x.zarr")
    for groupby in (None, ["group"]):
        with pytest.raises(TypeError, match="pass a string"):
            call("rank", lazy, groupby)


@FUNCTIONS
@pytest.mark.parametrize("view", [False, True], ids=["", "view"])
def test_a_file_without_x(tmp_path, name, view):
    """Row 39: what could be ranked instead is named, and layers and raw are ranked."""
    adata = labelled(values_of("float32"))
    adata.layers["logs"] = adata.X
    del adata.X
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path)
    backed = ad.read_h5ad(path, backed="r")
    some = backed[:200] if view else backed
    with pytest.raises(ValueError, match=r"adata\.X is None: there is no matrix to rank\. Set it, or rank a layer"):
        call(name, some, "group", **({} if name == "pdex" else {"copy": True}))
    if name == "rank":
        assert call(name, some, "group", layer="logs", copy=True).uns
    backed.file.close()


@FUNCTIONS
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("view", [False, True], ids=["", "view"])
def test_a_file_that_was_closed(tmp_path, name, form, view):
    """Row 39: a dataset that the caller holds is named; what AnnData itself opened, it opens again."""
    adata = labelled(FORMS[form](values_of("float32")))
    backed = on_disk(adata, tmp_path, "h5ad")
    path = Path(backed.filename)
    backed.file.close()
    # Opened again by anndata.
    call(name, backed, "group")
    backed.file.close()
    with h5py.File(path) as file:
        x = file["X"] if form == "dense" else ad.io.sparse_dataset(file["X"])
        held = ad.AnnData(x, obs=adata.obs, var=adata.var)
    some = held[:200] if view else held
    with pytest.raises(ValueError, match=r"adata\.X is in a file that was closed: open the file again"):
        call(name, some, "group", **({} if name == "pdex" else {"copy": True}))


@FUNCTIONS
@pytest.mark.parametrize("labels", ["category", "str", "float64"])
def test_no_cells(name, labels):
    """Row 39: a filter has left nothing, whatever the labels are."""
    adata = labelled(values_of("float32"))
    adata.obs["label"] = np.resize([1.0, 2.0], adata.n_obs)
    adata.obs["label"] = adata.obs["label"].astype(labels)
    nothing = adata[adata.obs["label"] == "none"]
    for some in (nothing, nothing.copy()):
        with pytest.raises(ValueError, match="adata has no cells: there is nothing to rank"):
            call(name, some, "label")


def test_raw_is_ranked(messages):
    """At verbosity 2 the user reads that raw is ranked, and how many of its genes var lacks."""
    sc.settings.verbosity = 2
    whole = labelled(values_of("float32"))
    some = whole[:, :12].copy()
    some.raw = whole
    call("rank", some, "group")
    assert "; the matrix is adata.raw.X (30 genes, 18 of which are not in adata.var)" in messages()
    call("rank", some, "group", use_raw=False)
    assert "raw" not in messages()
    whole.raw = whole
    call("rank", whole, "group")
    assert "; the matrix is adata.raw.X (30 genes)\n" in messages()


def test_a_lazily_opened_file_that_was_closed(tmp_path):
    """Row 39: the columns that could not be read are named."""
    pytest.importorskip("xarray")
    labelled(values_of("float32")).write_h5ad(tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5ad") as file:
        lazy = ad.experimental.read_lazy(file)
    with pytest.raises(
        OSError, match="columns 'group' of a lazily opened object could not be read: was its file closed"
    ):
        call("rank", lazy, "group")


MASKS = {
    "column vector": (np.ones((30, 1), dtype=bool), r"one dimension, a bool for each gene, but has shape \(30, 1\)"),
    "data frame": (pd.DataFrame({"m": [True] * 30}), r"one dimension.*shape \(30, 1\)"),
    "sparse": (FORMS["CSR"](np.ones((1, 30), dtype=bool)), r"one dimension.*shape \(1, 30\)"),
    "names": (["gene1", "gene2"], r"has dtype .*For names of genes, pass adata\.var_names\.isin\(names\)"),
    "missing": (pd.array([True, None] * 15, dtype="boolean"), "has 15 of these: fill them"),
    "nothing": (np.zeros(30, dtype=bool), "mask_var is False for every gene"),
    "numbers": (np.ones(30), "has dtype float64"),
}


@pytest.mark.parametrize("kind", MASKS)
def test_masks_that_are_none(kind):
    adata = labelled(values_of("float32"))
    mask, expected = MASKS[kind]
    with pytest.raises(ValueError, match=expected):
        call("rank", adata, "group", mask_var=mask)
