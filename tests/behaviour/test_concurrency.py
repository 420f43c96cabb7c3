"""Calls from several threads, and what is left of a call that fails (rows 23 and 24 of the awkward inputs)."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import pytest
import threadpoolctl
from oracles import assert_same_bits, by_scpdex

import scpdex

GROUPBY = "bulk_labels"


def test_from_several_threads_at_once(pbmc):
    calls = [{"method": method, "reference": r} for method in ("wilcoxon", "t-test") for r in ("rest", "Dendritic")]
    expected = [by_scpdex(pbmc, GROUPBY, **arguments) for arguments in calls]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: by_scpdex(pbmc, GROUPBY, n_jobs=3, **calls[i % 4]), range(40)))
    for i, result in enumerate(results):
        assert_same_bits(result, expected[i % 4])


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_one_view_from_several_threads(pbmc, storage):
    """Row 24: the first call that stores makes the view an object of its own, and the others find it whole."""
    arguments = {"method": "wilcoxon", "use_raw": False, "n_jobs": 1, "storage": storage}
    expected = scpdex.tl.rank_genes_parallel(pbmc[:200, :40], GROUPBY, copy=True, **arguments)
    for _ in range(15):
        view = pbmc[:200, :40]
        with ThreadPoolExecutor(4) as pool:
            # Each result is under a key of its own.
            calls = [
                pool.submit(scpdex.tl.rank_genes_parallel, view, GROUPBY, key_added=f"call{i}", **arguments)
                for i in range(4)
            ]
        for i, call in enumerate(calls):
            call.result()
            table = scpdex.get.rank_genes_df(view, key=f"call{i}")
            assert table.equals(scpdex.get.rank_genes_df(expected))


@pytest.mark.parametrize("method", ["wilcoxon", "t-test", "anderson", "brunner-munzel", "logreg"])
def test_threads_of_others_are_left_alone(pbmc, method):
    """Numba's own, and those of BLAS and OpenMP."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    libraries = threadpoolctl.threadpool_info()
    assert libraries
    try:
        scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method=method, n_jobs=2)
        assert numba.get_num_threads() == 1
    finally:
        numba.set_num_threads(before)
    found = {library["filepath"]: library for library in threadpoolctl.threadpool_info()}
    assert [found[library["filepath"]] for library in libraries] == libraries
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scpdex")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize(
    "stage",
    [
        "matrix.memory._sparse.count_rows",
        "run._block_kernels.BlockKernels.add_up",
        "matrix.memory._sparse.gather_rows",
        "run._order_genes.adjust_pvals",
        "tl._rank_and_write.order_table",
        "tl._rank_and_write.write_results",
    ],
)
def test_nothing_is_left_of_a_call_that_fails(pbmc, monkeypatch, stage, error):
    pbmc.uns["rank_genes_groups"] = "as before"

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"scpdex.{stage}", fail)
        with pytest.raises(error):
            scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon", n_jobs=2)
    assert pbmc.uns["rank_genes_groups"] == "as before"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scpdex")]
    scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon", n_jobs=2)
    assert pbmc.uns["rank_genes_groups"]["params"]["method"] == "wilcoxon"


def test_one_thread_that_fails_stops_the_others(pbmc, monkeypatch):
    """With blocks of one gene, the other thread is told to stop long before its last block."""
    from scpdex.run._block_kernels import BlockKernels

    monkeypatch.setattr("scpdex.plan.gene_blocks.GENES_PER_BLOCK", 1)
    add_up, done, failed = BlockKernels.add_up, [], threading.Event()

    def sums_or_fail(self: BlockKernels, block: Any) -> Any:
        if block.genes.start == 0:
            failed.set()
            raise MemoryError
        failed.wait()
        done.append(block.genes.start)
        return add_up(self, block)

    monkeypatch.setattr(BlockKernels, "add_up", sums_or_fail)
    with pytest.raises(MemoryError):
        scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon", n_jobs=2)
    assert len(done) < pbmc.raw.n_vars / 2


# Ranks here, then in processes, then here again; and a parallel function of the user's own beside all that.
_PROCESSES = """
import multiprocessing, sys
import numba
import numpy as np
import scanpy as sc
import scpdex

@numba.njit(parallel=True)
def total(x):
    sum_of_squares = 0.0
    for i in numba.prange(x.size):
        sum_of_squares += x[i] * x[i]
    return sum_of_squares

def rank(method):
    adata = sc.datasets.pbmc68k_reduced()
    scpdex.tl.rank_genes_parallel(adata, "bulk_labels", method=method, n_jobs=2)
    result = adata.uns["rank_genes_groups"]
    return [result[field][group].tobytes() for field in ("scores", "pvals") for group in result[field].dtype.names]

if __name__ == "__main__":
    start, with_numba = sys.argv[1:]
    methods = ["wilcoxon", "t-test", "wilcoxon", "t-test"]
    expected = [rank(method) for method in methods]
    if with_numba == "yes":
        assert total(np.ones(1000)) == 1000
    with multiprocessing.get_context(start).Pool(2) as pool:
        assert pool.map(rank, methods) == expected
    assert [rank(method) for method in methods] == expected
    if with_numba == "yes":
        assert total(np.ones(1000)) == 1000
    print("the same")
"""


def _run(tmp_path: Any, start: str, with_numba: str, **environment: str) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(_PROCESSES)
    command = [sys.executable, "-W", "ignore", str(script), start, with_numba]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("the same\n"), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.parametrize("start", ["fork", "forkserver", "spawn"])
def test_in_a_pool_of_processes(tmp_path, start):
    """Forked ones too, after threads have worked here."""
    _run(tmp_path, start, "no")


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["workqueue", "omp", "tbb", "default"])
def test_any_threading_layer(tmp_path, layer):
    """Numba's layer for parallel functions is the user's choice; one that is not installed does not matter either."""
    _run(tmp_path, "spawn", "no" if layer == "tbb" else "yes", NUMBA_THREADING_LAYER=layer)
