"""Fractions: the columns of scanpy's tables ``pts`` and ``pts_rest``, matched with groups by position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

FRACTIONS = ("pts", "pts_rest")
# By field: the names of the columns, and genes x columns.
Fractions = dict[str, tuple[tuple[str, ...], "NDArray[np.float64]"]]


def match_fraction_columns(
    columns: Sequence[str], groups: Sequence[str], reference: object
) -> tuple[NDArray[np.intp], int | None] | None:
    """Find the position of each group's column, and of the reference's; None if columns and groups do not fit.

    Columns are in the order of the groups, and match them by position: anndata renames the groups of records, but not
    the columns of tables. A reference with a column of its own adds one column.
    """
    names = list(columns)
    positions = np.arange(len(names))
    if len(names) == len(groups):
        return positions, None
    reference_position = names.index(str(reference)) if str(reference) in names else None
    if len(names) == len(groups) + 1:
        no_groups = [i for i, name in enumerate(names) if name not in set(groups)]
        if reference_position is None and len(no_groups) == 1:
            reference_position = no_groups[0]
        if reference_position is not None:
            return np.delete(positions, reference_position), reference_position
    if set(groups) <= set(names):
        return np.array([names.index(group) for group in groups], dtype=np.intp), reference_position
    return None


def select_fractions(
    tables: Mapping[str, tuple[Sequence[str], NDArray[np.float64]]],
    groups: Sequence[str],
    positions: NDArray[np.intp] | None,
    reference: object,
) -> tuple[Fractions, list[str]]:
    """Select the columns of the groups at some positions, named as the groups; list the tables that do not fit.

    The reference keeps its place among groups that are in order, else it is the last.
    """
    fractions: Fractions = {}
    unread = []
    for field, (columns, values) in tables.items():
        matched = match_fraction_columns(columns, groups, reference)
        if matched is None or values.shape[1:] != (len(columns),):
            unread.append(field)
            continue
        group_columns, reference_column = matched
        names = list(columns)
        for i, group in zip(group_columns.tolist(), groups, strict=True):
            names[i] = group
        # A group that was renamed to the name of the reference cannot share it.
        names = names if len(set(names)) == len(names) else list(columns)
        n_matched = len(group_columns) + (reference_column is not None)
        if positions is None and n_matched >= len(names):
            fractions[field] = (tuple(names), values)
            continue
        group_columns = group_columns if positions is None else group_columns[positions]
        selected = group_columns if reference_column is None else np.append(group_columns, reference_column)
        selected = np.sort(selected) if (np.diff(group_columns) > 0).all() else selected
        fractions[field] = (tuple(names[i] for i in selected.tolist()), values[:, selected])
    return fractions, unread
