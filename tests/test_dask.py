"""dask arrays on this machine's schedulers: the ranks of the same data in memory, each chunk computed once."""

import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from pathlib import Path

import anndata as ad
import dask
import dask.array as da
import numpy as np
import pytest
import scanpy as sc
from anndata.experimental import read_lazy
from hypothesis import given
from hypothesis import strategies as st
from oracles import by_scpdex
from scipy import sparse
from stored import (
    FORMS,
    RAGGED,
    TESTS,
    assert_same_tests,
    budget_for,
    in_chunks,
    labelled,
    tightest,
    values_of,
    without_slack,
)
from testing.fast_array_utils import SUPPORTED_TYPES, Flags

import scpdex
from scpdex.matrix.dask._chunk_reader import refuse_unknown_chunks

EVERYTHING = {"tie_correct": True, "pts": True}
CHUNKINGS = {
    "one": ("threads", (-1, -1)),
    "rows": ("synchronous", (50, -1)),
    "ragged": ("threads", (RAGGED, -1)),
    "both": ("synchronous", (RAGGED, (7, 1, 22))),
    "columns": ("threads", (-1, 4)),
}
DASK_TYPES = [t for t in SUPPORTED_TYPES if t.flags & Flags.Dask and not t.flags & Flags.Gpu]


@pytest.fixture(params=["threads", "synchronous"])
def _scheduler(request):
    with dask.config.set(scheduler=request.param):
        yield


on_both_schedulers = pytest.mark.usefixtures("_scheduler")


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize(("scheduler", "chunks"), CHUNKINGS.values(), ids=CHUNKINGS.keys())
@pytest.mark.parametrize("form", FORMS)
def test_same_tests(monkeypatch, form, scheduler, chunks, dtype, method, reference):
    memory = labelled(FORMS[form](values_of(dtype)))
    monkeypatch.setattr("scpdex.plan.memory_model._LEAST_VALUES_OF_PIECE", 100)
    monkeypatch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 100)
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


@on_both_schedulers
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("mask", [slice(None), slice(8, None), slice(0, 30, 29)], ids=["all genes", "some", "two"])
def test_stripes(monkeypatch, mask, dtype, method):
    """Chunks of columns that are worked on one after the other, each once; those without a tested gene never."""
    times = Counter()
    memory = labelled(values_of(dtype))
    lazy = in_chunks(memory, RAGGED, (7, 1, 0, 11, 11), seen=lambda place: times.update([tuple(place)]))
    memory.var["mask"] = lazy.var["mask"] = np.isin(np.arange(30), np.arange(30)[mask])
    monkeypatch.setattr("scpdex.plan.memory_model._LEAST_VALUES_OF_PIECE", 100)
    monkeypatch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 100)
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


