"""Screens: a small one with all kinds of content, for the command."""

import anndata as ad
import numpy as np
import scipy.sparse as sp

GROUPS = ["control", "kd A", "kd B", "kd C"]


def make_screen(n_obs: int = 120, n_vars: int = 30, *, seed: int = 0) -> ad.AnnData:
    """Log counts, with annotations, layers, embeddings and unstructured data."""
    rng = np.random.default_rng(seed)
    x = sp.random(n_obs, n_vars, 0.4, format="csr", random_state=rng, dtype=np.float32)
    x.data = np.round(x.data * 4 + 1)
    adata = ad.AnnData(np.log1p(x), layers={"counts": x})
    adata.obs_names = [f"cell{i}" for i in range(n_obs)]
    adata.var_names = [f"gene{i}" for i in range(n_vars)]
    adata.obs["gene"] = np.array(GROUPS)[np.arange(n_obs) % len(GROUPS)]
    adata.obs["batch"] = np.array(["x", "y"])[np.arange(n_obs) // 4 % 2]
    adata.var["some"] = np.arange(n_vars) % 3 > 0
    adata.obsm["X_pca"] = rng.normal(size=(n_obs, 3))
    adata.obsp["distances"] = sp.random(n_obs, n_obs, 0.1, format="csr", random_state=rng)
    adata.varm["PCs"] = rng.normal(size=(n_vars, 3))
    adata.uns = {"log1p": {"base": None}, "colors": np.array(["red", "blue"]), "nested": {"params": {"a": 1}}}
    return adata
