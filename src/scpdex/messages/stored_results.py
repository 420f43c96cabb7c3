"""Warnings of a stored result that is read: renamed labels, fields that do not fit, names that several genes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from scanpy import logging as logg

from scpdex.comparisons.spelling import find_name, quote_names
from scpdex.matrix import read_annotations
from scpdex.results import LevelList, read_groups, read_label_names, read_params

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from anndata import AnnData

    from scpdex.results import LabelColumn


def warn_of_renamed_labels(adata: AnnData, key: str) -> None:
    """Warn of groups and levels that are no labels any more, while cells have labels that the result does not name.

    Labels whose cells were left out of ``adata`` later are no reason to warn.

    Raises
    ------
    KeyError
        There is no result of this name, or it lacks a field.
    """
    levels = LevelList.read(adata.uns.get(key))
    keys = [key] if levels is None else levels.keys(key)
    names: dict[LabelColumn, Sequence[str]] = {
        "groupby": list(dict.fromkeys(name for level_key in keys for name in read_groups(adata, level_key))),
        "split_by": () if levels is None else levels.levels,
    }
    params = read_params(adata.uns.get(key))
    all_params = [params, *(read_params(adata.uns.get(level_key)) for level_key in keys)]
    all_columns = list(adata.obs.columns)
    columns: dict[LabelColumn, str] = {}
    for argument in names:
        column = params.get(argument)
        if isinstance(column, str) and all_columns.count(column) == 1:
            columns[argument] = column
    obs = read_annotations(adata.obs, *columns.values())
    renamed = []
    for argument, column in columns.items():
        known = {*names[argument], *(name for p in all_params for name in read_label_names(p, argument))}
        if absent := _find_renamed(obs[column], names[argument], known):
            kind = "groups" if argument == "groupby" else "levels"
            renamed.append(f"{kind} {quote_names(absent)}, which are no longer labels of adata.obs[{column!r}]")
    if renamed:
        logg.warning(
            f"names are those of the time of ranking: adata.uns[{key!r}] names {' and '.join(renamed)}. Rank again to "
            "have the present names."
        )


def _find_renamed(column: pd.Series[Any], names: Sequence[str], known: Container[str]) -> list[str]:
    """List the names that are no labels; none if every cell's label is known to the result."""
    is_categorical = isinstance(column.dtype, pd.CategoricalDtype)
    used = column.drop_duplicates().dropna().tolist()
    labels = [*used, *column.cat.categories] if is_categorical else used
    all_names = set(names)
    present = {find_name(label, all_names) for label in labels}
    absent = [name for name in names if name not in present]
    return absent if any(find_name(label, known) is None for label in used) else []


def warn_of_unread_fields(key: str, fields: Sequence[str]) -> None:
    """Warn of fields of a result that a table lacks, since they do not fit its groups and genes."""
    if fields:
        logg.warning(
            f"fields {quote_names(fields)} are left out: in adata.uns[{key!r}] they do not fit the groups and genes. "
            "Rank again to have them."
        )


def warn_of_shared_names(names: Sequence[str]) -> None:
    """Warn of genes that have no fractions and symbols in a table, since they share a name."""
    if names:
        logg.warning(
            f"fractions and gene symbols are NaN for the genes called {quote_names(names)}: several genes share each "
            "name, and the result identifies genes by name. Rank with storage='varm', or after "
            "adata.var_names_make_unique()."
        )