@pytest.mark.parametrize("form", ["dense", "CSR"])
@pytest.mark.parametrize("dtype", ["float32", "int16"])
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_strategies(monkeypatch, form, dtype, reference):
    """Sums where these suffice; scratch within tight budgets; no tallies of what are no counts after all."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 100)
    memory = labelled(FORMS[form](values_of(dtype, n_genes=12)))
    lazy = in_chunks(memory, RAGGED, -1)
    arguments = {"method": "wilcoxon", "reference": reference, **EVERYTHING}
    with monkeypatch.context() as patch:
        patch.setattr("scpdex.plan.make_plan.can_add_up", lambda *_: False)
        budget = budget_for(lazy, "row buckets", **arguments)
        plan = scpdex.get.plan(lazy, "group", max_memory=budget, **arguments)
        assert plan.passes == 1
        assert_same_tests(monkeypatch, lazy, memory, max_memory=budget, **arguments)
    for method in TESTS:
        combined = scpdex.get.plan(lazy, "group", **(arguments | {"method": method})).strategy == "combined sums"
        assert combined == (dtype == "int16" or method == "t-test")


def test_scratch(monkeypatch):
    without_slack(monkeypatch)
    memory = labelled(FORMS["CSR"](values_of("float32", 2000)))
    lazy = in_chunks(memory, 50, -1)
    arguments = {"method": "wilcoxon", **EVERYTHING}
    least = tightest(lazy, **arguments)
    plan = scpdex.get.plan(lazy, "group", max_memory=least, n_jobs=2, **arguments)
    assert (plan.strategy, plan.scratch > plan.kept) == ("row buckets", True)
    assert_same_tests(monkeypatch, lazy, memory, max_memory=least, **arguments)


def test_no_counts_after_all(monkeypatch, messages):
    """A fraction far from where it was looked, and a value too high to be tallied."""
    monkeypatch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 1000)
    for odd in (0.5, 1e9, 9e18, 1e20, 1e300):
        values = values_of("int16").astype(np.float64)
        values[77] = odd
        memory = labelled(values)
        assert_same_tests(monkeypatch, in_chunks(memory, 10, -1), memory, method="wilcoxon", **EVERYTHING)
    sc.settings.verbosity = 2
    scpdex.tl.rank_genes_parallel(in_chunks(memory, 10, -1), "group", method="wilcoxon")
    assert "cannot be tallied" in messages()


@on_both_schedulers
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("chunks", [(50, -1), (RAGGED, (7, 1, 22))])
def test_each_chunk_is_computed_once(method, dtype, chunks):
    times = Counter()
    lazy = in_chunks(labelled(values_of(dtype)), *chunks, seen=lambda place: times.update([tuple(place)]))
    scpdex.tl.rank_genes_parallel(lazy, "group", method=method)
    assert set(times) == set(np.ndindex(lazy.X.numblocks))
    assert set(times.values()) == {1}


@on_both_schedulers
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


@on_both_schedulers
@pytest.mark.parametrize("method", TESTS)
def test_what_all_chunks_need(monkeypatch, method):
    """A mean over all cells is computed once, for which each chunk is computed once more."""
    times = Counter()
    memory = labelled(values_of("float32"))
    lazy = in_chunks(memory, 20, -1, seen=lambda place: times.update([tuple(place)]))
    lazy.X = lazy.X + lazy.X.mean()
    memory.X = lazy.X.compute()
    monkeypatch.setattr("scpdex.plan.memory_model._LEAST_VALUES_OF_PIECE", 100)
    monkeypatch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 100)
    times.clear()
    scpdex.tl.rank_genes_parallel(lazy, "group", method=method)
    assert max(times.values()) == 2
    assert_same_tests(monkeypatch, lazy, memory, method=method)


@on_both_schedulers
def test_rechunked(monkeypatch):
    """Chunks that were cut and merged upstream are computed once as well, and kept no longer than needed."""
    times = Counter()
    memory = labelled(values_of("float32"))
    lazy = in_chunks(memory, 100, -1, seen=lambda place: times.update([tuple(place)]))
    lazy.X = lazy.X.rechunk({0: 50}).map_blocks(np.abs).rechunk({0: 30})
    memory.X = np.abs(memory.X)
    monkeypatch.setattr("scpdex.plan.memory_model._LEAST_VALUES_OF_PIECE", 100)
    monkeypatch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 100)
    assert_same_tests(monkeypatch, lazy, memory, method="wilcoxon")
    assert set(times.values()) == {1}


@pytest.mark.parametrize("normalize", [1e4, 17])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("chunks", [(50, -1), (RAGGED, (7, 1, 22))])
def test_normalize(monkeypatch, form, chunks, normalize):
    """Whole rows are added up, of whatever chunks."""
    if form != "dense" and chunks[1] != -1:
        pytest.skip("from_array does not cut sparse columns")
    memory = labelled(FORMS[form](values_of("int32")))
    assert_same_tests(monkeypatch, in_chunks(memory, *chunks), memory, method="wilcoxon", normalize=normalize)


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


def failing(adata: ad.AnnData, error: BaseException) -> ad.AnnData:
    """Make the chunk in the sixth row of chunks raise."""

    def fail(place: np.ndarray) -> None:
        if place[0] == 5:
            raise error

    return in_chunks(adata, 20, -1, seen=fail)


@on_both_schedulers
@pytest.mark.parametrize("method", TESTS)
def test_chunk_that_raises(method):
    lazy = failing(labelled(values_of("float32")), OSError("the disk is gone"))
    lazy.uns = {"rank_genes_groups": "as before"}
    with pytest.raises(RuntimeError, match=r"^adata.X is a dask array that could not be computed: OSError: the disk"):
        scpdex.tl.rank_genes_parallel(lazy, "group", method=method)
    assert lazy.uns == {"rank_genes_groups": "as before"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scpdex")]


def test_interruption():
    lazy = failing(labelled(values_of("float32")), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), dask.config.set(scheduler="synchronous"):
        scpdex.tl.rank_genes_parallel(lazy, "group", method="wilcoxon")
    assert not lazy.uns


def test_chunks_stay_as_they_are():
    """Chunks in memory are the user's: neither sorted nor summed up in place."""
    counts = sparse.csr_matrix(values_of("int16").astype(np.float32))
    odd = sparse.csr_matrix((np.repeat(counts.data, 2), np.repeat(counts.indices, 2), 2 * counts.indptr))
    lazy = in_chunks(labelled(counts), 20, -1)
    lazy.X = da.from_array(odd, chunks=(20, -1), asarray=False).map_blocks(lambda x: x, meta=odd[:0]).persist()
    before = [chunk.nnz for chunk in dask.compute(*lazy.X.to_delayed().ravel())]
    for arguments in ({"method": "wilcoxon"}, {"method": "t-test"}, {"method": "t-test", "normalize": 1e4}):
        scpdex.tl.rank_genes_parallel(lazy, "group", **arguments)
    assert [chunk.nnz for chunk in dask.compute(*lazy.X.to_delayed().ravel())] == before


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("change", [lambda x: x[:-1], lambda x: x[:, 1:]], ids=["rows", "columns"])
def test_chunks_of_another_shape(form, change):
    """As map_blocks makes them that was not told."""
    lazy = in_chunks(labelled(FORMS[form](values_of("float32"))), 100, -1)
    lazy.X = lazy.X.map_blocks(change, meta=lazy.X.blocks[0, 0].compute()[:0])
    for method in TESTS:
        with pytest.raises(TypeError, match=r"has a chunk of (99 x 30|100 x 29) where its chunks say 100 x 30: pass"):
            scpdex.tl.rank_genes_parallel(lazy, "group", method=method)


