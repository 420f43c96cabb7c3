"""Data: Perturb-seq-like matrices from a seed, and the real one that a case may ask for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
from scipy import sparse

DATA = Path(os.environ.get("SCPDEX_DATA", Path(__file__).parents[2] / "shared" / "data"))
SHIPPED = Path(__file__).parents[1] / "tests" / "data"
CONTROL = "non-targeting"
_CELLS_AT_A_TIME = 10_000


@dataclass(frozen=True)
class Recipe:
    """What a matrix is made of.

    Counts are negative binomial with a dispersion of 1/2; gene means and library sizes are log-normal. Groups are one
    control and perturbations of equal size (``control`` > 0), or clusters of unequal size.
    """

    n_cells: int
    n_genes: int
    n_groups: int
    density: float
    log: bool
    control: float = 0.1
    """Share of cells in the control; 0 makes clusters."""
    seed: int = 0


def generate(recipe: Recipe) -> ad.AnnData:
    """Make the matrix as float32 CSR, and its labels in obs["group"]."""
    rng = np.random.default_rng(recipe.seed)
    library = rng.lognormal(0, 0.4, recipe.n_cells)
    means = _means_of_density(rng.lognormal(0, 1, recipe.n_genes), recipe.density)
    values, indices, lengths = [], [], []
    for first in range(0, recipe.n_cells, _CELLS_AT_A_TIME):
        size = library[first : first + _CELLS_AT_A_TIME, None]
        rate = means * size * rng.gamma(2, 0.5, (size.shape[0], recipe.n_genes))
        part = sparse.csr_matrix(rng.poisson(rate).astype(np.float32))
        values.append(part.data)
        indices.append(part.indices)
        lengths.append(np.diff(part.indptr))
    indptr = np.r_[0, np.cumsum(np.concatenate(lengths))]
    shape = (recipe.n_cells, recipe.n_genes)
    # One array after the other, so that the largest matrices are not held twice.
    adata = ad.AnnData(sparse.csr_matrix((_join(values), _join(indices), indptr), shape=shape))
    if recipe.log:
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    adata.obs["group"] = pd.Categorical(_labels(recipe, rng))
    return adata


def read(recipe: Recipe | str | None) -> ad.AnnData:
    """Make the matrix of a recipe, or read pbmc3k (None) or the screen (its name)."""
    if isinstance(recipe, Recipe):
        return generate(recipe)
    return pbmc3k() if recipe is None else papalexi()


def cut(adata: ad.AnnData) -> ad.AnnData:
    """Keep some cells of the five largest groups, and some genes."""
    largest = adata.obs["group"].value_counts().index[:5]
    cells = np.flatnonzero(adata.obs["group"].isin(largest))[:1_200]
    return adata[cells, :40].copy()


def pbmc3k() -> ad.AnnData:
    """2,638 PBMCs x 13,714 genes, log-normalised, cell types in obs["group"]."""
    adata = ad.read_h5ad(DATA / "pbmc3k.h5ad")
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    adata.obs["group"] = adata.obs["louvain"]
    return adata


def papalexi() -> ad.AnnData:
    """20,729 THP-1 cells x 299 genes, log-normalised, 25 perturbations and a control in obs["group"]."""
    adata = ad.read_h5ad(SHIPPED / "papalexi2021_thp1.h5ad")
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    adata.obs["group"] = adata.obs["gene"].astype("category")
    return adata


def stored_as(storage: str, adata: ad.AnnData) -> ad.AnnData:
    """Copy, with its CSR matrix as ``"csr"``, ``"csc"`` or ``"dense"``."""
    adata = adata.copy()
    adata.X = adata.X.toarray() if storage == "dense" else adata.X.asformat(storage)
    return adata


def _join(parts: list[np.ndarray]) -> np.ndarray:
    """Concatenate arrays, and let go of them."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def _means_of_density(means: np.ndarray, density: float) -> np.ndarray:
    """Scale gene means until so large a share of values is expected above 0: P(0) = (1 + m / 2)**-2."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        expected = np.mean(1 - (1 + means * np.exp(middle) / 2) ** -2)
        low, high = (middle, high) if expected < density else (low, middle)
    return means * np.exp(low)


def _labels(recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    if recipe.control:
        n_perturbed = recipe.n_groups - 1
        shares = np.r_[recipe.control, np.full(n_perturbed, (1 - recipe.control) / n_perturbed)]
        names = np.array([CONTROL, *(f"gene{i}" for i in range(n_perturbed))])
    else:
        shares = rng.dirichlet(np.full(recipe.n_groups, 2.0))
        names = np.array([f"cluster{i}" for i in range(recipe.n_groups)])
    return names[rng.choice(recipe.n_groups, recipe.n_cells, p=shares)]
