"""dask arrays on a cluster of two worker processes: the numbers of one machine, and no chunk at the client."""

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import dask
import numpy as np
import pytest
import scanpy as sc
from anndata.experimental import read_lazy
from clusters import PATIENCE, WAYS
from counts import RULES
from distributed import worker_client
from oracles import by_scpdex
from scipy import sparse
from stored import EVERYTHING, FORMS, RAGGED, TESTS, assert_same_tests, in_chunks, labelled, values_of

import scpdex

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.usefixtures("client")]


def strategy_of(adata: ad.AnnData, **arguments: object) -> str:
    return scpdex.get.plan(adata, "group", **arguments).strategy


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize(
    ("form", "chunks"),
    [*((form, (RAGGED, -1)) for form in FORMS), ("dense", (RAGGED, (7, 1, 22)))],
    ids=[*FORMS, "dense, columns too"],
)
def test_same_tests(monkeypatch, form, chunks, dtype, method, reference):
    """By sums that are combined and by genes that meet."""
    memory = labelled(FORMS[form](values_of(dtype)))
    lazy = in_chunks(memory, *chunks)
    arguments = {"method": method, "reference": reference, **EVERYTHING}
    # Chunks of columns are worked on apart.
    with dask.config.set({"array.chunk-size": "1 kiB"}):
        combined = strategy_of(lazy, **arguments)
        assert combined == ("combined sums" if dtype == "int32" or method == "t-test" else "gene shuffle")
        assert_same_tests(monkeypatch, lazy, memory, **arguments)
        assert strategy_of(lazy, gene_chunk_size=5, **arguments) == "gene shuffle"
        assert_same_tests(monkeypatch, lazy, memory, gene_chunk_size=5, **arguments)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("metric", ["wilcoxon", "anderson", "t-test"])
def test_drop_in(metric):
    """Statistics as they are measured, and means of the reference, come from the workers too."""
    memory = labelled(sparse.csr_matrix(values_of("float32")))
    arguments = {"reference": "b", "groupby_key": "group", "metric": metric, "show_progress": False}
    expected = scpdex.parallel_differential_expression(memory, **arguments)
    ours = scpdex.parallel_differential_expression(in_chunks(memory, RAGGED, -1), **arguments)
    rtol = 1e-12 if metric == "t-test" else 0
    for name in expected.columns[3:]:
        np.testing.assert_allclose(ours[name], expected[name], rtol=rtol, atol=rtol)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("store", ["h5ad", "zarr"])
@pytest.mark.parametrize("method", TESTS)
def test_lazily_opened(tmp_path, monkeypatch, store, method):
    memory = labelled(sparse.csr_matrix(values_of("float32", 2500)))
    getattr(memory, f"write_{store}")(tmp_path / f"x.{store}")
    lazy = read_lazy(tmp_path / f"x.{store}")
    for cells in (slice(None), slice(3, None, 2)):
        ours, some = lazy[cells].copy(), memory[cells].copy()
        assert_same_tests(monkeypatch, ours, some, method=method, **EVERYTHING)
    scpdex.tl.rank_genes_parallel(lazy, "group", method=method)
    assert sc.get.rank_genes_groups_df(lazy, "a").shape == (memory.n_vars, 5)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("method", TESTS)
def test_lazy_preprocessing(monkeypatch, method):
    """As part of the graph, computed by the workers; and normalize, which is ours."""
    counts = labelled(sparse.csr_matrix(values_of("int16").astype(np.float32)))
    memory, lazy = counts.copy(), in_chunks(counts, 20, -1)
    for normalize in RULES:
        assert_same_tests(monkeypatch, lazy, memory, method=method, normalize=normalize)
    for adata in (lazy, memory):
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    assert_same_tests(monkeypatch, lazy, memory, method=method)


@pytest.mark.usefixtures("small_parts")
def test_each_chunk_is_computed_once(tmp_path):
    for method, gene_chunk_size in WAYS:
        folder = tmp_path / method
        folder.mkdir()

        def note(place: np.ndarray, folder: Path = folder) -> None:
            (folder / f"{place[0]}-{os.urandom(4).hex()}").touch()

        lazy = in_chunks(labelled(values_of("float32")), 20, -1, seen=note)
        scpdex.tl.rank_genes_parallel(lazy, "group", method=method, gene_chunk_size=gene_chunk_size)
        assert sorted(int(path.name.split("-")[0]) for path in folder.iterdir()) == list(range(15))


def test_no_counts_after_all(monkeypatch):
    """A fraction, and a value too high to be tallied, far from where it was looked."""
    for odd in (0.5, 1e9, 1e20):
        values = values_of("int16").astype(np.float64)
        values[77] = odd
        memory = labelled(values)
        lazy = in_chunks(memory, 10, -1)
        assert strategy_of(lazy, method="wilcoxon") == "combined sums"
        assert_same_tests(monkeypatch, lazy, memory, method="wilcoxon", **EVERYTHING)


