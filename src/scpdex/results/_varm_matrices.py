"""Varm: a result as genes x groups matrices, which files hold for any number of groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.results._converted_forms import read_names, read_params
from scpdex.results._fractions import FRACTIONS
from scpdex.results._scanpy_records import RankedGenes, strings
from scpdex.statistics.reported_columns import stored_types

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results._read_result import StoredResult

# Their columns then fill whole cache lines of the matrices.
_GROUPS_PER_SLICE = 16
STORAGE = "varm"


def is_in_varm(result: Any) -> bool:
    """Tell whether an entry of ``uns`` is a result with matrices in ``varm``, also where it lost its parameters.

    anndata.concat may merge such an entry with one that has records, which are then what is left of a result.
    """
    if not isinstance(result, Mapping) or "names" in result:
        return False
    return {"groups", "fields"} <= result.keys() or str(read_params(result).get("storage")) == STORAGE


def name_of_matrix(key: str, field: str) -> str:
    """Name in ``varm`` of a field of a result."""
    return f"{key}_{field}"


def to_varm(result: StoredResult, key: str, n_vars: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Give the entry of ``uns``, and the matrices by their names in ``varm``.

    Each matrix has a row for each variable and a column for each group. ``ranks`` (int32) is 0 for a group's first
    gene, and -1 for genes that are not in the result, where the others are NaN.
    """
    ranked = result.ranked
    ranks = np.full((n_vars, len(ranked.groups)), -1, dtype=np.int32)
    fields = {"ranks": ranks} | {
        name: np.full(ranks.shape, np.nan, dtype=values.dtype) for name, values in ranked.statistics.items()
    }
    in_order = np.arange(ranked.order.shape[1], dtype=np.int32)[:, None]
    for first in range(0, len(ranked.groups), _GROUPS_PER_SLICE):
        some = slice(first, first + _GROUPS_PER_SLICE)
        rows = result.places[ranked.order[some]].T
        np.put_along_axis(ranks[:, some], rows, in_order, axis=0)
        for name, values in ranked.statistics.items():
            np.put_along_axis(fields[name][:, some], rows, values[:, some], axis=0)
    entry: dict[str, Any] = {"params": result.params | {"storage": STORAGE}, "groups": strings(ranked.groups)}
    for name, (columns, fractions) in result.fractions.items():
        fields[name] = np.full((n_vars, len(columns)), np.nan)
        fields[name][result.places] = fractions
        entry[f"{name}_groups"] = strings(columns)
    entry["fields"] = strings(tuple(fields))
    return entry, {name_of_matrix(key, name): matrix for name, matrix in fields.items()}


def matrices_of(entry: Mapping[str, Any], key: str, varm: Any) -> dict[str, NDArray[Any]]:
    """Find the matrices of a result, by field.

    Raises
    ------
    KeyError
        One of them is gone.
    """
    found = {}
    n_groups = len(read_names(entry["groups"]))
    for field in _fields_of(entry, key, varm):
        name = name_of_matrix(key, field)
        if name not in varm:
            msg = f"adata.varm[{name!r}], which belongs to the result adata.uns[{key!r}], is gone."
            raise KeyError(msg)
        found[field] = np.asarray(varm[name])
        # Fractions have columns of their own.
        if field not in FRACTIONS and found[field].shape[1:] != (n_groups,):
            msg = (
                f"adata.uns[{key!r}]['groups'] names {n_groups:,} groups, and adata.varm[{name!r}] has the shape "
                f"{found[field].shape}: rank again."
            )
            raise KeyError(msg)
    if found["ranks"].dtype.kind == "f":
        found["ranks"] = np.nan_to_num(found["ranks"], nan=-1).astype(np.int32)
    return found


def _fields_of(entry: Mapping[str, Any], key: str, varm: Any) -> tuple[str, ...]:
    """List the fields of a result; where ``uns`` has lost the list, those that ``varm`` has."""
    known = ("ranks", *stored_types(), *FRACTIONS)
    there = tuple(field for field in known if field == "ranks" or name_of_matrix(key, field) in varm)
    fields = read_names(entry.get("fields")) or there
    return fields if "ranks" in fields else ("ranks", *fields)


def ranked_in_varm(
    entry: Mapping[str, Any], matrices: dict[str, NDArray[Any]], chosen: NDArray[np.intp] | None
) -> RankedGenes:
    """Order the genes of some groups again; None is all groups.

    Ranks have gaps where some of the genes were left out since. Groups that then have fewer genes than others end with
    ranks that are empty.
    """
    groups = read_names(entry["groups"])
    columns = slice(None) if chosen is None else chosen
    groups = groups if chosen is None else tuple(groups[i] for i in chosen.tolist())
    ranks = matrices["ranks"][:, columns]
    n_ranked = (ranks >= 0).sum(axis=0)
    order = np.full((len(groups), int(n_ranked.max(initial=0))), -1, dtype=np.intp)
    without_gaps = bool((n_ranked == ranks.max(axis=0, initial=-1) + 1).all())
    if without_gaps:
        genes, of_group = np.nonzero(ranks >= 0)
        order[of_group, ranks[genes, of_group]] = genes
    # A rank that is there twice, as where genes repeat, leaves another empty.
    if not without_gaps or ((order >= 0).sum(axis=1) != n_ranked).any():
        last = np.iinfo(ranks.dtype).max
        order = np.argsort(np.where(ranks < 0, last, ranks), axis=0, kind="stable")[: n_ranked.max()].T
        order[np.arange(order.shape[1]) >= n_ranked[:, None]] = -1
    statistics = {}
    for name in matrices.keys() - {"ranks", *FRACTIONS}:
        found = np.take_along_axis(matrices[name][:, columns], order.T, axis=0)
        found[order.T < 0] = np.nan
        statistics[name] = found
    return RankedGenes(groups, order, {name: statistics[name] for name in matrices if name in statistics})


def names_of_matrices(entry: Any, key: str, varm: Any) -> list[str]:
    """Name the matrices of a result in ``varm``; other entries of ``uns`` have none."""
    fields = _fields_of(entry, key, varm) if is_in_varm(entry) else ()
    return [name_of_matrix(key, field) for field in fields]


def all_matrices(adata: AnnData) -> dict[str, Any]:
    """Find the matrices of all results."""
    names = {name for key, entry in adata.uns.items() for name in names_of_matrices(entry, key, adata.varm)}
    return {name: adata.varm[name] for name in names if name in adata.varm}


def remove_matrices(adata: AnnData, key: str) -> None:
    """Take the matrices of a result that is replaced out of ``varm``."""
    for name in names_of_matrices(adata.uns.get(key), key, adata.varm):
        if name in adata.varm:
            del adata.varm[name]
