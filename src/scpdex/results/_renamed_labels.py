"""Renamed: find names of groups and levels that are no longer labels of obs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from scpdex.comparisons.spelling import label_spellings, quote_names
from scpdex.results._converted_forms import read_names, read_params
from scpdex.results._levels import Levels
from scpdex.results._read_result import groups_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

# Parameters that name groups of the same column which the result has no numbers of.
_UNTESTED = ("reference", "references", "exclude", "skipped", "apart")


def label_columns(adata: AnnData, key: str) -> list[str]:
    """List the columns of obs that the groups, and the levels, of a result were taken from and that are there."""
    params = read_params(adata.uns.get(key))
    columns = [params.get(name) for name in ("groupby", "split_by")]
    return [column for column in columns if isinstance(column, str) and list(adata.obs.columns).count(column) == 1]


def describe_renamed(adata: AnnData, key: str, obs: pd.DataFrame) -> str | None:
    """Say which groups and levels of a result are no labels any more, while cells have labels that it does not know.

    ``obs`` has the :func:`label_columns`. Labels of which the cells were left out are not meant: None then, as where
    all is well.

    Raises
    ------
    KeyError
        There is no result of this name, or it lacks a field.
    """
    entry = adata.uns.get(key)
    params = read_params(entry)
    levels = Levels.read(entry)
    if levels is None:
        groups, results = groups_of(adata, key), [params]
    else:
        groups = tuple(dict.fromkeys(name for its_key in levels.keys(key) for name in groups_of(adata, its_key)))
        results = [params, *(read_params(adata.uns.get(its_key)) for its_key in levels.keys(key))]
    untested = tuple(name for its in results for field in _UNTESTED for name in read_names(its.get(field)))
    parts = [("groups", groups, untested, params.get("groupby"))]
    if levels is not None:
        parts.append(("levels", levels.levels, read_names(params.get("skipped_splits")), params.get("split_by")))
    said = []
    for what, names, others, column in parts:
        if isinstance(column, str) and column in obs.columns and (gone := _renamed(obs[column], names, others)):
            said.append(f"{what} {quote_names(gone)}, which are no longer labels of adata.obs[{column!r}]")
    if not said:
        return None
    return (
        f"adata.uns[{key!r}] names {' and '.join(said)}: it keeps the names of the time of ranking. Rank again to have "
        "the present ones."
    )


def _renamed(column: pd.Series[Any], names: Iterable[str], others: Iterable[str]) -> list[str]:
    """List the names that are no labels; none where no cell has a label that is not among all names."""
    is_categorical = isinstance(column.dtype, pd.CategoricalDtype)
    used = column.drop_duplicates().dropna().tolist()
    labels = [*used, *column.cat.categories] if is_categorical else used
    spellings = {spelling for label in labels for spelling in label_spellings(label)}
    gone = [name for name in names if name not in spellings]
    known = {*names, *others}
    is_new = gone and any(known.isdisjoint(label_spellings(label)) for label in used)
    return gone if is_new else []