def test_few_cells_of_large_chunks():
    """Chunks are computed whole, and count in the budget whole."""
    adata = ad.AnnData(np.ones((50_000, 50), dtype=np.float32))
    adata.obs["group"] = ["x"] * 50 + ["y"] * 50 + ["z"] * 49_900
    arguments = {"groups": ["x"], "reference": "y", "method": "wilcoxon"}
    plan = scpdex.get.plan(in_chunks(adata, -1, -1), "group", **arguments)
    assert plan.piece >= adata.X.size
    assert plan.peak_memory > 2 * adata.X.nbytes
    with pytest.raises(ValueError, match="is too little"):
        scpdex.get.plan(in_chunks(adata, -1, -1), "group", max_memory="10MB", **arguments)


def other_kind(chunk: np.ndarray, block_info: dict) -> object:
    return sparse.coo_matrix(chunk) if block_info[0]["chunk-location"][0] == 1 else chunk


def other_dtype(chunk: np.ndarray, block_info: dict) -> np.ndarray:
    return chunk.astype("float64" if block_info[0]["chunk-location"][0] == 1 else "float32")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x.astype(complex), TypeError, "adata.X has dtype complex128"),
        (lambda x: x.map_blocks(other_kind, meta=np.empty((0, 0), "f4")), TypeError, "has chunks of scipy.*coo_matrix"),
        (
            lambda x: x.map_blocks(other_dtype, meta=np.empty((0, 0), "f4")),
            TypeError,
            "chunks of float32 and of float64",
        ),
        (lambda x: x.map_blocks(lambda c: c + np.nan, dtype="f4"), ValueError, "holds 7,710 NaN or infinite values"),
    ],
    ids=["complex", "COO", "two dtypes", "NaN"],
)
def test_refused(change, error, message):
    lazy = in_chunks(labelled(values_of("float32")), 100, -1)
    lazy.layers["odd"] = change(lazy.X)
    with pytest.raises(error, match=message.replace("adata.X", r"adata.layers\['odd'\]")):
        scpdex.tl.rank_genes_parallel(lazy, "group", reference="b", method="wilcoxon", layer="odd")


