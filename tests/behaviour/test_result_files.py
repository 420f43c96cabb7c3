"""Files of results: the memory that writing them takes, and processes that are killed meanwhile."""

import subprocess
import sys
import tracemalloc
from pathlib import Path
from time import sleep

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scpdex
from scpdex.results import ParquetResult

pa = pytest.importorskip("pyarrow")

BUDGET = 20_000_000
# A pool has to outlive what was allocated in it.
_POOLS = []


def _screen(n_groups: int) -> ad.AnnData:
    """2,000 cells x 2,000 genes."""
    matrix = sparse.random(2000, 2000, 0.05, format="csr", dtype=np.float32, random_state=0)
    adata = ad.AnnData(matrix)
    adata.obs["group"] = pd.Categorical((np.arange(2000) % n_groups).astype(str))
    return adata


def _peak(adata: ad.AnnData, path: Path, **arguments: object) -> int:
    """Bytes that a call holds at once, in numpy and in Arrow."""
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    _POOLS.append(pool)
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        scpdex.tl.rank_genes_parallel(adata, "group", storage=path, max_memory=BUDGET, low_memory=True, **arguments)
        return tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)


@pytest.mark.parametrize(
    "arguments", [{"method": "wilcoxon", "pts": True}, {"method": "t-test", "n_genes": 50}], ids=str
)
def test_more_groups_take_no_more_memory(tmp_path, arguments):
    """All within ``max_memory``, statistics and fractions of all pairs included."""
    path = tmp_path / "ranked.parquet"
    scpdex.tl.rank_genes_parallel(_screen(4)[:, :20].copy(), "group", storage=path, low_memory=True, **arguments)
    peaks = [_peak(_screen(n_groups), path, **arguments) for n_groups in (500, 1000)]
    assert max(peaks) <= BUDGET
    assert peaks[1] <= 1.25 * peaks[0]
    n_pairs = 1000 * (50 if "n_genes" in arguments else 2000)
    assert len(scpdex.get.rank_genes_df(path, columns=["scores"])) == n_pairs


_RANK_FOR_EVER = """
import sys
import numpy as np, pandas as pd, anndata as ad, scpdex
x = np.random.default_rng(0).poisson(0.5, (400, 1500)).astype(np.float32)
adata = ad.AnnData(x, obs={"group": pd.Categorical((np.arange(400) % 40).astype(str))})
while True:
    for method in ("wilcoxon", "t-test"):
        scpdex.tl.rank_genes_parallel(adata, "group", method=method, storage=sys.argv[1], max_memory="30MB")
        print(method, flush=True)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_a_whole_file(tmp_path):
    """The old one or the new one, at ten random moments; the next call removes what was left beside it."""
    path = tmp_path / "ranked.parquet"
    adata = ad.AnnData(
        np.random.default_rng(0).poisson(0.5, (400, 1500)).astype(np.float32),
        obs={"group": pd.Categorical((np.arange(400) % 40).astype(str))},
    )
    expected = {}
    for method in ("wilcoxon", "t-test"):
        scpdex.tl.rank_genes_parallel(adata, "group", method=method)
        expected[method] = scpdex.get.rank_genes_df(adata)
    random, n_left = np.random.default_rng(0), 0
    for _ in range(10):
        command = [sys.executable, "-c", _RANK_FOR_EVER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            sleep(random.uniform(0, 0.5))
            process.kill()
        method = ParquetResult.open(path).params(0)["method"]
        pd.testing.assert_frame_equal(scpdex.get.rank_genes_df(path), expected[method])
        left = [file for file in tmp_path.iterdir() if file != path]
        assert all(file.name.endswith(".scpdex-tmp") for file in left)
        assert len(left) <= 1
        n_left += len(left)
    assert n_left
    scpdex.tl.rank_genes_parallel(adata, "group", storage=path)
    assert list(tmp_path.iterdir()) == [path]
