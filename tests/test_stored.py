"""Data on disk, or read as if they were: the bits of the same data in memory, within any budget."""

import hashlib
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import anndata as ad
import h5py
import numpy as np
import pytest
import scanpy as sc
from anndata.io import sparse_dataset
from oracles import assert_same_bits, by_scpdex
from packaging.version import Version
from scipy import sparse
from stored import FORMS, TESTS, budget_for, labelled, on_disk, tightest, values_of, without_slack

import scpdex

SCANPY_1_12 = Version(version("scanpy")) >= Version("1.12")
EVERYTHING = {"tie_correct": True, "pts": True}


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
        assert plan.scratch > plan.kept


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("strategy", ["row buckets", "row passes"])
@pytest.mark.parametrize("form", ["CSR", "dense"])
@pytest.mark.parametrize("options", [{}, {"mean_in_log_space": False}, {"tie_correct": True}], ids=str)
def test_row_strategies(monkeypatch, form, strategy, method, reference, options):
    """Counts in rows, sorted into genes and passing by, in pieces of a few rows."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 100)
    monkeypatch.setattr("scpdex.matrix.chunked._stored_matrix._chunk_shape", lambda _: (1, 10_000))
    monkeypatch.setattr("scpdex.plan.make_plan._MOST_READS", 0.5)
    passes = strategy == "row passes"
    if not passes:
        monkeypatch.setattr("scpdex.plan.make_plan._can_pass", lambda *_: False)
    adata = labelled(FORMS[form](values_of("float32" if method == "t-test" else "int16")))
    arguments = {"method": method, "reference": reference, "pts": True, **options}
    budget = budget_for(adata, strategy, low_memory=True, **arguments)
    plan = scpdex.get.plan(adata, "group", low_memory=True, max_memory=budget, **arguments)
    assert passes or plan.scratch
    expected = by_scpdex(adata, "group", **arguments)
    for factor in (1, 1.05):
        ours = by_scpdex(adata, "group", low_memory=True, max_memory=int(factor * budget), **arguments)
        assert_same_bits(ours, expected)


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("genes", [1, 7, 1000])
def test_chunk_sizes(storage, method, genes):
    """Row 16: every chunk size, every storage, in memory and read as if it were not."""
    adata = labelled(storage(values_of("float64", 60, 12)))
    arguments = {"method": method, **EVERYTHING}
    expected = by_scpdex(adata, "group", **arguments)
    assert_same_bits(by_scpdex(adata, "group", gene_chunk_size=genes, **arguments), expected)
    assert_same_bits(by_scpdex(adata, "group", gene_chunk_size=genes, low_memory=True, **arguments), expected)


def test_constant_groups_take_a_third_pass(monkeypatch):
    """A mean that was rounded shows no spread that is not there, as in memory."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 100)
    values = values_of("float64")
    labels = labelled(values).obs["group"]
    values[labels == "a", 3] = 0.1
    values[labels == "c", 5] = 1e7 + 0.1
    adata = labelled(sparse.csr_matrix(values))
    budget = budget_for(adata, "row passes", low_memory=True)
    seen = []
    bar = nullcontext(SimpleNamespace(update=seen.append))
    monkeypatch.setattr("scpdex.run._run_plan.progress_bar", lambda *_, **__: bar)
    ours = by_scpdex(adata, "group", low_memory=True, max_memory=budget)
    assert sum(seen) > 2 * (labels.size)
    assert_same_bits(ours, by_scpdex(adata, "group"))


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("odd", [0.5, -1.0, 1e9], ids=["a fraction", "a negative number", "a high number"])
def test_what_is_no_count_after_all(monkeypatch, messages, reference, odd):
    """Tallies give way to buckets when a value turns up that they cannot hold."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 100)
    monkeypatch.setattr("scpdex.matrix.chunked._chunked_source._PROBE", 100)
    values = values_of("int32").astype(np.float32)
    values[-1, 7] = odd
    adata = labelled(sparse.csr_matrix(values))
    arguments = {"method": "wilcoxon", "reference": reference, "tie_correct": True}
    budget = budget_for(adata, "row passes", low_memory=True, **arguments)
    sc.settings.verbosity = 2
    ours = by_scpdex(adata, "group", low_memory=True, max_memory=budget, **arguments)
    assert "cannot be tallied" in messages()
    assert_same_bits(ours, by_scpdex(adata, "group", **arguments))


@pytest.mark.parametrize("store", ["h5ad", "zarr"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("dtype", "method"),
    [("float32", "wilcoxon"), ("float64", "t-test"), ("int64", "wilcoxon"), ("uint8", "t-test")],
)
def test_normalize(tmp_path, store, form, dtype, method):
    """The bits of scanpy's normalize_total and log1p, in memory and on disk, with genes left out and cells empty."""
    rng = np.random.default_rng(5)
    values = rng.poisson(rng.gamma(0.5, 1.5, (300, 40))).astype(dtype)
    values[7] = 0
    counts = labelled(FORMS[form](values))
    # Before 1.12 scanpy divided integers by float64.
    as_floats = np.dtype(dtype).kind != "f" and not SCANPY_1_12
    logged = labelled(FORMS[form](values.astype(np.float32 if as_floats else dtype)))
    sc.pp.normalize_total(logged, target_sum=1e4)
    sc.pp.log1p(logged)
    mask = np.arange(40) % 5 != 0
    for arguments in ({}, {"mask_var": mask, "mean_in_log_space": False}):
        expected = by_scpdex(logged, "group", method=method, tie_correct=True, **arguments)
        for adata in (counts, on_disk(counts, tmp_path, store)):
            ours = by_scpdex(adata, "group", method=method, tie_correct=True, normalize=1e4, **arguments)
            assert_same_bits(ours, expected)
            assert ours["params"]["normalize"] == 1e4
    view = on_disk(counts, tmp_path, store)[50:250]
    expected = by_scpdex(logged[50:250].copy(), "group", method=method)
    scpdex_result = scpdex.tl.rank_genes_parallel(view, "group", method=method, normalize=1e4, copy=True)
    assert_same_bits(scpdex_result.uns["rank_genes_groups"], expected)


