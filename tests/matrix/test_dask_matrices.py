"""dask arrays on this machine's schedulers: the ranks of the same data in memory, whatever they hold."""

import subprocess
import sys
from collections import Counter

import dask
import numpy as np
import pytest
import scanpy as sc
from anndata.experimental import read_lazy
from counts import RULES, counts_of, normalized
from hypothesis import given
from hypothesis import strategies as st
from oracles import by_scpdex
from scipy import sparse
from stored import (
    EVERYTHING,
    FORMS,
    RAGGED,
    TESTS,
    assert_same_tests,
    in_chunks,
    labelled,
    values_of,
)
from testing.fast_array_utils import SUPPORTED_TYPES, Flags

import scpdex

CHUNKINGS = {
    "one": ("threads", (-1, -1)),
    "rows": ("synchronous", (50, -1)),
    "ragged": ("threads", (RAGGED, -1)),
    "both": ("synchronous", (RAGGED, (7, 1, 22))),
    "columns": ("threads", (-1, 4)),
}
DASK_TYPES = [t for t in SUPPORTED_TYPES if t.flags & Flags.Dask and not t.flags & Flags.Gpu]


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize(("scheduler", "chunks"), CHUNKINGS.values(), ids=CHUNKINGS.keys())
@pytest.mark.parametrize("form", FORMS)
def test_same_tests(monkeypatch, form, scheduler, chunks, dtype, method, reference):
    memory = labelled(FORMS[form](values_of(dtype)))
    monkeypatch.setattr("scpdex.plan.memory_model.LEAST_VALUES_PER_PIECE", 100)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 100)
    lazy = in_chunks(memory, *chunks)
    with dask.config.set(scheduler=scheduler):
        assert_same_tests(monkeypatch, lazy, memory, method=method, reference=reference, **EVERYTHING)


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("arguments", [{"mean_in_log_space": False}, {"n_genes": 4}, {"rankby_abs": True}], ids=str)
def test_options(monkeypatch, arguments, dtype):
    memory = labelled(values_of(dtype))
    arguments = {"method": "wilcoxon", "groups": ["d", "a"], "use_continuity": True} | arguments
    assert_same_tests(monkeypatch, in_chunks(memory, RAGGED, -1), memory, **arguments)


def test_empty_chunks(monkeypatch):
    """No rows, no values where it was looked, no compared cell."""
    values = values_of("float32")
    values[:200] = 0
    memory = labelled(values)
    memory.obs.loc[memory.obs_names[20:40], "group"] = None
    lazy = in_chunks(memory, (20, 20, 0, 100, 0, 140, 20), (30, 0))
    for reference in ("rest", "b"):
        assert_same_tests(monkeypatch, lazy, memory, method="wilcoxon", reference=reference)


@pytest.mark.usefixtures("both_schedulers")
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("mask", [slice(None), slice(8, None), slice(0, 30, 29)], ids=["all genes", "some", "two"])
def test_stripes(monkeypatch, mask, dtype, method):
    """Chunks of columns that are worked on one after the other, each once; those without a tested gene never."""
    times = Counter()
    memory = labelled(values_of(dtype))
    lazy = in_chunks(memory, RAGGED, (7, 1, 0, 11, 11), seen=lambda place: times.update([tuple(place)]))
    memory.var["mask"] = lazy.var["mask"] = np.isin(np.arange(30), np.arange(30)[mask])
    monkeypatch.setattr("scpdex.plan.memory_model.LEAST_VALUES_PER_PIECE", 100)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 100)
    with dask.config.set({"array.chunk-size": "1 kiB"}):
        times.clear()
        assert_same_tests(monkeypatch, lazy, memory, method=method, mask_var="mask", **EVERYTHING)
        assert_same_tests(monkeypatch, lazy, memory, method=method, mask_var="mask", gene_chunk_size=5)
    assert set(times.values()) == {2}


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("array_type", DASK_TYPES, ids=str)
def test_array_types(monkeypatch, array_type, method):
    """Whatever fast-array-utils makes chunks of."""
    memory = labelled(values_of("float32"))
    lazy = labelled(array_type(memory.X))
    assert_same_tests(monkeypatch, lazy, memory, method=method, **EVERYTHING)


