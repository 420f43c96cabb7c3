"""Papalexi: the CRISPR screen that lies beside the tests."""

from pathlib import Path

import anndata as ad
import numpy as np

PATH = Path(__file__).parents[1] / "data" / "papalexi2021_thp1.h5ad"


def read_papalexi() -> ad.AnnData:
    """Read 20,729 THP-1 cells x 299 genes, as raw counts in float32."""
    adata = ad.read_h5ad(PATH)
    adata.X = adata.X.astype(np.float32)
    return adata
