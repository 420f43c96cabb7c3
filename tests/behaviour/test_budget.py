"""Memory budget: all arrays of a call at once, results aside, where much is held after ranking or beside the values."""

import tracemalloc
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scpdex

BUDGET = 60_000_000


def _object(n_cells: int, n_genes: int, n_groups: int, density: float) -> ad.AnnData:
    rng = np.random.default_rng(0)
    adata = ad.AnnData(sparse.random(n_cells, n_genes, density, format="csr", dtype=np.float32, random_state=rng))
    adata.obs["group"] = pd.Categorical(rng.permutation(np.arange(n_cells) % n_groups).astype(str))
    return adata


def _with(adata: ad.AnnData, matrix: Any) -> ad.AnnData:
    return ad.AnnData(matrix, obs=adata.obs, var=adata.var)


def _unsorted(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    order = np.concatenate([np.arange(b, a)[::-1] for a, b in zip(matrix.indptr[1:], matrix.indptr[:-1], strict=True)])
    return sparse.csr_matrix((matrix.data[order], matrix.indices[order], matrix.indptr), shape=matrix.shape)


def _result_bytes(value: Any) -> int:
    """Bytes of the arrays of a result: matrices, records without their names, and tables."""
    if isinstance(value, Mapping):
        return sum(map(_result_bytes, value.values()))
    if isinstance(value, pd.DataFrame):
        return int(value.memory_usage(index=False).sum())
    return value.nbytes if isinstance(value, np.ndarray) else 0


def _held(call: Callable[[], Any]) -> tuple[int, Any]:
    """Bytes that a call holds at once, what it gives included, and what that is."""
    tracemalloc.start()
    try:
        given = call()
        return tracemalloc.get_traced_memory()[1], given
    finally:
        tracemalloc.stop()


def _excess(adata: ad.AnnData, **arguments: Any) -> int:
    """Bytes that a ranking holds beyond its results, once all kernels are compiled."""
    arguments = {"method": "wilcoxon", "tie_correct": True, "n_jobs": 2} | arguments
    scpdex.tl.rank_genes_parallel(adata[:, :20], "group", copy=True, **arguments)
    copy = adata.is_view
    peak, given = _held(
        lambda: scpdex.tl.rank_genes_parallel(adata, "group", max_memory=BUDGET, copy=copy, **arguments)
    )
    ranked = given if copy else adata
    return peak - _result_bytes({**ranked.uns["rank_genes_groups"], **ranked.varm})


@pytest.fixture(scope="module")
def many_pairs(tmp_path_factory) -> ad.AnnData:
    """6 million pairs on disk, whose results take 24 to 48 bytes each."""
    path = tmp_path_factory.mktemp("budget") / "x.h5ad"
    _object(6_000, 4_000, 1_500, 0.02).write_h5ad(path)
    return ad.read_h5ad(path, backed="r")


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("pts", [False, True])
@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_many_pairs_on_disk(many_pairs, storage, pts, n_jobs):
    """Statistics, fractions and the order of the genes of 1,500 groups."""
    assert _excess(many_pairs, storage=storage, pts=pts, n_jobs=n_jobs) <= BUDGET


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_wide_slices(n_jobs):
    """Groups whose 60,000 genes each take megabytes while they are ordered."""
    assert _excess(_object(600, 60_000, 128, 0.01), n_jobs=n_jobs) <= BUDGET


IN_MEMORY = {
    "CSR, unsorted": _unsorted,
    "CSC, unsorted": lambda x: sparse.csc_matrix(_unsorted(x.T.tocsr()).T),
    "dense, big-endian": lambda x: x.toarray().astype(">f8"),
    "dense, float16": lambda x: x.toarray().astype(np.float16),
}


@pytest.fixture(scope="module")
def many_values() -> ad.AnnData:
    """8 million values, which take 64 MB."""
    return _object(40_000, 1_000, 20, 0.2)


@pytest.mark.parametrize("make", IN_MEMORY.values(), ids=IN_MEMORY)
def test_matrices_that_kernels_cannot_read_in_place(many_values, make):
    """Other byte orders, half precision and unsorted indices: no copy of the whole matrix."""
    assert _excess(_with(many_values, make(many_values.X))) <= BUDGET


@pytest.mark.parametrize("matrix_format", ["csr", "csc"])
@pytest.mark.parametrize("axis", [0, 1])
def test_views_in_another_order(many_values, monkeypatch, matrix_format, axis):
    """Cells or genes of a view; anndata copies its X once results are written, which is not counted."""
    adata = _with(many_values, many_values.X.asformat(matrix_format))
    order = np.random.default_rng(1).permutation(adata.shape[axis])
    view = adata[order] if axis == 0 else adata[:, order]
    arguments = {"method": "wilcoxon", "tie_correct": True, "n_jobs": 2}
    scpdex.tl.rank_genes_parallel(view[:, :20], "group", copy=True, **arguments)
    peaks = []
    module = import_module("scpdex.tl._rank_and_write")
    monkeypatch.setattr(module, "write_results", lambda *_, **__: peaks.append(tracemalloc.get_traced_memory()[1]))
    _held(lambda: scpdex.tl.rank_genes_parallel(view, "group", max_memory=BUDGET, **arguments))
    assert peaks[0] <= BUDGET + 32 * 1_000 * 20
