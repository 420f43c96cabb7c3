"""Stored: a result that lies in an object, scanpy's or ours, as records or as matrices, read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.labels import listed, suggest
from scpdex.results._records import EXTRA_FIELDS, FIELDS, RankedGenes
from scpdex.results._split import Levels
from scpdex.results._varm import FRACTIONS, is_in_varm, matrices_of, ranked_in_varm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

# Files give the fields back in another order.
_ORDER = {name: i for i, name in enumerate(FIELDS | EXTRA_FIELDS)}


@dataclass(frozen=True)
class StoredResult:
    """A result, whichever form it lies in."""

    params: dict[str, Any]
    ranked: RankedGenes
    """``order`` is -1 for ranks that are empty: a filter, or genes that were left out since, made them so."""
    names: NDArray[Any]
    """Of the genes that ``order`` refers to, in the order of var as far as that has them."""
    places: NDArray[np.intp]
    """Position of each gene in var, or raw.var; -1 where it is not there, or its name is twice."""
    of_raw: bool
    """Whether that is raw.var."""
    fractions: dict[str, tuple[tuple[str, ...], NDArray[np.float64]]]
    """Columns, and genes x columns, of ``pts`` and ``pts_rest``."""

    @classmethod
    def read(cls, adata: AnnData, key: str, groups: Sequence[str] | None = None) -> StoredResult:
        """Read what was computed of some groups, in this order; None is all groups.

        Raises
        ------
        KeyError
            There is no result of this name.
        ValueError
            A group is not in it.
        """
        entry = _entry(adata, key)
        in_varm = is_in_varm(entry)
        all_groups = groups_of(adata, key)
        chosen = None
        if groups is not None:
            place = {group: i for i, group in enumerate(all_groups)}
            unknown = [group for group in groups if group not in place]
            if unknown:
                msg = f"group {unknown[0]!r} is not in adata.uns[{key!r}].{suggest(str(unknown[0]), all_groups)}"
                raise ValueError(msg)
            chosen = np.array([place[group] for group in groups], dtype=np.intp)
        params = {name: value for name, value in entry["params"].items() if name != "storage"}
        if in_varm:
            matrices = matrices_of(entry, key, adata.varm)
            fractions = {
                name: (tuple(map(str, entry[f"{name}_groups"])), matrices[name])
                for name in FRACTIONS
                if name in matrices
            }
            names = np.asarray(adata.var_names, dtype=object)
            return cls(
                params, ranked_in_varm(entry, matrices, chosen), names, np.arange(adata.n_vars), False, fractions
            )
        return _of_records(adata, entry, params, all_groups if groups is None else tuple(groups))


def groups_of(adata: AnnData, key: str) -> tuple[str, ...]:
    """Names of the groups of a result.

    Raises
    ------
    KeyError
        There is no result of this name.
    """
    entry = _entry(adata, key)
    return tuple(map(str, entry["groups"] if is_in_varm(entry) else entry["names"].dtype.names))


def _entry(adata: AnnData, key: str) -> dict[str, Any]:
    """Find the entry of a result in ``uns``, or raise a KeyError that says what there is."""
    entry = adata.uns.get(key)
    if isinstance(entry, dict) and "params" in entry and entry.keys() & {"names", "fields"}:
        return entry
    levels = Levels.read(entry)
    results = [name for name, value in adata.uns.items() if isinstance(value, dict) and "params" in value]
    where = f"Entries with params: {listed(results) or 'none'}."
    if levels is not None:
        where = f"It lists those of levels: {listed(levels.keys(key))}."
    msg = f"adata.uns[{key!r}] holds no ranked genes. {where}"
    raise KeyError(msg)


def _of_records(adata: AnnData, entry: dict[str, Any], params: dict[str, Any], groups: tuple[str, ...]) -> StoredResult:
    records = entry["names"]
    codes, names = pd.factorize(np.stack([records[group] for group in groups]).astype(object).ravel())
    names = np.array([name.decode() if isinstance(name, bytes) else str(name) for name in names], dtype=object)
    tables = {name: entry[name] for name in FRACTIONS if name in entry}
    # Tables have the genes, too, that are not among the first of any group.
    further = next(iter(tables.values())).index.map(str) if tables else names[:0]
    names = np.append(names, np.setdiff1d(np.asarray(further, dtype=object), names))
    of_raw = bool(params.get("use_raw")) and adata.raw is not None
    var_names = adata.raw.var_names if of_raw else adata.var_names
    places = places_of(names, pd.Index(var_names))
    # In the order of var, those that are not in it last; the last of all stands for ranks without a gene.
    by_place = np.argsort(np.where(places < 0, len(var_names), places), kind="stable")
    renumbered = np.append(np.argsort(by_place), -1)
    order = renumbered[codes].reshape(len(groups), -1)
    names, places = names[by_place], places[by_place]
    statistics = {
        name: np.stack([values[group] for group in groups]).T
        for name, values in sorted(entry.items(), key=lambda item: _ORDER.get(item[0], len(_ORDER)))
        if name != "names" and isinstance(values, np.ndarray) and values.dtype.names == records.dtype.names
    }
    fractions = {}
    for name, table in tables.items():
        rows = places_of(names, table.index)
        found = table.to_numpy(dtype=np.float64)[rows]
        found[rows < 0] = np.nan
        fractions[name] = (tuple(map(str, table.columns)), found)
    return StoredResult(params, RankedGenes(groups, order, statistics), names, places, of_raw, fractions)


def places_of(names: NDArray[Any], index: pd.Index[Any]) -> NDArray[np.intp]:
    """Position of each name in an index; -1 where it is not there, or more than once."""
    once = np.flatnonzero(~index.duplicated(keep=False))
    found = pd.Index(index[once].astype(object)).get_indexer(pd.Index(names, dtype=object))
    return np.where(found < 0, -1, once[found] if once.size else -1)
