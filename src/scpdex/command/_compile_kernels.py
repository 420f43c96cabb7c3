"""Compile kernels ahead of their use: small calls that make every kernel meet all types of arguments.

Numba compiles a kernel once for each list of argument types. Which kernels a call takes, and with which types, depends
on the test, the dtype and the storage of the matrix, and the way in which it is read, and not on its size.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scanpy import settings

from scpdex.compat.pdex_0_3 import pdex
from scpdex.get import plan, rank_genes_df
from scpdex.kernels._compile import measure_cache_use
from scpdex.kernels._disk_cache import cpu_name
from scpdex.matrix import IN_MEMORY, make_chunks, make_csr_matrix, make_matrix
from scpdex.statistics.tie_correction import EXACT_TIE_SUMS_BELOW
from scpdex.tl import rank_genes_parallel, rank_genes_to_uns, rank_genes_to_varm, score_markers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INTEGERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
# float32 has keys of 32 bits, float64 of 64: kernels behind the gene block know no other dtypes.
_FLOATS = ("float32", "float64")
_N_CELLS = 600
_N_GENES = 5
# The first gene is left out, and tested genes are no neighbours.
_SOME_GENES = np.array([False, True, False, True, True])
# Two blocks of genes, the last of which does not fill the buffers: its boundaries are a view.
_BLOCKS = {"gene_chunk_size": 3}
_TESTS: tuple[dict[str, Any], ...] = (
    {"method": "t-test"},
    {"method": "wilcoxon"},
    {"method": "wilcoxon", "tie_correct": True},
    {"method": "wilcoxon", "strata": "donor"},
    {"method": "wilcoxon", "extras": ("auc_se",)},
    {"method": "wilcoxon", "extras": ("auc_se",), "tie_correct": True},
    {"method": "anderson"},
)
# Row passes need a matrix that takes more memory than its sums.
_N_CELLS_OF_PASSES = 20_000
_N_GENES_OF_PASSES = 200
_LEAST_BUDGET = 4e6
_BUDGET_STEP = 1.05


@dataclass(frozen=True)
class CompiledKernels:
    """What :func:`compile_kernels` has done. A kernel counts once for each list of argument types."""

    n_compiled: int
    """Kernels that were compiled."""
    n_loaded: int
    """Kernels that were in the cache."""
    folder: str | None
    """Folder that compiled kernels are written to; None if they cannot be kept."""
    cpu_name: str
    """Processor that they are compiled for, as LLVM calls it."""


def compile_kernels() -> CompiledKernels:
    """Compile all kernels that the cache lacks, and write them there."""
    before = measure_cache_use()
    with settings.verbosity.override("error"):
        for call in _CALLS:
            call()
    after = measure_cache_use()
    return CompiledKernels(
        n_compiled=after.n_compiled - before.n_compiled,
        n_loaded=after.n_loaded - before.n_loaded,
        folder=after.folder,
        cpu_name=cpu_name(),
    )


def _read_storages() -> None:
    """Read each dtype from each storage, in memory and in parts."""
    for dtype, storage in product(_INTEGERS + _FLOATS, IN_MEMORY):
        adata = _make_object(make_matrix(_make_values(dtype), storage))
        for in_parts, genes in product((None, True), (None, _SOME_GENES)):
            _rank(adata, low_memory=in_parts, mask_var=genes, **_BLOCKS)


def _normalize() -> None:
    """Normalize counts of each storage, over the genes of the object and of a view."""
    for dtype, storage, in_parts in product(_FLOATS, IN_MEMORY, (None, True)):
        adata = _make_object(make_matrix(_make_counts(dtype), storage))
        for genes in (slice(None), slice(None, None, 2)):
            _rank(adata[:, genes], normalize=1e4, low_memory=in_parts, copy=True)


def _compute_chunks() -> None:
    """Rank dask arrays, where dask is installed: no other matrix is turned gene-major with indices of 64 bits."""
    for dtype in _INTEGERS + _FLOATS:
        chunks = make_chunks(_make_counts(dtype), "CSR, 64-bit indices")
        if chunks is None:
            return
        adata = _make_object(chunks)
        for genes in (None, _SOME_GENES):
            _rank(adata, mask_var=genes, **_BLOCKS)
        if dtype in _FLOATS:
            for view in (slice(None), slice(None, None, 2)):
                _rank(adata[:, view], normalize=1e4, copy=True)


def _test() -> None:
    """Run each test, against the rest and a reference, with both ways of averaging."""
    for dtype, test, reference in product(_FLOATS, _TESTS, ("rest", "0")):
        adata = _make_object(make_matrix(_make_values(dtype), "CSR"))
        for mean_in_log_space in (True, False):
            _rank(adata, **test, reference=reference, mean_in_log_space=mean_in_log_space)


def _compare_as_pdex() -> None:
    """Take means of logs of counts, with and without a reference."""
    modes: tuple[dict[str, Any], ...] = ({"mode": "ref", "reference": "0"}, {"mode": "all"})
    for dtype, mode in product(_FLOATS, modes):
        adata = _make_object(make_matrix(_make_values(dtype), "CSR"))
        pdex(adata, "group", is_log1p=False, as_pandas=True, **mode)


def _compare_pairs() -> None:
    """Score markers, with p-values and without; genes are ranked in each pair."""
    for dtype, pvals in product(_FLOATS, (False, True)):
        adata = _make_object(make_matrix(_make_values(dtype), "CSR"))
        score_markers(adata, "group", pvals=pvals, show_progress=False)


def _report() -> None:
    """Store results in both layouts, convert them, and read them as tables."""
    adata = _make_object(make_matrix(_make_values("float32"), "CSR"))
    extras: dict[str, Any] = {"pts": True, "extras": ("u", "auc", "means", "log10_pvals")}
    layouts = {"uns": (rank_genes_to_varm, rank_genes_to_uns), "varm": (rank_genes_to_uns, rank_genes_to_varm)}
    for (storage, conversions), n_genes in product(layouts.items(), (None, 3)):
        _rank(adata, method="wilcoxon", storage=storage, n_genes=n_genes, **extras)
        rank_genes_df(adata)
        for convert in conversions:
            convert(adata)
            rank_genes_df(adata)


def _read_in_passes() -> None:
    """Add up rows that do not fit the memory budget: sums, those of levels too, and tallies."""
    counts = np.random.default_rng(0).poisson(0.1, (_N_CELLS_OF_PASSES, _N_GENES_OF_PASSES))
    tests = ({"method": "t-test"}, {"method": "t-test", "split_by": "donor"}, {"method": "wilcoxon"})
    for dtype in _FLOATS:
        adata = _make_object(make_matrix(counts.astype(dtype), "CSR"))
        for test, mean_in_log_space in product(tests, (True, False)):
            options = {**test, "mean_in_log_space": mean_in_log_space, "low_memory": True, "n_jobs": 1}
            _rank(adata, max_memory=_find_least_budget(adata, options), **options)


def _find_least_budget(adata: AnnData, options: dict[str, Any]) -> float:
    """Find about the least memory budget that a call accepts, with which rows pass twice."""
    budget = _LEAST_BUDGET
    while True:
        try:
            plan(adata, "group", max_memory=budget, **options)
        except ValueError:
            budget *= _BUDGET_STEP
        else:
            return budget


def _refuse_nan() -> None:
    """Count the NaN of a matrix that cannot be ranked."""
    for dtype in _FLOATS:
        values = _make_values(dtype)
        values[0, 0] = np.nan
        with suppress(ValueError):
            _rank(_make_object(values))


def _rank_many_cells() -> None:
    """Correct for ties of so many cells that tie sums are float64."""
    n_empty = EXACT_TIE_SUMS_BELOW - _N_CELLS
    for dtype in _FLOATS:
        matrix = make_matrix(_make_values(dtype), "CSR")
        indptr = np.append(matrix.indptr, np.full(n_empty, matrix.nnz, dtype=matrix.indptr.dtype))
        adata = _make_object(make_csr_matrix(matrix.data, matrix.indices, indptr, _N_GENES))
        for reference in ("rest", "0"):
            for extras in ((), ("auc_se",)):
                _rank(adata, method="wilcoxon", tie_correct=True, reference=reference, extras=extras)
        score_markers(adata, "group", pvals=True, show_progress=False)


def _rank(adata: AnnData, **options: Any) -> None:
    rank_genes_parallel(adata, "group", show_progress=False, **options)


def _make_counts(dtype: str) -> NDArray[Any]:
    """Make counts that every dtype holds, cells x genes."""
    counts = np.random.default_rng(0).poisson(1, (_N_CELLS, _N_GENES))
    return counts.astype(dtype)


def _make_values(dtype: str) -> NDArray[Any]:
    """Make counts or, for floats, one gene for each way of ranking: by a table, by buckets, by a sort."""
    values = _make_counts(dtype)
    if dtype in _FLOATS:
        rng = np.random.default_rng(0)
        values[:, 1] = rng.integers(1 << 10, 1 << 12, _N_CELLS) / (1 << 9)
        values[:, 2] = rng.normal(size=_N_CELLS)
    return values


def _make_object(matrix: Any) -> AnnData:
    """Make an object with three groups of cells, within two donors."""
    n_cells = matrix.shape[0]
    numbers = np.arange(n_cells)
    names = np.array(["0", "1", "2"])
    obs = pd.DataFrame(
        {
            "group": pd.Categorical(names[numbers % 3]),
            "donor": pd.Categorical(names[numbers // 3 % 2]),
        },
        index=numbers.astype(str),
    )
    return AnnData(matrix, obs=obs)


_CALLS = (
    _read_storages,
    _normalize,
    _compute_chunks,
    _test,
    _compare_as_pdex,
    _compare_pairs,
    _report,
    _read_in_passes,
    _refuse_nan,
    _rank_many_cells,
)
