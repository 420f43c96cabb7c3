"""Read records: a result in scanpy's layout, or what files and converters made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.results._converted_forms import read_bool, read_columns, read_table
from scpdex.results._fractions import FRACTIONS, select_fractions
from scpdex.results._ranked_result import RankedGenes, RankedResult
from scpdex.statistics.reported_columns import stored_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

# Files return the fields in another order.
_POSITION_OF_FIELD = {name: i for i, name in enumerate(stored_types())}


def read_gene_names(entry: Mapping[str, Any], key: str) -> dict[str, NDArray[Any]]:
    """Read the names of each group's genes.

    Raises
    ------
    KeyError
        The field ``names`` has no column for each group.
    """
    columns = read_columns(entry["names"])
    if not columns:
        msg = (
            f"adata.uns[{key!r}]['names'] is a {type(entry['names']).__name__} without a column for each group, and "
            "ranked genes cannot be read from it: rank again, or take the result from an object that has it whole."
        )
        raise KeyError(msg)
    return columns


def read_records(
    adata: AnnData, entry: Mapping[str, Any], params: dict[str, Any], key: str, positions: NDArray[np.intp] | None
) -> RankedResult[RankedGenes]:
    """Read the groups at some positions, in this order; None reads all groups."""
    names = read_gene_names(entry, key)
    groups = tuple(names)
    chosen = list(range(len(groups))) if positions is None else positions.tolist()
    codes, genes = _factorize_names(names, chosen)
    uses_raw = _uses_raw(adata, params, genes)
    var_names = pd.Index(adata.raw.var_names if uses_raw else adata.var_names)
    tables, unread = read_tables(entry, genes, var_names)
    # Tables have all tested genes, also those that are not among the first of any group.
    tested = next(iter(tables.values())).index if tables else genes[:0]
    genes = np.append(genes, np.setdiff1d(np.asarray(tested, dtype=object), genes))
    is_shared = _find_shared_names(codes, genes, [table.index for table in tables.values()])
    var_positions = find_positions(genes, var_names)
    var_positions[is_shared] = -1
    is_shared_in_var = is_shared | pd.Index(genes).isin(var_names[var_names.duplicated()])
    # In the order of var, names that var lacks last; the last code of all stands for an empty rank.
    in_var_order = np.argsort(np.where(var_positions < 0, len(var_names), var_positions), kind="stable")
    new_codes = np.append(np.argsort(in_var_order), -1)
    fields, unread_statistics = read_fields(entry, groups, len(next(iter(names.values()))))
    statistics = {field: np.stack([columns[i] for i in chosen]).T for field, columns in fields.items()}
    # Columns are selected before rows, so that only those of the chosen groups are copied.
    stored = {
        name: (tuple(map(str, table.columns)), table.to_numpy(dtype=np.float64)) for name, table in tables.items()
    }
    fractions, unmatched = select_fractions(stored, groups, positions, params.get("reference"))
    for name, (column_names, values) in fractions.items():
        rows = find_positions(genes, tables[name].index)
        rows[is_shared] = -1
        rows = rows[in_var_order]
        aligned = values[rows]
        aligned[rows < 0] = np.nan
        fractions[name] = (column_names, aligned)
    return RankedResult(
        params,
        RankedGenes(tuple(groups[i] for i in chosen), new_codes[codes], statistics),
        gene_names=genes[in_var_order],
        var_positions=var_positions[in_var_order],
        uses_raw=uses_raw,
        fractions=fractions,
        shared_names=tuple(genes[is_shared & np.isin(np.arange(genes.size), codes)].tolist()),
        shared_names_in_var=tuple(genes[is_shared_in_var].tolist()),
        unread_fields=(*unread, *unread_statistics, *unmatched),
    )


def _factorize_names(names: dict[str, NDArray[Any]], chosen: list[int]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Give the position of each group's genes among all genes, groups x ranks, and all genes; -1 is an empty rank."""
    columns = list(names.values())
    ranked = np.stack([columns[i] for i in chosen]).astype(object)
    codes, uniques = pd.factorize(ranked.ravel())
    return codes.reshape(ranked.shape), spell_names(uniques)


def spell_names(names: NDArray[Any]) -> NDArray[Any]:
    """Spell names of genes as text, which converters may have made bytes or numbers."""
    return np.array([name.decode() if isinstance(name, bytes) else str(name) for name in names], dtype=object)


def _uses_raw(adata: AnnData, params: Mapping[str, Any], genes: NDArray[Any]) -> bool:
    """Tell whether the genes are those of raw; where the parameters do not say so, the names do."""
    if adata.raw is None:
        return False
    if params.get("use_raw") is not None:
        return read_bool(params["use_raw"])
    return bool(np.isin(genes, adata.raw.var_names).all() and not np.isin(genes, adata.var_names).all())


def read_tables(
    entry: Mapping[str, Any], genes: NDArray[Any], var_names: pd.Index[Any]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Read tables of fractions, indexed by gene; list those that cannot be read.

    Rows that do not name genes are in the order of var if there are as many.
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
        # set_axis would copy the fractions of all groups with pandas 2.
        tables[name] = table.copy(deep=False)
        tables[name].index = index
    return tables, unread


def _find_shared_names(
    codes: NDArray[np.intp], genes: NDArray[Any], indices: Sequence[pd.Index[Any]]
) -> NDArray[np.bool_]:
    """Tell which names several genes share: those that a table, or a group, has more than once."""
    is_shared = np.zeros(genes.size, dtype=np.bool_)
    for index in indices:
        is_shared |= pd.Index(genes).isin(index[index.duplicated()])
    n_named = np.unique(codes[codes >= 0]).size
    # Groups that have every gene have each gene once.
    if n_named != codes.shape[1] or (codes < 0).any():
        in_order = np.sort(codes, axis=1)
        repeated = in_order[:, 1:][(in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)]
        is_shared[repeated] = True
    return is_shared


def read_fields(
    entry: Mapping[str, Any], groups: Sequence[str], n_ranks: int
) -> tuple[dict[str, list[NDArray[Any]]], list[str]]:
    """Read the fields of numbers, an array for each group; list known fields that do not fit the groups and ranks."""
    fields = {}
    unread = []
    for field, value in sorted(
        entry.items(), key=lambda item: _POSITION_OF_FIELD.get(item[0], len(_POSITION_OF_FIELD))
    ):
        if field in {"params", "names", *FRACTIONS}:
            continue
        columns = _read_field(field, value, groups, n_ranks)
        if columns is not None:
            fields[field] = columns
        elif field in _POSITION_OF_FIELD:
            unread.append(field)
    return fields, unread


def _read_field(field: str, value: Any, groups: Sequence[str], n_ranks: int) -> list[NDArray[Any]] | None:
    """Read a field of numbers, in the order of the groups; None if it does not fit them."""
    columns = read_columns(value)
    if columns is None or (field not in _POSITION_OF_FIELD and not isinstance(value, np.ndarray)):
        return None
    if len(columns) != len(groups) or any(len(column) != n_ranks for column in columns.values()):
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


def find_positions(names: NDArray[Any], index: pd.Index[Any]) -> NDArray[np.intp]:
    """Find the position of each name in an index; -1 for names that are absent, or repeated there."""
    unique = np.flatnonzero(~index.duplicated(keep=False))
    positions = pd.Index(index[unique].astype(object)).get_indexer(pd.Index(names, dtype=object))
    return np.where(positions < 0, -1, unique[positions] if unique.size else -1)
