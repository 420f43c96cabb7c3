"""Stored: a result that lies in an object, scanpy's or ours, as records or as matrices, read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.comparisons.spelling import choose_names, quote_names
from scpdex.results._converted_forms import read_columns, read_names, read_params
from scpdex.results._fractions import FRACTIONS, select_fractions
from scpdex.results._levels import Levels
from scpdex.results._read_records import read_records
from scpdex.results._varm_matrices import is_in_varm, matrices_of, ranked_in_varm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results._fractions import Fractions
    from scpdex.results._scanpy_records import RankedGenes


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
    fractions: Fractions
    """Columns, and genes x columns, of ``pts`` and ``pts_rest``."""
    twins: tuple[str, ...] = ()
    """Names of several ranked genes each, which records do not tell apart: their fractions are not known."""
    twins_in_var: tuple[str, ...] = ()
    """These, and ranked names that var, or raw.var, has twice."""
    unread: tuple[str, ...] = ()
    """Fields that do not fit the groups and genes, and are left out."""

    @classmethod
    def read(cls, adata: AnnData, key: str, groups: Sequence[str] | None = None) -> StoredResult:
        """Read what was computed of some groups, in this order; None is all groups.

        Raises
        ------
        KeyError
            There is no result of this name, or it lacks a field.
        ValueError
            A group is not in it.
        """
        entry = _entry(adata, key)
        all_groups = groups_of(adata, key)
        chosen = None
        # All in order need no copy of the matrices.
        if groups is not None and tuple(groups) != all_groups:
            place = {group: i for i, group in enumerate(all_groups)}
            asked = choose_names(groups, all_groups, "group", f"adata.uns[{key!r}]")
            chosen = np.array([place[name] for name in asked], dtype=np.intp)
        params = {name: value for name, value in read_params(entry).items() if name != "storage"}
        reference = params.get("reference")
        if is_in_varm(entry):
            matrices = matrices_of(entry, key, adata.varm)
            tables = {
                name: (read_names(entry.get(f"{name}_groups")) or all_groups, matrices[name])
                for name in FRACTIONS
                if name in matrices
            }
            fractions, unread = select_fractions(tables, all_groups, chosen, reference)
            ranked = ranked_in_varm(entry, matrices, chosen)
            names = np.asarray(adata.var_names, dtype=object)
            places = np.arange(adata.n_vars)
            return cls(params, ranked, names, places, False, fractions, unread=tuple(unread))
        positions = list(range(len(all_groups))) if chosen is None else chosen.tolist()
        read = read_records(adata, entry, params, _names_of_genes(entry, key), positions)
        fractions, unread = select_fractions(read.tables, all_groups, chosen, reference)
        return cls(
            params,
            read.ranked,
            read.names,
            read.places,
            read.of_raw,
            fractions,
            read.twins,
            read.twins_in_var,
            (*read.unread, *unread),
        )


def groups_of(adata: AnnData, key: str) -> tuple[str, ...]:
    """Names of the groups of a result.

    Raises
    ------
    KeyError
        There is no result of this name, or it lacks a field.
    """
    entry = _entry(adata, key)
    return read_names(entry["groups"]) if is_in_varm(entry) else tuple(_names_of_genes(entry, key))


def _entry(adata: AnnData, key: str) -> Mapping[str, Any]:
    """Find the entry of a result in ``uns``, or raise a KeyError that says what is missing and what there is."""
    entry = adata.uns.get(key)
    needed = "groups" if is_in_varm(entry) else "names"
    if isinstance(entry, Mapping) and needed in entry:
        return entry
    levels = Levels.read(entry)
    results = [str(name) for name, value in adata.uns.items() if _is_result(value)]
    there = f"Results: {quote_names(results) or 'none'}."
    if levels is not None:
        there = f"It lists those of levels: {quote_names(levels.keys(key))}."
    lacks = ""
    if levels is None and isinstance(entry, Mapping):
        missing = "splits" if "split_by" in read_params(entry) and "groups" in entry else needed
        lacks = (
            f": the field {missing!r} is missing, there are {quote_names([str(name) for name in entry]) or 'none'}. "
            "(Converters drop what they do not know, and anndata.concat what differs between objects.) Rank again, "
            "or take the result from an object that has it whole"
        )
    msg = f"adata.uns[{key!r}] holds no ranked genes{lacks}. {there}"
    raise KeyError(msg)


def _is_result(entry: Any) -> bool:
    is_whole = isinstance(entry, Mapping) and ("groups" if is_in_varm(entry) else "names") in entry
    return is_whole or Levels.read(entry) is not None


def _names_of_genes(entry: Mapping[str, Any], key: str) -> dict[str, NDArray[Any]]:
    """Read each group's genes, or raise a KeyError where the field holds none."""
    columns = read_columns(entry["names"])
    if not columns:
        msg = (
            f"adata.uns[{key!r}]['names'] is a {type(entry['names']).__name__} without a column for each group, and "
            "ranked genes cannot be read from it: rank again, or take the result from an object that has it whole."
        )
        raise KeyError(msg)
    return columns
