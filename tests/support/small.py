"""Small: objects of 60 cells with ties, and their labels."""

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

METHODS = ["wilcoxon", "t-test", "t-test_overestim_var"]


def small(values: Any, labels: Any) -> ad.AnnData:
    """Object with the labels in obs["label"]."""
    n_cells, n_genes = values.shape
    obs = pd.DataFrame({"label": labels}, index=[f"cell{i}" for i in range(n_cells)])
    return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(n_genes)]))


def tied(n_cells: int = 60, n_genes: int = 12, seed: int = 0) -> np.ndarray:
    """Float32 values with many ties and zeros."""
    rng = np.random.default_rng(seed)
    return np.log1p(rng.poisson(0.8, (n_cells, n_genes))).astype(np.float32)


def three(n_cells: int = 60) -> pd.Categorical:
    return pd.Categorical(np.resize(["a", "b", "c", "a"], n_cells))