@pytest.mark.skipif(not SCANPY_1_12, reason="scanpy added such values up otherwise")
@pytest.mark.parametrize("form", FORMS)
def test_normalize_fractions(form):
    """Values that are no whole numbers are added up in the order of scanpy 1.12."""
    values = np.random.default_rng(6).gamma(0.3, 3, (300, 400)).astype(np.float32)
    values[values < 0.5] = 0
    logged = labelled(FORMS[form](values.copy()))
    sc.pp.normalize_total(logged, target_sum=1e4)
    sc.pp.log1p(logged)
    ours = by_scpdex(labelled(FORMS[form](values)), "group", normalize=1e4, method="wilcoxon")
    assert_same_bits(ours, by_scpdex(logged, "group", method="wilcoxon"))


@pytest.mark.parametrize("normalize", [0, -1, True, "1e4", np.nan, np.inf])
def test_normalize_refuses(normalize):
    with pytest.raises(ValueError, match=r"normalize=.* is not valid: pass the sum"):
        by_scpdex(labelled(values_of("int32")), "group", normalize=normalize)


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
    monkeypatch.setattr("scpdex.matrix.chunked._row_stream._GAP", 100)
    monkeypatch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 1000)
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


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("form", FORMS)
def test_top_genes(tmp_path, monkeypatch, form, reference):
    """Statistics that do not fit the budget wait in scratch until genes are ordered; n_genes of each are kept."""
    without_slack(monkeypatch)
    values = values_of("float32", 4000, 200)
    adata = labelled(FORMS[form](values))
    adata.obs["group"] = np.resize([f"group{i}" for i in range(1000)], 4000)
    reference = "group7" if reference == "b" else reference
    arguments = {"method": "wilcoxon", "reference": reference, "n_genes": 5}
    expected = by_scpdex(adata, "group", **arguments)
    disk = on_disk(adata, tmp_path, "h5ad") if reference == "rest" else adata
    budget = 2 * tightest(disk, low_memory=True, **arguments)
    plan = scpdex.get.plan(disk, "group", low_memory=True, max_memory=budget, **arguments)
    assert plan.spill_table
    assert plan.scratch >= 20 * 999 * 200
    ours = by_scpdex(disk, "group", low_memory=True, max_memory=budget, **arguments)
    assert ours["names"].shape == (5,)
    assert_same_bits(ours, expected)


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


@pytest.mark.parametrize("form", FORMS)
def test_normalize_by_a_number_of_numpy(form):
    """numpy's float64 does not make float32 values wider."""
    adata = labelled(FORMS[form](values_of("int32").astype(np.float32)))
    expected = by_scpdex(adata, "group", method="wilcoxon", normalize=1e4)
    assert_same_bits(by_scpdex(adata, "group", method="wilcoxon", normalize=np.float64(1e4)), expected)


def test_normalize_high_counts():
    """Integers become float32 before they are added up, in columns as in rows."""
    values = values_of("int64")
    values[::7] *= (1 << 24) + 1
    results = [
        by_scpdex(labelled(form(values)), "group", method="wilcoxon", normalize=1e4)
        for name, form in FORMS.items()
        if name != "dense"
    ]
    assert_same_bits(*results)


@pytest.mark.parametrize("reference", ["rest", "b"])
def test_infinite_counts(monkeypatch, reference):
    """Row 3: a tally has no place for infinity."""
    without_slack(monkeypatch)
    values = values_of("int32").astype(np.float32)
    adata = labelled(sparse.csr_matrix(values))
    arguments = {"method": "wilcoxon", "reference": reference, "low_memory": True}
    budget = budget_for(adata, "row passes", **arguments)
    values[0, -1] = values[150, 3] = np.inf
    adata = labelled(sparse.csr_matrix(values))
    monkeypatch.setattr("scpdex.matrix.chunked._row_stream._PROBES", 1)
    monkeypatch.setattr("scpdex.matrix.chunked._chunked_source._PROBE", 1)
    with pytest.raises(ValueError, match=r"adata\.X holds 2 NaN or infinite values.*'gene3'"):
        by_scpdex(adata, "group", max_memory=budget, **arguments)


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


def test_normalizing_logs_is_told(messages):
    """As scanpy does, for what looks like log-transformed data."""
    adata = labelled(sparse.csr_matrix(np.log1p(values_of("int32")).astype(np.float32)))
    by_scpdex(adata, "group", normalize=1e4)
    assert "normalize=10000.0 expects raw counts, and adata.X has values that are no whole numbers" in messages()
    by_scpdex(labelled(sparse.csr_matrix(values_of("int32"))), "group", normalize=1e4)
    assert not messages()


def test_a_plan_takes_the_arguments_of_the_call(tmp_path):
    disk = on_disk(labelled(sparse.csr_matrix(values_of("float32"))), tmp_path, "h5ad")
    plan = scpdex.get.plan(disk, "group", method="wilcoxon", key_added="other", copy=True, show_progress=True)
    assert plan.strategy == "loaded rows"
    with pytest.raises(TypeError, match=r"plan\(\) got an unexpected keyword argument 'maxmemory'"):
        scpdex.get.plan(disk, "group", maxmemory="1GB")
