"""Data on disk, or read as if they were: the bits of the same data in memory."""

import hashlib
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import scanpy as sc
from anndata.io import sparse_dataset
from oracles import assert_same_bits, by_scpdex
from scipy import sparse
from stored import EVERYTHING, FORMS, TESTS, labelled, on_disk, tightest, values_of, without_slack

import scpdex


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_same_bits(tmp_path, monkeypatch, store, form, dtype, method, reference):
    """As in memory, in one block and in several, with scratch where the plan takes some."""
    without_slack(monkeypatch)
    memory = labelled(FORMS[form](values_of(dtype)))
    disk = on_disk(memory, tmp_path, store)
    arguments = {"method": method, "reference": reference, **EVERYTHING}
    expected = by_scpdex(memory, "group", **arguments)
    assert_same_bits(by_scpdex(disk, "group", **arguments), expected)
    least = tightest(disk, **arguments)
    for n_jobs, budget in ((1, least), (3, 2 * least)):
        assert_same_bits(by_scpdex(disk, "group", n_jobs=n_jobs, max_memory=budget, **arguments), expected)
    plan = scpdex.get.plan(disk, "group", max_memory=least, **arguments)
    assert len(plan.blocks) > 1 or plan.strategy == "row passes"
    if form == "CSR" and dtype == "float32" and method == "wilcoxon":
        assert plan.strategy == "row buckets"
        assert plan.scratch > plan.max_bucket_bytes


VIEWS = {
    "a mask of cells": (np.arange(300) % 3 > 0, slice(None)),
    "runs of cells and genes": (slice(50, 250), slice(5, 25)),
    "far cells": (np.r_[0:5, 140:200, 295:300], slice(None)),
    "another order": (np.random.default_rng(0).permutation(300), np.arange(30)[::-1]),
    "cells twice": (np.r_[3:200, 100:300], slice(None)),
}


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize(("cells", "genes"), VIEWS.values(), ids=VIEWS.keys())
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_views(tmp_path, monkeypatch, store, form, cells, genes, method):
    """Row 21: a view of data on disk is read through its indices."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.matrix.chunked._row_stream._MAX_GAP", 100)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 1000)
    memory = labelled(FORMS[form](values_of("float32")))
    view = on_disk(memory, tmp_path, store)[cells, genes]
    expected = by_scpdex(memory[cells, genes].copy(), "group", method=method, **EVERYTHING)
    result = scpdex.tl.rank_genes_parallel(view, "group", method=method, copy=True, **EVERYTHING)
    assert_same_bits(result.uns["rank_genes_groups"], expected)
    assert result.X is None
    assert result.obs.equals(view.obs)
    with pytest.raises(ValueError, match=r"view of data on disk.*Pass copy=True"):
        scpdex.tl.rank_genes_parallel(view, "group")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_the_file_stays_as_it_is(tmp_path, form, mode):
    """X, raw and masked genes, opened for reading and for writing: not a byte is written."""
    memory = labelled(FORMS[form](values_of("float32")))
    memory.raw = memory.copy()
    disk = on_disk(memory[:, ::2].copy(), tmp_path, "h5ad", mode)
    path = Path(disk.filename)
    # HDF5 marks files that are open for writing.
    disk.file.close()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    disk = ad.read_h5ad(path, backed=mode)
    mask = np.arange(30) % 7 > 0
    for arguments in ({"use_raw": False}, {}, {"mask_var": mask}):
        ours = by_scpdex(disk, "group", method="wilcoxon", **arguments)
        assert_same_bits(ours, by_scpdex(disk.to_memory(), "group", method="wilcoxon", **arguments))
    assert ours["names"].shape == (mask.sum(),)
    view = disk[100:200]
    ours = scpdex.tl.rank_genes_parallel(view, "group", copy=True).uns["rank_genes_groups"]
    assert ours["names"].shape == (30,)
    assert_same_bits(ours, by_scpdex(memory[100:200], "group"))
    disk.file.close()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("form", FORMS)
def test_layers_on_disk(tmp_path, form):
    """A layer may be on disk while X is in memory; copy=True then leaves out the matrices."""
    memory = labelled(FORMS[form](values_of("float32")))
    memory.layers["counts"] = memory.X
    path = tmp_path / "x.h5ad"
    memory.write_h5ad(path)
    with h5py.File(path) as file:
        stored = file["layers/counts"]
        adata = labelled(np.zeros(memory.shape, dtype=np.float32))
        adata.layers["counts"] = stored if form == "dense" else sparse_dataset(stored)
        ours = by_scpdex(adata, "group", layer="counts", method="wilcoxon")
        assert_same_bits(ours, by_scpdex(memory, "group", method="wilcoxon"))


@pytest.mark.parametrize("fault", ["explicit zeros", "unsorted", "repeated"])
@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("method", TESTS)
def test_matrices_that_are_not_canonical(tmp_path, form, fault, method):
    """Rows 2 and 5: on disk as in memory, and the user's data in memory untouched."""
    rng = np.random.default_rng(3)
    major, minor = (300, 30) if form == "csr" else (30, 300)
    indptr = np.arange(0, major * 8 + 1, 8)
    indices = np.stack([rng.choice(minor, 8, replace=fault == "repeated") for _ in range(major)])
    data = rng.choice([0.0, 0.5, 1, 2], major * 8)
    if fault == "explicit zeros":
        indices.sort(axis=1)
    kind = getattr(sparse, f"{form}_matrix")
    matrix = kind((data, indices.ravel(), indptr), shape=(300, 30))
    plain = labelled(matrix.toarray())
    disk = on_disk(labelled(matrix), tmp_path, "h5ad")
    arguments = {"method": method, **EVERYTHING}
    expected = by_scpdex(plain, "group", **arguments)
    assert_same_bits(by_scpdex(disk, "group", **arguments), expected)
    before = matrix.copy()
    assert_same_bits(by_scpdex(labelled(matrix), "group", low_memory=True, **arguments), expected)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(matrix, part), getattr(before, part))


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.uint32])
def test_indices_that_32_bits_would_hide(tmp_path, dtype):
    """An index that is wrong by 2**32 is outside the matrix, whatever dtype rows are loaded in."""
    adata = labelled(FORMS["CSR"](values_of("float32", 20_000)))
    adata.write_h5ad(tmp_path / "x.h5ad")
    # Between the places that are looked at before the work.
    place = adata.X.indptr[1_250]
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        indices, attributes = file["X/indices"][:].astype(dtype), dict(file["X/indices"].attrs)
        indices[place] += dtype(1 << 31) if dtype == np.uint32 else dtype(1 << 32)
        del file["X/indices"]
        file["X"].create_dataset("indices", data=indices, chunks=(10_000,)).attrs.update(attributes)
    disk = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    with pytest.raises(ValueError, match="it has indices outside its 30 columns"):
        by_scpdex(disk, "group", method="wilcoxon")


