"""Fractions: which columns of scanpy's tables ``pts`` and ``pts_rest`` belong to which groups, by position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

FRACTIONS = ("pts", "pts_rest")
Fractions = dict[str, tuple[tuple[str, ...], "NDArray[np.float64]"]]


def match_columns(
    columns: Sequence[str], groups: Sequence[str], reference: object
) -> tuple[NDArray[np.intp], int | None] | None:
    """Find the column of each group, and that of the reference; None if columns and groups do not fit.

    Columns are in the order of the groups, so that their position counts: anndata renames the groups of records and not
    the columns of tables. There is one column more where the reference has one.
    """
    there = list(columns)
    places = np.arange(len(there))
    if len(there) == len(groups):
        return places, None
    if len(there) == len(groups) + 1:
        others = [i for i, name in enumerate(there) if name not in set(groups)]
        at = there.index(str(reference)) if str(reference) in there else others[0] if len(others) == 1 else None
        if at is not None:
            return np.delete(places, at), at
    if set(groups) <= set(there):
        at = there.index(str(reference)) if str(reference) in there else None
        return np.array([there.index(group) for group in groups], dtype=np.intp), at
    return None


def select_fractions(
    tables: Mapping[str, tuple[Sequence[str], NDArray[np.float64]]],
    groups: Sequence[str],
    chosen: NDArray[np.intp] | None,
    reference: object,
) -> tuple[Fractions, list[str]]:
    """Take the columns of the chosen groups, by the names of the groups; list the tables that do not fit them.

    The reference keeps its place among groups that are in order, else it is the last.
    """
    fractions: Fractions = {}
    unread = []
    for name, (columns, values) in tables.items():
        matched = match_columns(columns, groups, reference)
        if matched is None or values.shape[1:] != (len(columns),):
            unread.append(name)
            continue
        places, at = matched
        names = list(columns)
        for i, group in zip(places.tolist(), groups, strict=True):
            names[i] = group
        # A group that was given the name of the reference cannot share it.
        names = names if len(set(names)) == len(names) else list(columns)
        if chosen is not None or len(places) + (at is not None) < len(names):
            places = places if chosen is None else places[chosen]
            kept = places if at is None else np.append(places, at)
            kept = np.sort(kept) if (np.diff(places) > 0).all() else kept
            fractions[name] = (tuple(names[i] for i in kept.tolist()), values[:, kept])
        else:
            fractions[name] = (tuple(names), values)
    return fractions, unread
