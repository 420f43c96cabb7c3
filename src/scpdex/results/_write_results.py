"""Write results: all entries and matrices of a call go into an object, or its copy, last and whole, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pandas as pd
from anndata import AnnData
from natsort import natsorted

from scpdex.machine.threads import anndata_lock
from scpdex.results._varm_matrices import collect_matrices, remove_matrices
from scpdex.results._write_checks import outdated_levels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scpdex.results._ranked_result import RankedResult
    from scpdex.results._result_storage import ResultStorage


def write_results(
    adata: AnnData,
    results: Mapping[str, RankedResult[Any]],
    level_lists: Mapping[str, dict[str, Any]],
    storage: ResultStorage,
    var_names: pd.Index[Any],
    *,
    groupby: str | None = None,
    copy: bool = False,
    on_disk: bool = False,
) -> AnnData | None:
    """Write whole results into an object or its copy; remove the matrices of the results that they replace.

    ``results`` are by their keys in ``uns``, and so are ``level_lists``, the entries that list levels; ``var_names``
    are those of the tested genes; ``groupby`` is a column of ``obs`` that becomes categorical if it holds strings; a
    copy of data that are ``on_disk`` has no X.
    """
    entries: dict[str, dict[str, Any]] = {}
    matrices: dict[str, Any] = {}
    for key, result in results.items():
        entries[key], result_matrices = storage.make_entry(result, key, var_names)
        matrices |= result_matrices
    return write_entries(adata, {**entries, **level_lists}, matrices, groupby=groupby, copy=copy, on_disk=on_disk)


def write_entries(
    adata: AnnData,
    entries: Mapping[str, dict[str, Any]],
    matrices: Mapping[str, Any],
    *,
    groupby: str | None = None,
    copy: bool = False,
    on_disk: bool = False,
) -> AnnData | None:
    """Write entries of ``uns`` and matrices of ``varm``, as :func:`write_results` does."""
    with anndata_lock:
        if copy and on_disk:
            obs, var = _copy_annotations(adata.obs), _copy_annotations(adata.var)
            adata = AnnData(obs=obs, var=var, uns=deepcopy(dict(adata.uns)), varm=collect_matrices(adata))
        elif copy:
            adata = adata.copy()

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

    # Ctrl-C reaches the main thread only: another thread writes all or nothing.
    with ThreadPoolExecutor(1, thread_name_prefix="scpdex") as pool:
        pool.submit(write).result()
    return adata if copy else None


def _copy_annotations(annotations: Any) -> pd.DataFrame:
    """Copy obs or var; those of a lazily opened object are read into memory."""
    is_frame = isinstance(annotations, pd.DataFrame)
    return annotations.copy() if is_frame else pd.DataFrame(annotations.to_memory())


def _convert_strings(obs: Any, name: str) -> None:
    """Make a column of strings categorical, as anndata does: in natural order, unless all strings differ."""
    if not isinstance(obs, pd.DataFrame) or pd.api.types.infer_dtype(obs[name]) != "string":
        return
    labels = pd.Categorical(obs[name])
    if len(labels.categories) < len(labels):
        in_order = natsorted(labels.categories)
        obs[name] = labels if list(labels.categories) == in_order else labels.reorder_categories(in_order)
