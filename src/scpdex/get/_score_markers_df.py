"""Scores of markers as one long table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scpdex.comparisons.spelling import choose_names
from scpdex.results import StoredMarkers
from scpdex.statistics.ordering import order_genes

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from anndata import AnnData


def score_markers_df(
    adata: AnnData,
    group: Hashable | Iterable[Hashable] | None = None,
    *,
    order_by: str = "auc_median",
    key: str = "score_markers",
) -> pd.DataFrame:
    """Get the scores of :func:`scpdex.tl.score_markers` as a table, the best genes first.

    Parameters
    ----------
    adata
        Object with the result.
    group
        Name of the group, or names of several; None is all groups.
    order_by
        Field that genes are ordered by, such as ``"auc_min"``: from the highest value down; from the lowest up for
        ranks (``"auc_min_rank"``) and p-values. Equal genes are in the order of ``var``, undefined ones (NaN) last.
    key
        Key of the result in ``adata.uns``.

    Returns
    -------
    A data frame with a row for each tested gene of each group, and the columns ``group`` (categorical, unless ``group``
    is one name), ``names``, and one for each field of the result, such as ``auc_mean`` (float64) and ``auc_min_rank``
    (int32).

    Raises
    ------
    KeyError
        There is no such result, or a matrix of it is missing.
    ValueError
        A group or field is not in it.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced()
    >>> scpdex.tl.score_markers(adata, "bulk_labels", use_raw=False, effects=("auc",))
    >>> scpdex.get.score_markers_df(adata, "CD56+ NK", order_by="auc_min").columns.tolist()
    ['names', 'auc_min', 'auc_mean', 'auc_median', 'auc_max', 'auc_min_rank']
    """
    markers = StoredMarkers.read(adata, key)
    scores = markers.scores(order_by)
    chosen = list(markers.groups) if group is None else choose_names(group, markers.groups, "group", f"uns[{key!r}]")
    is_one = group is not None and (isinstance(group, str) or str(group) in markers.groups)
    tested = np.flatnonzero(markers.is_tested)
    columns = np.array([markers.groups.index(name) for name in chosen])
    order = order_genes(scores[np.ix_(tested, columns)].T, rankby_abs=False)
    rows, in_columns = tested[order].ravel(), np.repeat(columns, tested.size)
    names = np.asarray(adata.var_names, dtype=object)[rows]
    table = pd.DataFrame({"names": names, **{name: of[rows, in_columns] for name, of in markers.fields.items()}})
    if not is_one:
        of_rows = pd.Categorical(np.repeat(chosen, tested.size), categories=chosen)
        table.insert(0, "group", pd.Series(of_rows))
    return table
