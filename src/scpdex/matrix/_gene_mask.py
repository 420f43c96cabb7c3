"""Gene mask: the argument ``mask_var`` as one bool per gene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.matrix._anndata import column_name, read_annotations

if TYPE_CHECKING:
    from anndata import AnnData
    from anndata.acc import AdRef
    from numpy.typing import NDArray


def read_gene_mask(
    adata: AnnData,
    mask_var: NDArray[Any] | pd.Series[bool] | str | AdRef[Any, Any] | None,
    var_names: pd.Index[Any],
    *,
    use_raw: bool,
) -> NDArray[np.bool_] | None:
    """Give a bool per gene of ``var_names``; None if there is no mask.

    Raises
    ------
    KeyError
        ``mask_var`` names a column that ``adata.var`` lacks.
    ValueError
        The mask is no vector of bools, has missing values, or does not fit the genes.
    """
    if mask_var is None:
        return None
    values = column_name(mask_var)
    if isinstance(values, str):
        if values not in adata.var.columns:
            columns = ", ".join(map(repr, adata.var.columns)) or "none exist"
            msg = f"mask_var={values!r} is not a column of adata.var. Valid: {columns}."
            raise KeyError(msg)
        values = read_annotations(adata.var, values)[values]
    if np.ndim(values) != 1:
        msg = f"mask_var must have one dimension, a bool for each gene, but has shape {np.shape(values)}."
        raise ValueError(msg)
    mask = pd.Series(values)
    if not pd.api.types.is_bool_dtype(mask.dtype):
        holds_names = pd.api.types.infer_dtype(mask) == "string"
        hint = " For names of genes, pass adata.var_names.isin(names)." if holds_names else ""
        msg = f"mask_var must be boolean without missing values, but has dtype {mask.dtype}.{hint}"
        raise ValueError(msg)
    if mask.isna().any():
        msg = f"mask_var must be boolean without missing values, but has {mask.isna().sum():,} of these: fill them."
        raise ValueError(msg)
    if len(mask) != len(var_names):
        hint = " of adata.raw, which is ranked: pass use_raw=False to rank X" if use_raw else ""
        msg = f"mask_var has {len(mask)} values for {len(var_names)} genes{hint}."
        raise ValueError(msg)
    if not isinstance(mask.index, pd.RangeIndex) and not mask.index.equals(var_names):
        msg = (
            "mask_var is a Series whose index is not the names of the genes in their order. Pass "
            "mask_var.reindex(adata.var_names), or mask_var.to_numpy() if its values are in order."
        )
        raise ValueError(msg)
    return mask.to_numpy(dtype=bool)
