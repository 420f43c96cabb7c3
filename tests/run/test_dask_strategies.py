"""Strategies for dask arrays: combined sums, scratch and tallies, within the budget, and nothing is left of them."""

import threading
import tracemalloc

import anndata as ad
import dask
import numpy as np
import pytest
import scanpy as sc
from anndata.experimental import read_lazy
from scipy import sparse
from stored import (
    EVERYTHING,
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

import scpdex


@pytest.mark.parametrize("form", ["dense", "CSR"])
@pytest.mark.parametrize("dtype", ["float32", "int16"])
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_strategies(monkeypatch, form, dtype, reference):
    """Sums where these suffice; scratch within tight budgets; no tallies of what are no counts after all."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 100)
    memory = labelled(FORMS[form](values_of(dtype, n_genes=12)))
    lazy = in_chunks(memory, RAGGED, -1)
    arguments = {"method": "wilcoxon", "reference": reference, **EVERYTHING}
    with monkeypatch.context() as patch:
        patch.setattr("scpdex.plan.strategies.combined_sums.propose", lambda *_: None)
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
    assert (plan.strategy, plan.scratch > plan.max_bucket_bytes) == ("row buckets", True)
    assert_same_tests(monkeypatch, lazy, memory, max_memory=least, **arguments)


def test_no_counts_after_all(monkeypatch, messages):
    """A fraction far from where it was looked, and a value too high to be tallied."""
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 1000)
    for odd in (0.5, 1e9, 9e18, 1e20, 1e300):
        values = values_of("int16").astype(np.float64)
        values[77] = odd
        memory = labelled(values)
        assert_same_tests(monkeypatch, in_chunks(memory, 10, -1), memory, method="wilcoxon", **EVERYTHING)
    sc.settings.verbosity = 2
    scpdex.tl.rank_genes_parallel(in_chunks(memory, 10, -1), "group", method="wilcoxon")
    assert "cannot be tallied" in messages()


@pytest.mark.parametrize("by_dask", [False, True], ids=["file", "chunks"])
def test_budget(tmp_path, by_dask):
    """All arrays of a call, results aside, while a lazily opened file of 72 MB is ranked within 40 MB."""
    rng = np.random.default_rng(0)
    adata = ad.AnnData(sparse.random(60_000, 500, 0.3, format="csr", dtype=np.float32, random_state=rng))
    adata.obs["group"] = rng.integers(0, 20, 60_000).astype(str)
    adata.write_h5ad(tmp_path / "x.h5ad")
    lazy = read_lazy(tmp_path / "x.h5ad")
    if by_dask:
        lazy.X = lazy.X.map_blocks(lambda chunk: chunk)
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
def test_no_thread_or_pool_is_left(method):
    """dask keeps a pool for each thread that it was called from, for ever."""
    lazy = in_chunks(labelled(sparse.csr_matrix(values_of("float32"))), RAGGED, -1)
    before, pools = set(threading.enumerate()), len(dask.threaded.pools)
    for _ in range(3):
        scpdex.tl.rank_genes_parallel(lazy, "group", method=method, n_jobs=2)
    assert set(threading.enumerate()) <= before
    assert len(dask.threaded.pools) <= pools
