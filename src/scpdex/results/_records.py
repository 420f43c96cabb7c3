"""Records: from genes x groups arrays to scanpy's layout in uns."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FIELDS = {"scores": np.float32, "logfoldchanges": np.float32, "pvals": np.float64, "pvals_adj": np.float64}


@dataclass(frozen=True)
class RankedGenes:
    """The genes of each group from the highest score down."""

    groups: tuple[str, ...]
    order: NDArray[np.intp]
    """Position of each gene among the tested genes: groups x ranks."""
    statistics: dict[str, NDArray[Any]]
    """By scanpy's field names, ``scores`` and, where the test has them, the others: ranks x groups, C-contiguous."""

    def records(self, gene_names: NDArray[Any]) -> dict[str, Any]:
        """Give scanpy's record arrays, one field per group."""
        fields = {"names": _names(gene_names, self.order, self.groups)}
        return fields | {name: _as_records(values, self.groups) for name, values in self.statistics.items()}


def _as_records(values: NDArray[Any], groups: Sequence[str]) -> NDArray[Any]:
    """View a C-contiguous matrix of one dtype as records, without a copy."""
    dtype = np.dtype({"names": list(groups), "formats": [values.dtype] * len(groups)})
    return values.view(dtype)[:, 0].view(np.recarray)


def _names(gene_names: NDArray[Any], order: NDArray[np.intp], groups: Sequence[str]) -> NDArray[Any]:
    """Fill records of names field by field, since arrays of objects cannot be viewed as records."""
    dtype = np.dtype({"names": list(groups), "formats": ["O"] * len(groups)})
    # np.empty would go through all fields of all rows, one by one.
    names = np.zeros(order.shape[1], dtype=dtype)
    for g, group in enumerate(groups):
        names[group] = gene_names[order[g]]
    return names.view(np.recarray)


def fractions_table(fractions: NDArray[np.float64], var_names: pd.Index[Any], groups: Sequence[str]) -> pd.DataFrame:
    """Fraction of cells that express each gene, genes x groups, as scanpy's ``pts``."""
    return pd.DataFrame(fractions, index=var_names, columns=list(groups))


def unwritable_columns(groups: Sequence[str]) -> list[str]:
    """Find groups whose name cannot be a column of a table in an h5ad or zarr file."""
    return [group for group in groups if "/" in group or group in {"", "_index"}]


def refuse_unless_storable(adata: AnnData, *, on_disk: bool, copy: bool) -> bool:
    """Tell whether a copy is one without X, as it is for data on disk.

    Raises
    ------
    ValueError
        ``adata`` is a view of data on disk, which cannot hold a result.
    """
    if not on_disk:
        return False
    if adata.is_view and not copy:
        msg = (
            "adata is a view of data on disk, and storing a result would read all of it into memory. Pass copy=True "
            "for an AnnData with obs, var, uns and the result, without X."
        )
        raise ValueError(msg)
    return copy


def store(adata: AnnData, key: str, result: dict[str, Any], *, copy: bool, light: bool) -> AnnData | None:
    """Put a whole result into ``uns``: of a copy that is returned, a light one without X, or of the object itself."""
    if light:
        adata = AnnData(obs=adata.obs.copy(), var=adata.var.copy(), uns=deepcopy(dict(adata.uns)))
    elif copy:
        adata = adata.copy()
    adata.uns[key] = result
    return adata if copy else None
