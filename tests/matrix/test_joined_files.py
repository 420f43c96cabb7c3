"""Several files or objects in the place of one: the bits of anndata.concat in memory, and refusals by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from counts import RULES
from oracles import assert_same_bits
from scipy import sparse
from stored import (
    EVERYTHING,
    FORMS,
    TESTS,
    ZARR_FORMAT,
    budget_for,
    in_chunks,
    labelled,
    tightest,
    values_of,
    without_slack,
)

import scpdex

KEY = "rank_genes_groups"
SIZES = (300, 120, 77)


def make_objects(forms: Any = "CSR", dtypes: Any = "float32") -> list[ad.AnnData]:
    """Make three objects: the genes of the second and third are in another order, and labels are not the same."""
    forms, dtypes = ([x] * 3 if isinstance(x, str) else x for x in (forms, dtypes))
    rng, objects = np.random.default_rng(0), []
    for i, (form, dtype, n_cells) in enumerate(zip(forms, dtypes, SIZES, strict=True)):
        adata = labelled(FORMS[form](values_of(dtype, n_cells, seed=i)))
        adata.obs_names = f"{i}_" + adata.obs_names
        if i == 2:
            adata.obs["group"] = adata.obs["group"].cat.rename_categories({"e": "only here"})
        adata.var["tested"] = np.arange(30) % 3 > 0
        objects.append(adata[:, rng.permutation(30)].copy() if i else adata)
    return objects


def write(objects: list[ad.AnnData], folder: Path, ending: str = "h5ad") -> list[Path]:
    """Write each object to a file of its own: plate0, plate1, ..."""
    paths = [folder / f"plate{i}.{ending}" for i in range(len(objects))]
    for adata, path in zip(objects, paths, strict=True):
        adata.write_h5ad(path) if ending == "h5ad" else adata.write_zarr(path)
    return paths


def concatenate(objects: list[ad.AnnData], **arguments: Any) -> ad.AnnData:
    """Put objects together in memory."""
    names = [f"plate{i}" for i in range(len(objects))]
    return ad.concat(objects, label="file", keys=names, merge="same", **arguments)


def assert_as_joined(given: Any, memory: ad.AnnData, groupby: str = "group", **arguments: Any) -> ad.AnnData:
    """Hold each result of several objects to that of one in memory; give the former."""
    memory = memory.copy()
    budget = {name: arguments.pop(name) for name in ("max_memory", "n_jobs", "join") if name in arguments}
    scpdex.tl.rank_genes_parallel(memory, groupby, **arguments)
    joined = scpdex.tl.rank_genes_parallel(given, groupby, copy=True, **budget, **arguments)
    assert joined.X is None
    for key, entry in memory.uns.items():
        if "scores" in entry:
            params = {name: value for name, value in joined.uns[key]["params"].items() if name != "files"}
            assert_same_bits(dict(joined.uns[key]) | {"params": params}, entry)
    return joined


@pytest.mark.parametrize(
    ("ending", "dtype", "reference"),
    [("h5ad", "float32", "rest"), ("h5ad", "float32", "b"), ("h5ad", "float64", "rest"), ("zarr", "int32", "b")],
)
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("form", FORMS)
def test_same_bits(tmp_path, monkeypatch, ending, form, dtype, method, reference):
    """As concatenated in memory, with room and without."""
    without_slack(monkeypatch)
    objects = make_objects(form, dtype)
    paths, memory = write(objects, tmp_path, ending), concatenate(objects)
    arguments = {"method": method, "reference": reference, **EVERYTHING}
    assert_as_joined(paths, memory, **arguments)
    least = tightest(paths, **arguments)
    assert_as_joined(paths, memory, n_jobs=3, max_memory=least, **arguments)
    plan = scpdex.get.plan(paths, "group", max_memory=least, **arguments)
    assert len(plan.blocks) > 1 or plan.strategy == "row passes"


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize(
    ("forms", "dtypes"),
    [
        (("CSR", "dense", "CSC"), ("float32", "float64", "int32")),
        (("dense", "CSC", "CSR"), ("int8", "uint16", "float32")),
        (("CSC", "CSR", "dense"), ("uint8", "int8", "uint8")),
        (("dense", "dense", "dense"), ("float16", "float16", "float16")),
        (("CSR", "CSR", "CSR"), ("bool", "int64", "float32")),
    ],
)
def test_mixed_forms_and_dtypes(tmp_path, monkeypatch, forms, dtypes, method):
    """Values become the dtype of the concatenated matrix."""
    without_slack(monkeypatch)
    objects = make_objects(forms, dtypes)
    paths, memory = write(objects, tmp_path), concatenate(objects)
    assert_as_joined(paths, memory, method=method, **EVERYTHING)
    budget = tightest(paths, method=method, **EVERYTHING)
    assert_as_joined(paths, memory, method=method, max_memory=budget, **EVERYTHING)


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("normalize", RULES)
@pytest.mark.parametrize("forms", [*FORMS, ("CSR", "dense", "CSC")])
def test_normalized_counts(tmp_path, monkeypatch, forms, normalize, dtype, method):
    """Library sizes are over the matched genes, and their median over all cells, of files that are not compared too."""
    without_slack(monkeypatch)
    objects = make_objects(forms, "int32")
    for adata in objects:
        adata.X = adata.X.astype(dtype)
    objects[1] = objects[1][:, :25].copy()
    paths, memory = write(objects, tmp_path), concatenate(objects)
    arguments = {"method": method, "normalize": normalize, "join": "inner"}
    assert_as_joined(paths, memory, **arguments)
    assert_as_joined(paths, memory, max_memory=tightest(paths, **arguments), **arguments)
    few = {"groups": ["plate2"], "reference": "plate0", "mask_var": np.arange(memory.n_vars) % 3 > 0}
    assert_as_joined(paths, memory, "file", **arguments, **few)


@pytest.mark.parametrize("method", TESTS)
def test_row_passes(tmp_path, monkeypatch, method):
    """Sums are kept while the rows of all files pass, those of columns too."""
    without_slack(monkeypatch)
    objects = make_objects(("CSR", "CSC", "dense"), "int32") * 4
    paths, memory = write(objects, tmp_path), concatenate(objects)
    budget = budget_for(paths, "row passes", method=method)
    assert_as_joined(paths, memory, method=method, max_memory=budget)


def _backed(path: Path) -> ad.AnnData:
    return ad.read_h5ad(path, backed="r")


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("form", FORMS)
def test_kinds_of_elements(tmp_path, form, method):
    """Paths, text, backed objects and their views, objects in memory and their views, by position or by name."""
    objects = make_objects(form)
    paths = write(objects, tmp_path)
    cells, genes = np.random.default_rng(0).permutation(120), np.random.default_rng(1).permutation(30)
    views = [objects[0][::2], objects[1][cells], objects[2][:, genes]]
    disk = [_backed(path) for path in paths]
    assert_as_joined([str(paths[0]), disk[1], objects[2]], concatenate(objects), method=method)
    expected = concatenate([view.copy() for view in views])
    assert_as_joined(views, expected, method=method)
    assert_as_joined((disk[0][::2], disk[1][cells], disk[2][:, genes]), expected, method=method)
    named = {"plate0": disk[0][::2], "plate1": views[1], "plate2": disk[2][:, genes]}
    assert_as_joined(named, expected, method=method, split_by="file", min_cells=2)


def test_annotations_and_parameters(tmp_path):
    """The copy has obs and var as anndata.concat makes them, and the names of the files."""
    objects = make_objects()
    objects[0].obs["only here"] = 1
    objects[1].var["tested"] = ~objects[1].var["tested"]
    paths, memory = write(objects, tmp_path), concatenate(objects)
    joined = assert_as_joined(paths, memory, method="wilcoxon", strata="file")
    pd.testing.assert_frame_equal(joined.obs, memory.obs)
    pd.testing.assert_frame_equal(joined.var, memory.var)
    assert list(joined.uns[KEY]["params"]["files"]) == ["plate0", "plate1", "plate2"]
    assert set(joined.uns) == {KEY}
    joined.write_h5ad(tmp_path / "result.h5ad")
    read = ad.read_h5ad(tmp_path / "result.h5ad")
    assert scpdex.get.rank_genes_df(read, "a").equals(scpdex.get.rank_genes_df(joined, "a"))
    assert sc.get.rank_genes_groups_df(read, "only here").shape[0] == 30


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_the_column_of_files(tmp_path, storage):
    """It is what split_by, strata and groupby may name; label calls it otherwise, or leaves it out."""
    objects = make_objects()
    paths, memory = write(objects, tmp_path), concatenate(objects)
    assert_as_joined(paths, memory, groupby="file", method="wilcoxon")
    assert_as_joined(paths, memory, split_by="file", min_cells=2)
    plates = memory.copy()
    plates.obs["plate"] = plates.obs.pop("file")
    arguments = {"strata": "plate", "method": "wilcoxon", "storage": storage}
    joined = scpdex.tl.rank_genes_parallel(paths, "group", label="plate", copy=True, **arguments)
    scpdex.tl.rank_genes_parallel(plates, "group", **arguments)
    expected, result = (scpdex.get.rank_genes_df(adata, None) for adata in (plates, joined))
    assert result.equals(expected)
    assert "file" not in scpdex.tl.rank_genes_parallel(paths, "group", label=None, copy=True).obs


def test_masked_genes(tmp_path):
    """A column of var that is the same in all files, or a bool for each matched gene."""
    objects = make_objects()
    paths, memory = write(objects, tmp_path), concatenate(objects)
    assert_as_joined(paths, memory, mask_var="tested")
    assert_as_joined(paths, memory, mask_var=np.arange(30) < 7, n_genes=3)
    objects[1].var["tested"] = True
    with pytest.raises(
        ValueError, match="mask_var='tested' differs between the objects: pass a bool for each of the 30"
    ):
        scpdex.tl.rank_genes_parallel(objects, "group", mask_var="tested", copy=True)
    for adata in objects:
        adata.raw = ad.AnnData(adata.X, var=pd.DataFrame(index=adata.var_names))
    with pytest.raises(KeyError, match="mask_var='tested' is not a column"):
        scpdex.tl.rank_genes_parallel(objects, "group", mask_var="tested", copy=True)
    for adata in objects:
        del adata.raw
    del objects[1].var["tested"]
    with pytest.raises(KeyError, match="mask_var='tested': var of '1' has no such column, which others have"):
        scpdex.tl.rank_genes_parallel(objects, "group", mask_var="tested", copy=True)
    with pytest.raises(KeyError, match="mask_var='none' is not a column"):
        scpdex.tl.rank_genes_parallel(objects, "group", mask_var="none", copy=True)
    with pytest.raises(ValueError, match="mask_var has 29 values for 30 genes"):
        scpdex.tl.rank_genes_parallel(paths, "group", mask_var=np.ones(29, dtype=bool), copy=True)


@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_layers_and_raw(tmp_path, ending):
    objects = make_objects()
    for adata in objects:
        adata.layers["squares"] = adata.X.power(2)
        adata.raw = adata.copy()
        adata.X = sparse.csr_matrix(adata.shape, dtype=np.float32)
    smaller = [adata[:, :20].copy() for adata in objects]
    paths = write(smaller, tmp_path, ending)
    raw = concatenate([adata.raw.to_adata() for adata in objects])
    joined = scpdex.tl.rank_genes_parallel(paths, "group", copy=True, method="wilcoxon")
    scpdex.tl.rank_genes_parallel(raw, "group", method="wilcoxon")
    assert_same_bits(joined.uns[KEY] | {"params": raw.uns[KEY]["params"]}, raw.uns[KEY])
    assert list(joined.var_names) == list(raw.var_names)
    layers = concatenate(smaller)
    assert_as_joined(paths, layers, layer="squares", use_raw=False, join="inner")


def test_logarithms(tmp_path):
    objects = make_objects()
    for adata in objects:
        adata.X = abs(adata.X)
        adata.uns["log1p"] = {"base": 2}
    paths, memory = write(objects, tmp_path), concatenate(objects)
    memory.uns["log1p"] = {"base": 2}
    joined = assert_as_joined(paths, memory)
    assert joined.uns["log1p"] == {"base": 2}
    objects[1].uns["log1p"] = {"base": None}
    with pytest.raises(ValueError, match=r"'plate0' are logs to base 2, those of 'plate1' to base 2.71828"):
        scpdex.tl.rank_genes_parallel({"plate0": paths[0], "plate1": objects[1]}, "group", copy=True)
    same = [objects[1], objects[2]]
    for adata, base in zip(same, (None, np.e), strict=True):
        adata.uns["log1p"] = {"base": base}
    scpdex.tl.rank_genes_parallel(same, "group", copy=True, min_cells=2)
    objects[2].uns["log1p"] = {"base": 2}
    objects[1].uns["log1p"] = {"base": 1}
    with pytest.raises(ValueError, match=r"'1': adata\.uns\['log1p'\]\['base'\] is 1, which is not the base"):
        scpdex.tl.rank_genes_parallel(objects, "group", copy=True)
    scpdex.tl.rank_genes_parallel([abs_counts(x) for x in objects], "group", copy=True, normalize=1e4)


def abs_counts(adata: ad.AnnData) -> ad.AnnData:
    counts = adata.copy()
    counts.X = counts.X.ceil()
    return counts


def test_one_file_and_files_without_compared_cells(tmp_path):
    objects = make_objects()
    paths = write(objects, tmp_path)
    assert_as_joined(paths[:1], concatenate(objects[:1]))
    assert_as_joined(paths, concatenate(objects), groups=["a"], reference="e", min_cells=2)
    objects[0].obs["group"] = pd.Categorical([None] * 300, categories=["a"])
    assert_as_joined(objects, concatenate(objects), reference="b")


def _lose_genes(objects: list[Any]) -> list[Any]:
    return [objects[0], objects[1][:, 3:].copy(), objects[2]]


def _rename_gene(objects: list[Any]) -> list[Any]:
    objects[2].var_names = ["other", *objects[2].var_names[1:]]
    return objects


def _repeat_gene(objects: list[Any]) -> list[Any]:
    objects[1].var_names = ["gene3", *objects[1].var_names[1:]]
    return objects


def _drop_column(objects: list[Any]) -> list[Any]:
    del objects[1].obs["group"]
    return objects


def _add_column(objects: list[Any]) -> list[Any]:
    objects[1].obs["file"] = "x"
    return objects


def _add_raw(objects: list[Any]) -> list[Any]:
    objects[1].raw = objects[1].copy()
    return objects


def _add_layer(objects: list[Any]) -> list[Any]:
    objects[1].layers["counts"] = objects[1].X
    return objects


def _without_x(objects: list[Any]) -> list[Any]:
    return [objects[0], ad.AnnData(obs=objects[1].obs, var=objects[1].var)]


def _of_complex(objects: list[Any]) -> list[Any]:
    objects[1].X = objects[1].X.astype(complex)
    return objects


def _with_nan(objects: list[Any]) -> list[Any]:
    objects[2].X.data[5] = np.nan
    return objects


REFUSALS: dict[str, tuple[Callable[[list[Any]], Any], dict[str, Any], type[Exception], str]] = {
    "no copy": (list, {"copy": False}, ValueError, r"adata is a list, which has no uns.*copy=True"),
    "missing genes": (_lose_genes, {}, ValueError, r"'1' does not have the genes of '0': it lacks 3 \('gene.*'inner'"),
    "other genes": (_rename_gene, {}, ValueError, r"'2' does.*lacks 1 \('gene.*'\) and has 1 more \('other'\)"),
    "repeated genes": (_repeat_gene, {}, ValueError, r"'1' has several genes named 'gene3'"),
    "repeated genes, inner": (_repeat_gene, {"join": "inner"}, ValueError, r"'1' has several genes named 'gene3'"),
    "no column in one": (_drop_column, {}, KeyError, r"obs of '1' has no column 'group', which others have"),
    "no column in any": (list, {"split_by": "donor"}, KeyError, r"split_by='donor' names no column"),
    "a column of that name": (_add_column, {}, ValueError, r"obs of '1' has a column 'file' already: pass label="),
    "raw in one": (_add_raw, {}, ValueError, r"'0', '2' lacks raw, which others have: pass use_raw=False"),
    "raw in none": (list, {"use_raw": True}, ValueError, r"use_raw=True.*no object has raw"),
    "layer in one": (_add_layer, {"layer": "counts"}, KeyError, r"'0', '2' lacks layer 'counts', which others have"),
    "layer in none": (list, {"layer": "counts"}, KeyError, r"'0': layer='counts' is not in adata.layers"),
    "no X in one": (_without_x, {}, ValueError, r"'1': adata\.X is None"),
    "a dtype": (_of_complex, {}, TypeError, r"'1': adata\.X has dtype complex"),
    "NaN": (_with_nan, {}, ValueError, r"adata\.X of 3 objects holds 1 NaN or infinite values"),
    "dask": (lambda x: [x[0], in_chunks(x[1], 50, -1)], {}, TypeError, r"'1': adata\.X is a dask array"),
    "no element": (lambda _: [], {}, ValueError, "adata is empty"),
    "a mapped path": (lambda _: map(str, ["a"]), {}, TypeError, r"adata is a map; .*Pass list\(adata\)"),
    "an object twice": (lambda x: [x[0], x[1], x[0]], {}, ValueError, r"adata lists 'the AnnData at .*' twice"),
    "a name twice": (lambda x: {1: x[0], "1": x[1]}, {}, ValueError, r"several objects named '1': pass a dict"),
    "no cells": (lambda x: [x[0][:0].copy()], {}, ValueError, "has no cells"),
    "no list": (lambda _: 3, {}, TypeError, "adata is a int; pass an AnnData, or a list"),
    "one path": (lambda _: "a.h5ad", {}, TypeError, r"adata is a str.*To rank one file, pass \['a.h5ad'\]"),
    "another element": (lambda x: [x[0], x[1].X], {}, TypeError, "adata lists a csr_matrix; pass paths"),
    "no such file": (lambda x: [x[0], "nowhere.h5ad"], {}, FileNotFoundError, "no file 'nowhere.h5ad'"),
    "an empty path": (lambda x: [x[0], ""], {}, OSError, "'' could not be read as an h5ad file or zarr store"),
    "join": (list, {"join": "outer"}, ValueError, "join='outer' is not valid: pass 'exact' or 'inner'"),
    "label": (list, {"label": 3}, TypeError, "label=3 is not the name of a column"),
    "logreg": (list, {"method": "logreg"}, TypeError, "method='logreg' fits all cells at once: anndata"),
    "low_memory": (list, {"low_memory": False}, ValueError, "low_memory=False"),
    "an AnnData": (lambda x: x[0], {"join": "inner"}, ValueError, "join='inner' is for a list of files"),
    "label of an AnnData": (lambda x: x[0], {"label": None}, ValueError, "label=None is for a list of files"),
}


@pytest.mark.parametrize(("change", "arguments", "error", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refused(change, arguments, error, message):
    given = change(make_objects())
    with pytest.raises(error, match=message):
        scpdex.tl.rank_genes_parallel(given, "group", **({"copy": True} | arguments))


def test_common_genes(tmp_path):
    """In the order of the first file."""
    objects = _rename_gene(_lose_genes(make_objects()))
    paths, memory = write(objects, tmp_path), concatenate(objects)
    joined = assert_as_joined(paths, memory, join="inner", method="wilcoxon")
    assert list(joined.var_names) == [name for name in objects[0].var_names if name in set(memory.var_names)]
    objects[1].var_names = [f"x{i}" for i in range(27)]
    with pytest.raises(ValueError, match="no gene is in all of"):
        scpdex.tl.rank_genes_parallel(objects, "group", join="inner", copy=True)


def test_names_of_files(tmp_path):
    """Without folder and ending, unless these repeat; the results of levels can be written. A file may not repeat."""
    objects = make_objects()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (first,), (second,) = (write([x], tmp_path / folder) for x, folder in zip(objects, "ab", strict=False))
    arguments = {"copy": True, "split_by": "file", "storage": "varm", "min_cells": 2}
    joined = scpdex.tl.rank_genes_parallel([first, second], "group", **arguments)
    assert list(joined.obs["file"].cat.categories) == ["a_plate0", "b_plate0"]
    joined.write_h5ad(tmp_path / "result.h5ad")
    assert list(ad.read_h5ad(tmp_path / "result.h5ad").uns[KEY]["splits"]) == ["a_plate0", "b_plate0"]
    (tmp_path / "link.h5ad").symlink_to(first)
    for other in (str(first), tmp_path / "b" / ".." / "a" / "plate0.h5ad", _backed(first), tmp_path / "link.h5ad"):
        with pytest.raises(ValueError, match=r"lists .*plate0\.h5ad' twice"):
            scpdex.tl.rank_genes_parallel([first, other], "group", copy=True)
    halves = _backed(first)[:150], _backed(first)[150:]
    assert_as_joined(halves, concatenate([objects[0][:150], objects[0][150:]]))


def test_a_path_that_is_named_like_a_position(tmp_path):
    objects = make_objects()
    write(objects[:1], tmp_path)[0].rename(tmp_path / "1.h5ad")
    joined = scpdex.tl.rank_genes_parallel([tmp_path / "1.h5ad", objects[1]], "group", copy=True)
    assert joined.obs["file"].value_counts().to_dict() == {f"{tmp_path.name}_1": 300, "1": 120}


@pytest.mark.parametrize("form", FORMS)
def test_genes_that_are_named_by_numbers(form):
    """anndata makes them text where it makes objects, and leaves them where users have set them."""
    objects = make_objects(form)
    for adata in objects:
        adata.var.index = pd.Index([int(name[4:]) for name in adata.var_names])
    memory = concatenate([ad.AnnData(x.X, obs=x.obs, var=x.var.set_axis(x.var_names.astype(str))) for x in objects])
    assert_as_joined(objects, memory, method="wilcoxon")
    assert_as_joined(objects, memory, method="wilcoxon", mask_var=np.arange(30) == 5)


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("form", FORMS)
def test_genes_whose_first_and_last_are_in_place(form, method):
    """They look like neighbours in their order, and are not."""
    objects = make_objects(form)
    genes = [f"gene{i}" for i in (0, 3, 1, 2, *range(4, 30))]
    objects[1] = objects[1][:, genes].copy()
    assert_as_joined(objects, concatenate(objects), method=method)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_without_cells(tmp_path, form):
    """A plate of which no cell is left adds none."""
    objects = make_objects(form)
    objects[1] = objects[1][:0].copy()
    paths = write(objects, tmp_path)
    joined = assert_as_joined(paths, concatenate(objects), method="wilcoxon")
    assert list(joined.obs["file"].cat.categories) == ["plate0", "plate1", "plate2"]


@pytest.mark.filterwarnings("error:Observation names")
def test_repeated_barcodes_raise_no_warning(tmp_path):
    """Every plate has the same barcodes."""
    objects = make_objects()
    for adata in objects:
        adata.obs_names = [f"cell{i}" for i in range(adata.n_obs)]
    joined = scpdex.tl.rank_genes_parallel(write(objects, tmp_path), "group", copy=True)
    assert list(joined.obs_names) == [name for adata in objects for name in adata.obs_names]


def test_files_of_before_anndata_0_7(tmp_path):
    """obs and var are tables of HDF5 in them."""
    objects = make_objects("dense")
    path, old = write(objects[:1], tmp_path)[0], tmp_path / "old.h5ad"
    with h5py.File(path) as new, h5py.File(old, "w") as file:
        file["X"] = new["X"][:]
        obs = objects[0].obs.astype(str)
        file["obs"] = np.rec.fromarrays(
            [obs.index.to_numpy().astype("S"), obs["group"].to_numpy().astype("S")], names=["index", "group"]
        )
        file["var"] = np.rec.fromarrays([objects[0].var_names.to_numpy().astype("S")], names=["index"])
    with pytest.warns(Warning, match=r"moved|encoding|old|Element"):
        joined = scpdex.tl.rank_genes_parallel([old, objects[1]], "group", copy=True, groups=["a", "b"])
    expected = scpdex.tl.rank_genes_parallel(objects[:2], "group", copy=True, groups=["a", "b"])
    np.testing.assert_allclose(joined.uns[KEY]["scores"]["a"], expected.uns[KEY]["scores"]["a"], rtol=0.2)
    with h5py.File(old, "r+"):
        pass


def test_encodings_of_later_versions(tmp_path):
    """The file is named, whatever anndata raises."""
    path = write(make_objects()[:1], tmp_path)[0]
    with h5py.File(path, "r+") as file:
        file["obs/group"].attrs["encoding-version"] = "9.9.9"
    with pytest.raises(OSError, match=r"plate0\.h5ad' could not be read.*The error was"):
        scpdex.tl.rank_genes_parallel([path], "group", copy=True)


@pytest.mark.parametrize("form", FORMS)
def test_integers_that_would_tie(tmp_path, form):
    """As in one file: integers that float64 cannot hold are refused before they become float64."""
    objects = make_objects(form, "int64")
    objects[1].X = objects[1].X.astype(np.float32)
    x = objects[0].X if form == "dense" else objects[0].X.data
    x[x > 2] += 1 << 60
    for given in (objects, write(objects, tmp_path)):
        with pytest.raises(ValueError, match=r"adata\.X.* holds integers beyond 2\*\*53"):
            scpdex.tl.rank_genes_parallel(given, "group", copy=True, method="wilcoxon")


def test_files_are_closed(tmp_path):
    """After the call, and after one that fails: they can be opened for writing."""
    paths = write(make_objects(), tmp_path)
    scpdex.tl.rank_genes_parallel(paths, "group", copy=True)
    scpdex.get.plan(paths, "group")
    for arguments in ({"groups": ["x"]}, {"method": "none"}, {"max_memory": 1}):
        with pytest.raises(ValueError, match=r"'x'|'none'|too little"):
            scpdex.tl.rank_genes_parallel(paths, "group", copy=True, **arguments)
    for path in paths:
        with h5py.File(path, "r+") as file:
            file["X/data"][0] = 1


@pytest.mark.parametrize("content", [b"no file of HDF5", None])
def test_files_of_another_kind(tmp_path, content):
    path = tmp_path / "other.h5ad"
    if content is None:
        with h5py.File(path, "w") as file:
            file["X"] = np.ones((3, 3))
    else:
        path.write_bytes(content)
    with pytest.raises(OSError, match=r"other\.h5ad' could not be read as an h5ad file or zarr store"):
        scpdex.tl.rank_genes_parallel([path], "group", copy=True)


def test_a_file_that_is_changed_or_cut_short(tmp_path, monkeypatch):
    """The message names the file."""
    paths = write(make_objects(), tmp_path)
    with h5py.File(paths[1], "r+") as file:
        indptr = file["X/indptr"][:]
        indptr[-1] += 5
        file["X/indptr"][:] = indptr
    with pytest.raises(ValueError, match=r"adata\.X of 'plate1' in an HDF5 file cannot be right"):
        scpdex.tl.rank_genes_parallel(paths, "group", copy=True)
    state = {"calls": 0}

    def changing(_: Any) -> tuple[int, int]:
        state["calls"] += 1
        return state["calls"], 0

    paths = write(make_objects(), tmp_path)
    monkeypatch.setattr("scpdex.matrix.chunked._stored_matrix.StoredMatrix.read_file_state", changing)
    with pytest.raises(ValueError, match=r"of 'plate0'.*it was changed while it was read"):
        scpdex.tl.rank_genes_parallel(paths, "group", copy=True)


@pytest.mark.skipif(ZARR_FORMAT == 2, reason="anndata writes format 2 only")
def test_format_2_of_zarr(tmp_path):
    """Stores of the format before anndata's default."""
    objects = make_objects()
    path = tmp_path / "other.zarr"
    import zarr
    from anndata.io import write_elem

    group = zarr.open_group(path, mode="w", zarr_format=2)
    write_elem(group, "/", objects[1])
    assert_as_joined({"plate0": objects[0], "plate1": path}, concatenate(objects[:2]))
