"""pdex calls: the drop-in, with short names for what the tests vary."""

from typing import Any

import anndata as ad
import pandas as pd

from scpdex import parallel_differential_expression


def compare(adata: ad.AnnData, reference: Any = "b", key: str = "label", **arguments: Any) -> pd.DataFrame:
    arguments = {"show_progress": False, "reference": reference, "groupby_key": key} | arguments
    return parallel_differential_expression(adata, **arguments)