@pytest.mark.parametrize("normalize", [None, 1e4])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, ">i2"])
def test_repeated_columns_are_loaded_in_parts(tmp_path, monkeypatch, dtype, normalize):
    """Parts whose values become fewer make room for none, and those behind them move up."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 500)
    rng = np.random.default_rng(4)
    indices = np.stack([rng.choice(30, 8, replace=i % 5 == 0) for i in range(300)])
    counts = rng.integers(0, 9, indices.size).astype(dtype)
    matrix = sparse.csr_matrix((counts, indices.ravel(), np.arange(0, indices.size + 1, 8)), shape=(300, 30))
    disk = on_disk(labelled(matrix), tmp_path, "h5ad")
    arguments = {"method": "wilcoxon", "normalize": normalize}
    assert scpdex.get.plan(disk, "group", **arguments).strategy == "loaded rows"
    expected = by_scpdex(labelled(matrix.toarray().astype(np.float32)), "group", **arguments)
    assert_same_bits(by_scpdex(disk, "group", **arguments), expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", TESTS)
def test_not_finite(tmp_path, monkeypatch, form, method):
    """Row 3: found while reading, by every strategy."""
    without_slack(monkeypatch)
    values = values_of("float32")
    values[3, 7] = values[4, 4] = np.nan
    values[8, 4] = np.inf
    disk = on_disk(labelled(FORMS[form](values)), tmp_path, "h5ad")
    for budget in (None, tightest(disk, method=method), 2 * tightest(disk, method=method)):
        with pytest.raises(ValueError, match=r"adata\.X holds 3 NaN or infinite values.*'gene4'"):
            by_scpdex(disk, "group", method=method, max_memory=budget)


@pytest.mark.parametrize("store", ["h5ad", "zarr"])
@pytest.mark.parametrize("form", FORMS)
def test_refused(tmp_path, store, form):
    disk = on_disk(labelled(FORMS[form](values_of("float32"))), tmp_path, store)
    with pytest.raises(ValueError, match=r"low_memory=False, but adata.X is on disk: .* adata.to_memory\(\)"):
        scpdex.tl.rank_genes_parallel(disk, "group", low_memory=False)
    with pytest.raises(TypeError, match=r"method='logreg' .* needs them in memory, but adata.X is on disk"):
        scpdex.tl.rank_genes_parallel(disk, "group", method="logreg")
    with pytest.raises(ValueError, match="there is no plan"):
        scpdex.get.plan(disk, "group", method="logreg")
    with pytest.raises(ValueError, match="max_memory='much' is not valid"):
        scpdex.tl.rank_genes_parallel(disk, "group", max_memory="much")
    with pytest.raises(ValueError, match="gene_chunk_size=0 is not valid"):
        scpdex.tl.rank_genes_parallel(disk, "group", gene_chunk_size=0)
    assert "rank_genes_groups" not in disk.uns


def test_scanpy_reads_the_result(tmp_path, messages):
    disk = on_disk(labelled(sparse.csr_matrix(values_of("float32"))), tmp_path, "h5ad")
    scpdex.tl.rank_genes_parallel(disk, "group", method="wilcoxon")
    assert len(sc.get.rank_genes_groups_df(disk, "a")) == 30
    sc.settings.verbosity = 2
    messages()
    copy = scpdex.tl.rank_genes_parallel(disk, "group", copy=True, key_added="other")
    assert "and no X: the matrix stays on disk" in messages()
    assert copy.X is None
    assert list(copy.uns) == ["rank_genes_groups", "other"]
    assert "other" not in disk.uns


def test_layers_of_a_backed_object(tmp_path):
    """These are in memory; a copy is one without X all the same, and a view needs it."""
    memory = labelled(sparse.csr_matrix(values_of("float32")))
    memory.layers["log"] = memory.X
    disk = on_disk(memory, tmp_path, "h5ad")
    expected = by_scpdex(memory, "group", layer="log")
    assert_same_bits(by_scpdex(disk, "group", layer="log"), expected)
    copy = scpdex.tl.rank_genes_parallel(disk, "group", layer="log", copy=True)
    assert_same_bits(copy.uns["rank_genes_groups"], expected)
    with pytest.raises(ValueError, match="Pass copy=True"):
        scpdex.tl.rank_genes_parallel(disk[:100], "group", layer="log")