def test_unknown_sizes():
    """anndata takes no such array for X or a layer; raw may have one."""
    with pytest.raises(ValueError, match=r"adata.raw.X is a dask array with chunks of unknown size: call its compute_"):
        refuse_unknown_chunks(da.zeros((300, 2))[da.from_array(np.arange(300) % 2 == 0)], "adata.raw.X")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "logreg"}, TypeError, "adata.X is a dask array: pass adata.to_memory()"),
        ({"low_memory": False}, ValueError, "adata.X is a dask array: pass low_memory=None"),
        ({"max_memory": 1000}, ValueError, "max_memory=1 kB is too little"),
    ],
)
def test_arguments_that_do_not_fit(arguments, error, message):
    with pytest.raises(error, match=message):
        scpdex.tl.rank_genes_parallel(in_chunks(labelled(values_of("float32")), 100, -1), "group", **arguments)


def test_budget(tmp_path):
    """All arrays of a call, results aside, while a lazily opened file of 72 MB is ranked within 40 MB."""
    rng = np.random.default_rng(0)
    adata = ad.AnnData(sparse.random(60_000, 500, 0.3, format="csr", dtype=np.float32, random_state=rng))
    adata.obs["group"] = rng.integers(0, 20, 60_000).astype(str)
    adata.write_h5ad(tmp_path / "x.h5ad")
    lazy = read_lazy(tmp_path / "x.h5ad")
    for method in TESTS:
        arguments = {"method": method, "n_jobs": 2, "max_memory": "40MB"}
        scpdex.tl.rank_genes_parallel(lazy[:1000], "group", copy=True, **(arguments | {"max_memory": None}))
        tracemalloc.start()
        scpdex.tl.rank_genes_parallel(lazy, "group", **arguments)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 40e6 + 32 * 500 * 20


def test_progress(capsys):
    """A bar of cells, and whatever dask's own diagnostics show."""
    from dask.diagnostics import Profiler

    lazy = in_chunks(labelled(values_of("float32")), 20, -1, seen=lambda _: None)
    with Profiler() as profiler:
        scpdex.tl.rank_genes_parallel(lazy, "group", method="wilcoxon", show_progress=True)
    assert "300/300" in capsys.readouterr().err
    assert len(profiler.results) >= 15


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
        patch.setattr("scpdex.plan.memory_model._LEAST_VALUES_OF_PIECE", 1)
        patch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 1)
        patch.setattr("scpdex.plan.make_plan.can_add_up", lambda _, needs, __: needs.moments)
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
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=Path(__file__).parent)


@pytest.mark.parametrize("method", TESTS)
def test_no_thread_or_pool_is_left(method):
    """dask keeps a pool for each thread that it was called from, for ever."""
    lazy = in_chunks(labelled(sparse.csr_matrix(values_of("float32"))), RAGGED, -1)
    before, pools = set(threading.enumerate()), len(dask.threaded.pools)
    for _ in range(3):
        scpdex.tl.rank_genes_parallel(lazy, "group", method=method, n_jobs=2)
    assert set(threading.enumerate()) <= before
    assert len(dask.threaded.pools) <= pools
