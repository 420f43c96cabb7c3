"""A program for processes of their own, which ranks matrices of several dtypes."""

# Ranks matrices of some dtypes, in that order, and holds each against the float64 one.
RANK = """
import sys
import anndata as ad
import numpy as np
import scpdex
values = np.random.default_rng(0).poisson(1, (300, 20))
for dtype in (*sys.argv[1:], "float64"):
    adata = ad.AnnData(values.astype(dtype))
    adata.obs["label"] = np.arange(300) % 3
    scpdex.tl.rank_genes_parallel(adata, "label", method="wilcoxon", tie_correct=True, n_jobs=2)
    result = adata.uns["rank_genes_groups"]["pvals"].tolist()
    assert dtype == sys.argv[1] or result == expected, dtype
    expected = result
"""