@pytest.mark.parametrize("form", FORMS)
def test_processes(monkeypatch, form):
    memory = labelled(FORMS[form](values_of("float32", 60)))
    with dask.config.set(scheduler="processes", num_workers=2):
        assert_same_tests(monkeypatch, in_chunks(memory, 20, -1), memory, method="wilcoxon")


@pytest.mark.usefixtures("both_schedulers")
@pytest.mark.parametrize("target_sum", [1e4, None])
@pytest.mark.parametrize("method", TESTS)
def test_lazy_preprocessing(monkeypatch, method, target_sum):
    """As part of the graph. Some versions of scanpy have the median there as well."""
    times, counts = Counter(), values_of("int16", 300).astype(np.float32)
    lazy = in_chunks(labelled(sparse.csr_matrix(counts)), 20, -1, seen=lambda place: times.update([tuple(place)]))
    memory = labelled(sparse.csr_matrix(counts))
    for adata in (lazy, memory):
        sc.pp.normalize_total(adata, target_sum=target_sum)
        sc.pp.log1p(adata)
    times.clear()
    assert_same_tests(monkeypatch, lazy, memory, method=method, **EVERYTHING)
    assert max(times.values()) <= (1 if target_sum else 2)


@pytest.mark.parametrize("normalize", [*RULES, 17])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("chunks", [(50, -1), (RAGGED, (7, 1, 22))])
def test_normalize(monkeypatch, form, chunks, normalize):
    """Whole rows are added up, of whatever chunks."""
    if form != "dense" and chunks[1] != -1:
        pytest.skip("from_array does not cut sparse columns")
    memory = labelled(FORMS[form](values_of("int32")))
    lazy = in_chunks(memory, *chunks)
    mask = np.arange(30) % 3 > 0
    # Chunks of columns are worked on apart, unless their values are added up.
    with dask.config.set({"array.chunk-size": "1 kiB"}):
        for arguments in ({}, {"groups": ["c"], "reference": "b", "mask_var": mask}):
            assert_same_tests(monkeypatch, lazy, memory, method="wilcoxon", normalize=normalize, **arguments)


@pytest.mark.parametrize("form", FORMS)
def test_refused_genes_of_column_chunks(form):
    """Each gene is named, whatever chunk it is in."""
    if form != "dense":
        pytest.skip("from_array does not cut sparse columns")
    values = counts_of()
    values[200, 25] = -1
    with dask.config.set({"array.chunk-size": "1 kiB"}):
        for normalize in RULES:
            with pytest.raises(ValueError, match=r"negative values, such as -1\.0 in gene 'gene25'"):
                normalized(in_chunks(labelled(FORMS[form](values)), 50, (7, 1, 22)), normalize)


@pytest.mark.usefixtures("both_schedulers")
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize(("normalize", "most"), [(1e4, 1), ("log1p", 1), ("median", 2)])
def test_how_often_chunks_are_computed(method, normalize, most):
    """Once, and once more for the median, of all cells; as often for a few compared cells."""
    times = Counter()
    lazy = in_chunks(labelled(counts_of()), 20, -1, seen=lambda place: times.update([tuple(place)]))
    for arguments in ({}, {"groups": ["a"], "reference": "b"}):
        times.clear()
        normalized(lazy, normalize, method=method, **arguments)
        assert len(times) == 15
        assert max(times.values()) <= most


