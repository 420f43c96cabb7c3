"""Peak memory of a process of its own, while it ranks files that are larger than its budget."""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from shutil import copyfile
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from stored import tightest

import scpdex

SUPPORT = Path(__file__).parents[1] / "support"
N_GENES, DENSITY, N_GROUPS = 600, 0.3, 20
# Of one gene and group: a pointer to the name, two float32 and two float64.
RESULTS = 32 * N_GENES * N_GROUPS

_CALL = """
import re, sys
from pathlib import Path
import anndata as ad
import scpdex

path, method, reference, budget = sys.argv[1:]
adata = ad.read_h5ad(path, backed="r")
peak = lambda: int(re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1]) * 1024
before = peak()
scpdex.tl.rank_genes_parallel(adata, "group", method=method, reference=reference, max_memory=budget)
print(peak() - before)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[int, Path]:
    """Row-major files of 216 and 432 MB."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("large")
    part = sparse.random(50_000, N_GENES, DENSITY, format="csr", dtype=np.float32, random_state=rng)
    paths = {}
    for n_cells in (150_000, 300_000):
        adata = ad.AnnData(sparse.vstack([part] * (n_cells // 50_000), format="csr"))
        adata.obs["group"] = pd.Categorical(rng.integers(0, N_GROUPS, n_cells).astype(str))
        paths[n_cells] = folder / f"{n_cells}.h5ad"
        adata.write_h5ad(paths[n_cells])
    return paths


def grown(path: Path, method: str, reference: str, budget: str) -> int:
    """By how many bytes a call raises the peak of a new process, compiled code included."""
    command = [sys.executable, "-W", "ignore", "-c", _CALL, str(path), method, reference, budget]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="needs the peak that Linux notes")
@pytest.mark.slow
def test_peak_within_the_budget(files):
    """Within 100 MB, results and 100 MB for code; a file of twice the size takes no more."""
    for method, reference in (("wilcoxon", "rest"), ("wilcoxon", "0"), ("t-test", "rest")):
        small, large = (grown(path, method, reference, "100MB") for path in files.values())
        assert small < 200e6 + RESULTS
        assert large < 200e6 + RESULTS
        assert large < small + 20e6


def _screen(n_cells: int, n_genes: int, density: float, n_groups: int, *, counts: bool = False) -> ad.AnnData:
    rng = np.random.default_rng(1)
    matrix = sparse.random(n_cells, n_genes, density, format="csr", dtype=np.float32, random_state=rng)
    if counts:
        matrix.data = np.ceil(5 * matrix.data)
    adata = ad.AnnData(matrix)
    adata.obs["group"] = pd.Categorical(rng.integers(0, n_groups, n_cells).astype(str))
    return adata


def _high_at_last() -> ad.AnnData:
    adata = _screen(20_000, 500, 0.3, 50, counts=True)
    adata.X.data[-1] = 0.5
    return adata


OBJECTS = {
    "fractions": lambda: _screen(20_000, 500, 0.3, 20),
    "counts": lambda: _screen(20_000, 500, 0.3, 20, counts=True),
    "many cells": lambda: _screen(60_000, 500, 0.3, 20),
    "many genes": lambda: _screen(10_000, 20_000, 0.02, 5),
    "many groups": lambda: _screen(20_000, 500, 0.3, 500),
    "counts of many groups": lambda: _screen(20_000, 500, 0.3, 200, counts=True),
    "no counts after all": _high_at_last,
}
SHUFFLED, SOME_GENES = np.random.default_rng(2).permutation(20_000), np.random.default_rng(2).permutation(500)[:400]
# Which object, how it is stored, which part is ranked, the budget in MB, further arguments.
CASES = {
    "rows": ("fractions", "csr", ..., 30, {}),
    "scattered cells": ("many cells", "csr", slice(None, None, 40), 30, {}),
    "cells in another order": ("fractions", "csr", SHUFFLED, 30, {}),
    "many genes": ("many genes", "csr", ..., 40, {}),
    "a few genes": ("fractions", "csr", ..., 25, {"mask_var": np.arange(500) % 8 == 0}),
    "moments of many groups": ("many groups", "csr", ..., 40, {"method": "t-test"}),
    "counts of many groups": ("counts of many groups", "csr", ..., 40, {}),
    "no counts after all": ("no counts after all", "csr", ..., 40, {}),
    "columns": ("fractions", "csc", ..., 20, {}),
    "scattered columns": ("fractions", "csc", ..., 20, {"mask_var": np.arange(500) % 4 == 0}),
    "normalized columns": ("counts", "csc", ..., 20, {"normalize": 1e4}),
    "normalized genes of a view, in columns": ("counts", "csc", (slice(None), SOME_GENES), 20, {"normalize": 1e4}),
    "normalized genes of a view, dense": ("counts", "dense", (slice(None), SOME_GENES), 40, {"normalize": 1e4}),
    "columns in another order": ("fractions", "csc", SHUFFLED, 25, {}),
    "dense": ("fractions", "dense", ..., 25, {}),
    "scattered dense columns": ("fractions", "dense", ..., 25, {"mask_var": np.arange(500) % 8 == 0}),
    "normalized dense": ("counts", "dense", ..., 40, {"normalize": 1e4}),
    "median of rows": ("counts", "csr", SHUFFLED, 30, {"normalize": "median"}),
    "median of a view, in columns": ("counts", "csc", (slice(None), SOME_GENES), 20, {"normalize": "median"}),
    "median of a view, dense": ("counts", "dense", (slice(None), SOME_GENES), 40, {"normalize": "median"}),
    "median of many cells": ("many cells", "csr", ..., 40, {"normalize": "median", "groups": ["0"], "reference": "1"}),
    "logged rows": ("counts", "csr", ..., 30, {"normalize": "log1p"}),
    "logged columns": ("counts", "csc", SHUFFLED, 25, {"normalize": "log1p"}),
    "logged dense": ("counts", "dense", ..., 40, {"normalize": "log1p"}),
}


@pytest.fixture(scope="module")
def stored_once(tmp_path_factory) -> Callable[[str, str], Path]:
    """Write an object in a storage, the first time that it is asked for."""
    folder = tmp_path_factory.mktemp("stored")

    @cache
    def path_of(name: str, storage: str) -> Path:
        adata = OBJECTS[name]()
        adata.X = adata.X.toarray() if storage == "dense" else adata.X.asformat(storage)
        path = folder / f"{name} {storage}.h5ad"
        adata.write_h5ad(path, compression="gzip", compression_opts=1)
        return path

    return path_of


@pytest.mark.xdist_group("stored once")
@pytest.mark.parametrize(("name", "storage", "cells", "megabytes", "arguments"), CASES.values(), ids=CASES.keys())
def test_arrays_within_the_budget(stored_once, name, storage, cells, megabytes, arguments):
    """All arrays of a call at once, results aside, in cases that take memory in different places."""
    whole = ad.read_h5ad(stored_once(name, storage), backed="r")
    disk = whole if cells is ... else whole[cells]
    arguments = {"method": "wilcoxon", "tie_correct": True, "n_jobs": 2, "copy": True} | arguments
    scpdex.tl.rank_genes_parallel(whole[:, :20], "group", **(arguments | {"mask_var": None}))
    tracemalloc.start()
    try:
        ranked = scpdex.tl.rank_genes_parallel(disk, "group", max_memory=f"{megabytes}MB", **arguments)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    n_results = 32 * ranked.uns["rank_genes_groups"]["names"].size * len(ranked.uns["rank_genes_groups"]["names"].dtype)
    assert peak - n_results <= 1e6 * megabytes


@pytest.mark.xdist_group("stored once")
@pytest.mark.parametrize(
    ("storages", "megabytes", "arguments"),
    [
        (("csr", "csr"), 30, {}),
        (("csr", "dense"), 40, {"tie_correct": False}),
        (("csc", "csr"), 40, {}),
        (("csc", "csc"), 20, {"method": "t-test"}),
        (("csr", "dense", "csc"), 60, {"normalize": 1e4}),
        (("csr", "dense", "csc"), 60, {"normalize": "median"}),
    ],
)
@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_several_files_within_the_budget(tmp_path, stored_once, storages, megabytes, arguments):
    """As for one file: the budget is for all files together."""
    name = "counts" if "normalize" in arguments else "fractions"
    paths = [tmp_path / f"plate{i}.h5ad" for i in range(len(storages))]
    for path, storage in zip(paths, storages, strict=True):
        copyfile(stored_once(name, storage), path)
    arguments = {"method": "wilcoxon", "tie_correct": True, "n_jobs": 2, "copy": True} | arguments
    scpdex.tl.rank_genes_parallel(paths, "group", mask_var=np.arange(500) < 20, **arguments)
    tracemalloc.start()
    try:
        ranked = scpdex.tl.rank_genes_parallel(paths, "group", max_memory=f"{megabytes}MB", **arguments)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    n_results = 32 * 500 * 20
    assert ranked.n_obs == 20_000 * len(storages)
    assert peak - n_results <= 1e6 * megabytes


def _random_case(seed: int) -> tuple[ad.AnnData, str, dict[str, Any]]:
    """An object of random size and contents, how it is stored, and how it is ranked."""
    rng = np.random.default_rng(seed)
    n_cells, n_genes = int(rng.integers(2_000, 40_000)), int(rng.integers(20, 1_500))
    density = float(rng.choice([0.02, 0.1, 0.3, 0.6]))
    # Up to 6 million values.
    n_cells = min(n_cells, int(6e6 / n_genes / density))
    n_groups = int(rng.integers(2, 300))
    adata = _screen(n_cells, n_genes, density, n_groups, counts=bool(rng.integers(2)))
    storage = str(rng.choice(["csr", "csr", "csc", "dense"]))
    arguments: dict[str, Any] = {"method": str(rng.choice(["wilcoxon", "t-test", "anderson", "brunner-munzel"]))}
    arguments |= {"reference": str(rng.choice(["rest", "0"])), "pts": bool(rng.integers(2))}
    arguments |= {"n_jobs": int(rng.integers(1, 4)), "mean_in_log_space": bool(rng.integers(2))}
    if rng.random() < 0.3:
        arguments["mask_var"] = rng.random(n_genes) < 0.3
    return adata, storage, arguments


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_plans_keep_to_the_budget(tmp_path, seed):
    """From one to four times the least budget that is accepted."""
    adata, storage, arguments = _random_case(seed)
    adata.X = adata.X.toarray() if storage == "dense" else adata.X.asformat(storage)
    adata.write_h5ad(tmp_path / "x.h5ad", compression=[None, "gzip"][seed % 2])
    disk = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    least = tightest(disk, **arguments)
    budget = int(least * np.random.default_rng(seed).uniform(1, 4))
    scpdex.tl.rank_genes_parallel(disk, "group", max_memory=budget, **arguments)
    tracemalloc.start()
    try:
        scpdex.tl.rank_genes_parallel(disk, "group", max_memory=budget, **arguments)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    names = disk.uns["rank_genes_groups"]["names"]
    fractions = 16 * disk.n_vars * len(names.dtype) if arguments["pts"] else 0
    assert peak - 32 * names.size * len(names.dtype) - fractions <= budget


_REPEATED = """
import gc, sys, tracemalloc
from pathlib import Path
import anndata as ad
import scpdex
sys.path.insert(0, sys.argv[1])
from stored import in_chunks

disk = ad.read_h5ad(sys.argv[2], backed="r")
memory = disk.to_memory()
lazy = in_chunks(memory, 300, -1)

def held():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def rank():
    ways = (memory, {"pts": True}), (disk, {"max_memory": "8MB"}), (lazy, {}), (memory[::2], {"copy": True})
    for adata, more in ways:
        for method in ("wilcoxon", "t-test"):
            scpdex.tl.rank_genes_parallel(adata, "group", method=method, n_jobs=2, **more)

for _ in range(25):
    rank()
before = held()
for _ in range(25):
    rank()
print(held() - before)
tracemalloc.start()
traced = []
for _ in range(3):
    for _ in range(4):
        rank()
    gc.collect()
    traced.append(tracemalloc.get_traced_memory()[0])
print(traced[2] - traced[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux says of a process")
@pytest.mark.slow
def test_200_calls_hold_no_more_than_200_before(tmp_path):
    """In memory, on disk, of dask and of views: what an allocator keeps for itself, and next to nothing of Python's."""
    adata = _screen(1_000, 200, 0.3, 20)
    adata.write_h5ad(tmp_path / "x.h5ad")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        _REPEATED,
        SUPPORT,
        str(tmp_path / "x.h5ad"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    of_process, of_32_calls = map(int, done.stdout.split())
    assert of_process < 10e6
    # pandas notes each view of an index for a while.
    assert of_32_calls < 200e3
