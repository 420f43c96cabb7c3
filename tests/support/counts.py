"""Counts: cells that differ in size, where they lie, and what scanpy and scpdex make of them."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import scanpy as sc
from oracles import by_scpdex
from packaging.version import Version
from stored import FORMS, in_chunks, labelled, on_disk

import scpdex

MASK = np.arange(30) % 3 == 1
RULES = [1e4, "median", "log1p"]


def counts_of(dtype: str = "float32") -> np.ndarray:
    """Counts of cells that differ in size, with genes in which they differ more than in others."""
    rng = np.random.default_rng(1)
    counts = rng.poisson(rng.gamma(0.5, 1.5, (300, 30)) * rng.uniform(0.2, 3, (300, 1)))
    counts[7] = 0
    return counts.astype(dtype)


def by_scanpy_first(adata: ad.AnnData, normalize: Any = 1e4, **arguments: Any) -> Any:
    """Rank what scanpy normalizes, in an object of its own."""
    own = adata.copy()
    normalize_by_scanpy(own, normalize, layer=arguments.get("layer"))
    return by_scpdex(own, "group", **arguments)


def normalize_by_scanpy(adata: ad.AnnData, normalize: Any, **arguments: Any) -> None:
    """Normalize an object as scanpy does."""
    if normalize == "median":
        normalize = _median_target(adata, **arguments)
    if normalize != "log1p":
        sc.pp.normalize_total(adata, target_sum=normalize, **arguments)
    sc.pp.log1p(adata, **arguments)


def _median_target(adata: ad.AnnData, **arguments: Any) -> Any:
    """None, scanpy's own median; its releases before 1.12 but 1.11.0 count cells without counts if X is sparse."""
    if not Version("1.11.0") < Version(version("scanpy")) < Version("1.12"):
        return None
    sizes = sc.pp.normalize_total(adata, target_sum=1, inplace=False, **arguments)["norm_factor"]
    return np.median(sizes[sizes > 0])


def normalized(adata: ad.AnnData, normalize: Any = 1e4, **arguments: Any) -> Any:
    done = scpdex.tl.rank_genes_parallel(adata, "group", normalize=normalize, copy=True, **arguments)
    return done.uns["rank_genes_groups"]


def values_in(way: str, values: np.ndarray, form: str, folder: Path) -> tuple[ad.AnnData, dict[str, Any]]:
    memory = labelled(FORMS[form](values))
    if way == "h5ad":
        return on_disk(memory, folder, "h5ad"), {}
    return (in_chunks(memory, 70, -1) if way == "dask" else memory), {"low_memory": way == "low memory" or None}
