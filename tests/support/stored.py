"""Stored: objects whose matrix is in an h5ad or zarr file, and budgets that are too small for them."""

import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import zarr
from anndata.io import sparse_dataset, write_elem
from oracles import assert_same_bits, by_scpdex
from packaging.version import Version
from scipy import sparse

import scpdex
from scpdex.run import order_table

FORMS = {"dense": np.asarray, "CSR": sparse.csr_matrix, "CSC": sparse.csc_matrix}
TESTS = ["wilcoxon", "t-test"]
EVERYTHING = {"tie_correct": True, "pts": True}
# As anndata writes it by default.
ZARR_FORMAT = 3 if Version(version("anndata")) >= Version("0.13") else 2
# Rows of the chunks of 300 cells.
RAGGED = (13, 1, 100, 86, 99, 1)


def values_of(dtype: str, n_cells: int = 300, n_genes: int = 30, seed: int = 0) -> np.ndarray:
    """Sparse values with ties: counts for integers, their logs and some negative ones for floats."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.5, 1.5, (n_cells, n_genes)))
    if np.dtype(dtype).kind != "f":
        return counts.astype(dtype)
    return (np.log1p(counts) * rng.choice([1, 1, 1, -0.5], (n_cells, 1))).astype(dtype)


def labelled(matrix: Any) -> ad.AnnData:
    """Object with five groups in obs["group"] and some cells without a label."""
    n_cells, n_genes = matrix.shape
    labels = np.resize(np.array(["b", "a", None, "d", "c", "a", "e"], dtype=object), n_cells)
    obs = pd.DataFrame({"group": pd.Categorical(labels)}, index=[f"cell{i}" for i in range(n_cells)])
    return ad.AnnData(matrix, obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(n_genes)]))


def on_disk(adata: ad.AnnData, folder: Path, store: str, mode: str = "r", **options: Any) -> ad.AnnData:
    """Write the object, or but its X to zarr, and open it with its X left on the disk."""
    path = folder / f"{uuid4().hex}.{store}"
    if store == "h5ad":
        adata.write_h5ad(path, **options)
        return ad.read_h5ad(path, backed=mode)
    group = zarr.open_group(path, mode="w", zarr_format=ZARR_FORMAT)
    write_elem(group, "X", adata.X, dataset_kwargs=options)
    x = zarr.open_group(path, mode="r")["X"]
    return ad.AnnData(x if isinstance(x, zarr.Array) else sparse_dataset(x), obs=adata.obs, var=adata.var)


def without_slack(patch: pytest.MonkeyPatch) -> None:
    """Leave away what small data spend on speed, so that they can be too large for a budget."""
    patch.setattr("scpdex.plan.memory_model.BYTES_PER_THREAD", 1000)
    patch.setattr("scpdex.plan.memory_model.LEAST_VALUES_PER_PIECE", 100)
    patch.setattr("scpdex.plan.make_plan.LEAST_NONZEROS_PER_THREAD", 1)


def tightest(adata: ad.AnnData, **arguments: Any) -> int:
    """Find the least budget that is accepted."""
    with pytest.raises(ValueError, match="is too little") as refused:
        scpdex.get.plan(adata, "group", max_memory=1, **arguments)
    number, unit = re.search(r"([0-9.]+) (bytes|kB|MB) are needed", str(refused.value)).groups()
    return int(float(number) * {"bytes": 1, "kB": 1e3, "MB": 1e6}[unit] * 1.01) + 1


def budget_for(adata: ad.AnnData, strategy: str, **arguments: Any) -> int:
    """Find a budget that makes the plan choose a strategy."""
    least = tightest(adata, **arguments)
    for budget in range(least, 20 * least, max(1, least // 5)):
        if scpdex.get.plan(adata, "group", max_memory=budget, **arguments).strategy == strategy:
            return budget
    return pytest.fail(f"no budget makes the plan choose {strategy}")


def in_chunks(adata: ad.AnnData, *sizes: Any, seen: Callable[[np.ndarray], None] | None = None) -> ad.AnnData:
    """Make X a dask array of such chunks; ``seen`` is told the row and column of each chunk whenever it is computed."""
    import dask.array as da

    lazy = adata.copy()
    lazy.X = da.from_array(adata.X, chunks=sizes, asarray=False)
    if seen is not None:

        def look(chunk: Any, block_info: Any) -> Any:
            seen(block_info[0]["chunk-location"])
            return chunk

        lazy.X = lazy.X.map_blocks(look, meta=lazy.X.blocks[0, 0].compute()[:0])
    return lazy


def exact_scores(patch: pytest.MonkeyPatch, adata: ad.AnnData, **arguments: Any) -> np.ndarray:
    """Rank, and give the scores in float64, groups x genes."""
    kept = []

    def keep(table: Any, *others: Any) -> Any:
        kept.append(np.concatenate([level.columns.read("scores", slice(None)) for level in table.comparisons]))
        return order_table(table, *others)

    with patch.context() as within:
        within.setattr("scpdex.tl._rank_and_write.order_table", keep)
        scpdex.tl.rank_genes_parallel(adata, "group", **arguments)
    return kept[0]


def assert_same_tests(patch: pytest.MonkeyPatch, lazy: ad.AnnData, memory: ad.AnnData, **arguments: object) -> None:
    """Rank statistics bit for bit; t within 1e-12 of what it is in memory, or of 1."""
    if arguments["method"] == "wilcoxon":
        ours, expected = by_scpdex(lazy, "group", **arguments), by_scpdex(memory, "group", **arguments)
        for name in {"pts", "pts_rest"} & ours.keys():
            # Lazily opened objects name the index.
            ours[name].index.name = None
        # Sums of expm1 are added up in another order.
        rounded = {"rtol": 0 if arguments.get("mean_in_log_space", True) else 1e-6}
        for result in (ours, expected):
            changes = result.pop("logfoldchanges")
            result["changes"] = np.stack([changes[group] for group in changes.dtype.names])
        np.testing.assert_allclose(ours.pop("changes"), expected.pop("changes"), **rounded)
        assert_same_bits(ours, expected)
        return
    ours, expected = exact_scores(patch, lazy, **arguments), exact_scores(patch, memory, **arguments)
    with np.errstate(invalid="ignore"):
        close = np.abs(ours - expected) <= 1e-12 * np.maximum(1, np.abs(expected))
    assert (close | (ours == expected)).all()
