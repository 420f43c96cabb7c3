"""Read records: a result in scanpy's layout, or what files and converters made of it, as groups x genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.results._converted_forms import is_set, read_columns, read_table
from scpdex.results._fractions import FRACTIONS
from scpdex.results._scanpy_records import RankedGenes
from scpdex.statistics.reported_columns import stored_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Records:
    """What records and tables say; the fields that :class:`scpdex.results.StoredResult` has too mean the same."""

    ranked: RankedGenes
    names: NDArray[Any]
    places: NDArray[np.intp]
    of_raw: bool
    tables: dict[str, tuple[tuple[str, ...], NDArray[np.float64]]]
    twins: tuple[str, ...]
    twins_in_var: tuple[str, ...]
    unread: tuple[str, ...]


def read_records(
    adata: AnnData, entry: Mapping[str, Any], params: dict[str, Any], names: dict[str, NDArray[Any]], chosen: list[int]
) -> Records:
    """Read some groups of a result whose field ``names`` is given, in this order."""
    groups = tuple(names)
    n_ranked = len(next(iter(names.values())))
    codes, genes = _factorize(names, chosen)
    of_raw = _is_of_raw(adata, params, genes)
    var_names = pd.Index(adata.raw.var_names if of_raw else adata.var_names)
    tables, unread = _read_tables(entry, genes, var_names)
    # Tables have the genes, too, that are not among the first of any group.
    further = next(iter(tables.values())).index if tables else genes[:0]
    genes = np.append(genes, np.setdiff1d(np.asarray(further, dtype=object), genes))
    twins = _twins(codes, genes, [table.index for table in tables.values()])
    places = places_of(genes, var_names)
    places[twins] = -1
    twins_in_var = twins | pd.Index(genes).isin(var_names[var_names.duplicated()])
    # In the order of var, those that are not in it last; the last of all stands for ranks without a gene.
    by_place = np.argsort(np.where(places < 0, len(var_names), places), kind="stable")
    renumbered = np.append(np.argsort(by_place), -1)
    statistics = {}
    # Files give the fields back in another order.
    field_order = {name: i for i, name in enumerate(stored_types())}
    for field, value in sorted(entry.items(), key=lambda item: field_order.get(item[0], len(field_order))):
        if field not in {"params", "names", *FRACTIONS}:
            found = _read_statistic(field, value, groups, n_ranked)
            if found is not None:
                statistics[field] = np.stack([found[i] for i in chosen]).T
            elif field in field_order:
                unread.append(field)
    fractions = {}
    for name, table in tables.items():
        rows = places_of(genes, table.index)
        rows[twins] = -1
        values = table.to_numpy(dtype=np.float64)[rows]
        values[rows < 0] = np.nan
        fractions[name] = (tuple(map(str, table.columns)), values[by_place])
    return Records(
        RankedGenes(tuple(groups[i] for i in chosen), renumbered[codes], statistics),
        genes[by_place],
        places[by_place],
        of_raw,
        fractions,
        tuple(genes[twins & np.isin(np.arange(genes.size), codes)].tolist()),
        tuple(genes[twins_in_var].tolist()),
        tuple(unread),
    )


def _factorize(names: dict[str, NDArray[Any]], chosen: list[int]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Give the genes by name, and the position among these of each group's, groups x ranks; -1 where there is none."""
    columns = list(names.values())
    ranked = np.stack([columns[i] for i in chosen]).astype(object)
    codes, found = pd.factorize(ranked.ravel())
    genes = np.array([name.decode() if isinstance(name, bytes) else str(name) for name in found], dtype=object)
    return codes.reshape(ranked.shape), genes


def _is_of_raw(adata: AnnData, params: Mapping[str, Any], genes: NDArray[Any]) -> bool:
    """Tell whether the genes are those of raw; where the parameters do not, the names do."""
    if adata.raw is None:
        return False
    if params.get("use_raw") is not None:
        return is_set(params["use_raw"])
    return bool(np.isin(genes, adata.raw.var_names).all() and not np.isin(genes, adata.var_names).all())


def _read_tables(
    entry: Mapping[str, Any], genes: NDArray[Any], var_names: pd.Index[Any]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Read tables of fractions, indexed by gene; list those that cannot be read.

    Rows that do not name genes are in the order of var where there are as many.
    """
    tables: dict[str, pd.DataFrame] = {}
    unread = []
    for name in FRACTIONS:
        if name not in entry:
            continue
        table = read_table(entry[name])
        if table is None or not all(pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes):
            unread.append(name)
            continue
        index = pd.Index([str(gene) for gene in table.index], dtype=object)
        if genes.size and not index.isin(genes).any():
            if len(index) != len(var_names):
                unread.append(name)
                continue
            index = var_names.astype(object)
        tables[name] = table.set_axis(index, axis=0)
    return tables, unread


def _twins(codes: NDArray[np.intp], genes: NDArray[Any], indices: Sequence[pd.Index[Any]]) -> NDArray[np.bool_]:
    """Tell which names are of several genes: twice in a table, or in a group."""
    twins = np.zeros(genes.size, dtype=np.bool_)
    for index in indices:
        twins |= pd.Index(genes).isin(index[index.duplicated()])
    n_named = np.unique(codes[codes >= 0]).size
    # Groups that have every gene have each once.
    if n_named != codes.shape[1] or (codes < 0).any():
        in_order = np.sort(codes, axis=1)
        repeated = in_order[:, 1:][(in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)]
        twins[repeated] = True
    return twins


def _read_statistic(field: str, value: Any, groups: Sequence[str], n_ranked: int) -> list[NDArray[Any]] | None:
    """Read a field of numbers, in the order of the groups; None if it does not fit them."""
    columns = read_columns(value)
    if columns is None or (field not in stored_types() and not isinstance(value, np.ndarray)):
        return None
    if len(columns) != len(groups) or any(len(column) != n_ranked for column in columns.values()):
        return None
    # Names that differ were changed, and the order was not.
    ordered = [columns[group] for group in groups] if columns.keys() == set(groups) else list(columns.values())
    try:
        return [_as_floats(column) for column in ordered]
    except (TypeError, ValueError):
        return None


def _as_floats(column: NDArray[Any]) -> NDArray[Any]:
    if column.dtype.kind == "f":
        return column
    return np.where(pd.isna(column), np.nan, column).astype(np.float64)


def places_of(names: NDArray[Any], index: pd.Index[Any]) -> NDArray[np.intp]:
    """Position of each name in an index; -1 where it is not there, or more than once."""
    once = np.flatnonzero(~index.duplicated(keep=False))
    found = pd.Index(index[once].astype(object)).get_indexer(pd.Index(names, dtype=object))
    return np.where(found < 0, -1, once[found] if once.size else -1)