@pytest.mark.parametrize("store", ["h5ad", "zarr"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", TESTS)
def test_lazily_opened(tmp_path, monkeypatch, form, store, method):
    """X, a layer, raw, a mask that is a column of var, views, labels of all kinds; results can be had by scanpy."""
    memory = labelled(FORMS[form](values_of("float32")))
    memory.layers["twice"] = 2 * memory.X
    memory.var["mask"] = np.arange(memory.n_vars) % 3 > 0
    memory.obs["numbers"] = np.arange(memory.n_obs) % 3
    memory.obs["strings"] = np.resize(["x", "y", "z"], memory.n_obs)
    memory.uns["log1p"] = {"base": 2.0}
    memory.raw = memory.copy()
    write, path = getattr(memory, f"write_{store}"), tmp_path / f"x.{store}"
    write(path)
    lazy = read_lazy(path)
    for arguments in (
        {"use_raw": False},
        {"use_raw": True},
        {"use_raw": False, "layer": "twice"},
        {"use_raw": False, "mask_var": "mask"},
    ):
        assert_same_tests(monkeypatch, lazy, memory, method=method, **arguments, **EVERYTHING)
    for cells in (slice(None, None, 2), np.array([5, 3, 250, 4, 5, *range(60, 200)])):
        some_lazy, some = lazy[cells, 3:20], memory[cells, 3:20]
        for use_raw in (False, True):
            if use_raw and some_lazy.raw is None:
                continue
            ours = scpdex.tl.rank_genes_parallel(some_lazy, "group", method="wilcoxon", use_raw=use_raw, copy=True)
            expected = scpdex.tl.rank_genes_parallel(some, "group", method="wilcoxon", use_raw=use_raw, copy=True)
            for name in ("names", "scores", "pvals"):
                assert (ours.uns["rank_genes_groups"][name] == expected.uns["rank_genes_groups"][name]).all()
    for groupby in ("numbers", "strings"):
        ours = by_scpdex(lazy, groupby, method="wilcoxon", use_raw=False)
        assert (ours["pvals"] == by_scpdex(memory, groupby, method="wilcoxon", use_raw=False)["pvals"]).all()
    scpdex.tl.rank_genes_parallel(lazy, "group", method=method)
    assert sc.get.rank_genes_groups_df(lazy, "a").shape == (memory.n_vars, 5)
    # As docs/scaling.md has it.
    result = lazy.uns["rank_genes_groups"]
    genes = sorted({name for group in result["names"].dtype.names for name in result["names"][group][:3]})
    small = lazy[:, genes].to_memory()
    small.uns["rank_genes_groups"] = result
    sc.pl.rank_genes_groups_dotplot(small, n_genes=3, dendrogram=False, show=False)
    small.write_h5ad(tmp_path / "markers.h5ad")
    with pytest.raises(KeyError, match=r"'grup' names no column.*Did you mean 'group'"):
        scpdex.tl.rank_genes_parallel(lazy, "grup")
    with pytest.raises(KeyError, match=r"'musk' is not a column of adata.var. Valid: 'mask'"):
        scpdex.tl.rank_genes_parallel(lazy, "group", mask_var="musk")


@pytest.mark.parametrize("method", TESTS)
@given(data=st.data())
def test_any_chunking(method, data):
    """t within 1e-12 of 1 or itself, whatever the chunks, where means are far above the spread and groups constant."""
    n_cells, n_genes = data.draw(st.integers(14, 60)), data.draw(st.integers(1, 5))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    values = rng.normal(data.draw(st.sampled_from([0, 3, 100])), 1, (n_cells, n_genes))
    values *= rng.random(values.shape) < data.draw(st.sampled_from([0.2, 1]))
    memory = labelled(values)
    values[(memory.obs["group"] == "c").to_numpy()] = 0.1
    cuts = data.draw(st.sets(st.integers(1, n_cells - 1)))
    sizes = tuple(np.diff([0, *sorted(cuts), n_cells]).tolist())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scpdex.plan.memory_model.LEAST_VALUES_PER_PIECE", 1)
        patch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 1)
        patch.setattr("scpdex.plan.requirements.Requirements.can_use_tallies", lambda *_, **__: False)
        patch.setattr("scpdex.plan.strategies.combined_sums._are_fewer_than_values", lambda *_: True)
        assert_same_tests(patch, in_chunks(memory, sizes, -1), memory, method=method)


@pytest.mark.slow
def test_without_dask():
    """Everything else works, and dask is not imported for it."""
    code = (
        "import sys; sys.modules['dask'] = sys.modules['distributed'] = sys.modules['xarray'] = None\n"
        "import scanpy as sc, scpdex\n"
        "adata = sc.datasets.pbmc68k_reduced()\n"
        "scpdex.tl.rank_genes_parallel(adata, 'bulk_labels', method='wilcoxon')\n"
        "scpdex.tl.rank_genes_parallel(adata, 'bulk_labels', method='t-test', low_memory=True)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