@pytest.mark.usefixtures("small_parts")
def test_local_scheduler_beside_a_client(monkeypatch):
    """dask's configuration has the last word, as everywhere in dask."""
    memory = labelled(values_of("float32"))
    with dask.config.set(scheduler="threads"):
        assert strategy_of(in_chunks(memory, 20, -1), method="wilcoxon") == "row buckets"
        assert_same_tests(monkeypatch, in_chunks(memory, 20, -1), memory, method="wilcoxon")


def test_plan():
    plan = scpdex.get.plan(in_chunks(labelled(values_of("float32")), 20, -1), "group", method="wilcoxon")
    assert repr(plan).endswith("on 2 threads of 2 dask workers")
    assert plan.matrix.workers.memory == 10**9


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("method", "gene_chunk_size"), [("t-test", None), ("wilcoxon", None)])
def test_no_task_returns_a_chunk(monkeypatch, method, gene_chunk_size):
    """All that comes from the workers is together far smaller than the matrix."""
    from scpdex.matrix.dask._on_cluster import ClusterChunks

    memory = labelled(sparse.random(30_000, 400, 0.3, "csr", dtype=np.float32, random_state=0))
    memory.obs["group"] = np.resize(["x", "y"], memory.n_obs)
    received, as_completed = [], ClusterChunks._as_completed

    def weigh(self: ClusterChunks, *arguments: object) -> Iterator[tuple[object, object]]:
        for key, value in as_completed(self, *arguments):
            received.append(len(pickle.dumps(value)))
            yield key, value

    lazy = in_chunks(memory, 1000, -1)
    monkeypatch.setattr(ClusterChunks, "_as_completed", weigh)
    by_scpdex(lazy, "group", method=method, gene_chunk_size=gene_chunk_size)
    assert len(received) >= 10
    assert sum(received) < memory.X.data.nbytes / 50


_CALL = """
import re, sys
from pathlib import Path
import anndata as ad, dask.array as da, numpy as np, pandas as pd
from distributed import Client, LocalCluster, worker_client
from scipy import sparse
import scpdex


def chunk(block_info):
    rows = block_info[None]["chunk-shape"][0]
    return sparse.random(rows, 1000, 0.2, "csr", dtype=np.float32, random_state=block_info[None]["chunk-location"][0])


def main():
    peak = lambda: int(re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    empty = sparse.csr_matrix((0, 1000), dtype=np.float32)
    grown = []
    with LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="2GB", dashboard_address=None) as cluster:
        with Client(cluster):
            for n_cells in (5_000, 150_000):
                x = da.map_blocks(chunk, chunks=((5_000,) * (n_cells // 5_000), (1000,)), dtype=np.float32, meta=empty)
                adata = ad.AnnData(x, obs=pd.DataFrame({"group": np.resize(["a", "b"], n_cells)}, dtype="category"))
                for method in ("t-test", "wilcoxon"):
                    before = peak()
                    scpdex.tl.rank_genes_parallel(adata, "group", method=method)
                    grown.append(peak() - before)
    print(*grown)


if __name__ == "__main__":
    main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs the peak that Linux notes")
@pytest.mark.slow
def test_peak_memory_of_the_client(tmp_path):
    """240 MB of CSR, made and ranked by the workers: the client's process, scheduler included, grows by a tenth."""
    script = tmp_path / "call.py"
    script.write_text(_CALL)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    _, _, *grown = map(int, re.findall(r"[0-9]+", done.stdout.splitlines()[-1]))
    assert max(grown) < 24e6


@pytest.mark.parametrize("lazy", [False, True], ids=["in memory", "dask"])
@pytest.mark.parametrize("method", TESTS)
def test_in_tasks_of_workers(client, method, lazy):
    """Calls that are tasks of a cluster themselves, on all threads that it has, and wait for others of its tasks."""
    adata = labelled(sparse.csr_matrix(values_of("float32")))
    expected = by_scpdex(adata, "group", method=method)
    if lazy:
        adata = in_chunks(adata, RAGGED, -1)
    rank = scpdex.tl.rank_genes_parallel
    calls = [client.submit(rank, adata, "group", method=method, copy=True, pure=False) for _ in range(3)]
    for call in calls:
        result = call.result(timeout=PATIENCE).uns["rank_genes_groups"]
        for field in ("scores", "pvals"):
            for group in expected[field].dtype.names:
                np.testing.assert_allclose(result[field][group], expected[field][group], rtol=1e-6)
    del call, calls


def test_in_a_task_that_has_left_its_thread(client):
    """As inside of worker_client(), which leaves before the call does."""
    lazy = in_chunks(labelled(sparse.csr_matrix(values_of("float32"))), RAGGED, -1)
    expected = by_scpdex(lazy, "group", method="wilcoxon")["pvals"]

    def rank(adata: ad.AnnData) -> ad.AnnData:
        with worker_client():
            return scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", copy=True)

    ranked = client.submit(rank, lazy).result(timeout=PATIENCE)
    for group in expected.dtype.names:
        np.testing.assert_array_equal(ranked.uns["rank_genes_groups"]["pvals"][group], expected[group])
