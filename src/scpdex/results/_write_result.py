"""Store: whole results, as records or as matrices, go into an object last, or into its copy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from natsort import natsorted

from scpdex.machine.threads import anndata_lock
from scpdex.results._ownership import outdated_levels
from scpdex.results._scanpy_records import fractions_table
from scpdex.results._varm_matrices import all_matrices, remove_matrices, to_varm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scpdex.results._read_result import StoredResult

Storage = Literal["uns", "varm"]


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


def refuse_storage(adata: AnnData, storage: str, *, use_raw: bool) -> None:
    """Raise a ValueError where a result cannot be stored so."""
    if storage not in ("uns", "varm"):
        msg = f"storage={storage!r} is not valid: pass 'uns' or 'varm'."
        raise ValueError(msg)
    if storage == "varm" and use_raw and not adata.raw.var_names.equals(adata.var_names):
        msg = (
            "storage='varm' has a row for each of adata.var, and adata.raw has other genes, or another order: pass "
            "use_raw=False to rank X, or storage='uns'."
        )
        raise ValueError(msg)


def as_records(result: StoredResult, var_names: pd.Index[Any]) -> dict[str, Any]:
    """Give scanpy's layout: records of each field, and tables of fractions."""
    tables = {}
    for name, (columns, fractions) in result.fractions.items():
        # Fractions of groups are known of all tested genes, those of a rest without cells of none.
        tested = ~np.isnan(result.fractions["pts"][1][:, 0])
        tables[name] = fractions_table(fractions[tested], var_names[tested], columns)
    return {"params": result.params} | tables | result.ranked.records(result.names)


def _copied(annotations: Any) -> pd.DataFrame:
    """Copy obs or var; of a lazily opened object it is read into memory."""
    is_frame = isinstance(annotations, pd.DataFrame)
    return annotations.copy() if is_frame else pd.DataFrame(annotations.to_memory())


def _convert_strings(obs: Any, name: str) -> None:
    """Make a column of strings categorical, as anndata does: in natural order, unless every string is another one."""
    if not isinstance(obs, pd.DataFrame) or pd.api.types.infer_dtype(obs[name]) != "string":
        return
    labels = pd.Categorical(obs[name])
    if len(labels.categories) < len(labels):
        in_order = natsorted(labels.categories)
        obs[name] = labels if list(labels.categories) == in_order else labels.reorder_categories(in_order)


def store(
    adata: AnnData,
    results: Mapping[str, StoredResult],
    storage: Storage,
    *,
    var_names: pd.Index[Any],
    further: Mapping[str, dict[str, Any]] | None = None,
    groupby: str | None = None,
    copy: bool = False,
    light: bool = False,
) -> AnnData | None:
    """Put whole results into an object or its copy; matrices of those that they replace are removed.

    ``results`` are by their keys in ``uns``, and so are ``further`` entries; ``var_names`` are those of the genes;
    ``groupby`` is a column of ``obs`` that becomes categorical if it holds strings; ``light`` makes the copy one
    without X.
    """
    entries: dict[str, dict[str, Any]] = {}
    matrices: dict[str, Any] = {}
    for key, result in results.items():
        if storage == "varm":
            entries[key], of_key = to_varm(result, key, adata.n_vars)
            matrices |= of_key
        else:
            entries[key] = as_records(result, var_names)
    with anndata_lock:
        if light:
            obs, var = _copied(adata.obs), _copied(adata.var)
            adata = AnnData(obs=obs, var=var, uns=deepcopy(dict(adata.uns)), varm=all_matrices(adata))
        elif copy:
            adata = adata.copy()
    entries |= further or {}

    def write() -> None:
        with anndata_lock:
            outdated = [key for key in outdated_levels(adata, entries) if key not in entries]
            uns, varm = dict(adata.uns), dict(adata.varm)
            try:
                for key in [*entries, *outdated]:
                    remove_matrices(adata, key)
                for key in outdated:
                    del adata.uns[key]
                for name, matrix in matrices.items():
                    adata.varm[name] = matrix
                for key, entry in entries.items():
                    adata.uns[key] = entry
                # Last, since a view is an object of its own by now, and this step has no way back.
                if groupby is not None:
                    _convert_strings(adata.obs, groupby)
            except BaseException:
                if not adata.is_view:
                    adata.uns, adata.varm = uns, varm
                raise

    # Ctrl-C reaches the main thread only: on another, all is written or nothing.
    with ThreadPoolExecutor(1, thread_name_prefix="scpdex") as pool:
        pool.submit(write).result()
    return adata if copy else None
