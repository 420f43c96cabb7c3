"""Make a result of marker scores that scanpy's plots and getters read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from scpdex.messages.unwritable_results import warn_of_unwritable_results
from scpdex.results import NamedGenes, RankedResult, StoredMarkers, UnsStorage, refuse_to_replace, write_results
from scpdex.statistics.ordering import order_genes

if TYPE_CHECKING:
    from anndata import AnnData

_DTYPES = {"scores": np.float32, "pvals": np.float64, "pvals_adj": np.float64, "logfoldchanges": np.float32}


def markers_to_rank_genes(
    adata: AnnData,
    *,
    order_by: str = "auc_median",
    pvals: Literal["any", "all"] = "any",
    key: str = "score_markers",
    key_added: str = "rank_genes_groups",
    copy: bool = False,
) -> AnnData | None:
    """Make a result in scanpy's layout of the scores of :func:`scpdex.tl.score_markers`, for its plots and getters.

    Parameters
    ----------
    adata
        Object with the scores.
    order_by
        Field that genes are ordered by, such as ``"auc_min"``: from the highest value down; from the lowest up for
        ranks (``"auc_min_rank"``) and p-values.
    pvals
        Which p-values to take where the scores have them: ``"any"``, of higher values than in at least one other group,
        or ``"all"``, than in each.
    key
        Key of the scores in ``adata.uns``.
    key_added
        Key of the new result.
    copy
        Return a copy with the result instead of changing ``adata``.

    Returns
    -------
    None, or a copy if ``copy`` is True, with ``adata.uns[key_added]``: records with a field for each group, genes from
    the best one down, of

    ``names``
        Names of the tested genes.
    ``scores``
        The field ``order_by`` (float32); ranks and p-values with a minus, so that the first score is the highest.
    ``logfoldchanges``
        The mean over the other groups of the differences of means (``delta_mean_mean``), divided by ln 2: log2 fold
        changes of the geometric means of counts + 1, for natural logs (float32). NaN without that field.
    ``pvals``, ``pvals_adj``
        float64; NaN unless the scores have p-values.

    Raises
    ------
    KeyError
        There are no such scores, or a matrix of them is missing.
    ValueError
        ``order_by`` is no field of them, or ``pvals`` is not valid.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced()
    >>> scpdex.tl.score_markers(adata, "bulk_labels", use_raw=False)
    >>> scpdex.tl.markers_to_rank_genes(adata, order_by="auc_min")
    >>> sc.get.rank_genes_groups_df(adata, "Dendritic")["names"].head(3).tolist()
    ['LYZ', 'HLA-DPA1', 'HLA-DRB1']
    """
    if pvals not in {"any", "all"}:
        msg = f"pvals={pvals!r} is not known: pass 'any' or 'all'."
        raise ValueError(msg)
    markers = StoredMarkers.read(adata, key)
    tested = np.flatnonzero(markers.is_tested)
    scores = np.ascontiguousarray(markers.scores(order_by)[tested].T)
    order = order_genes(scores, rankby_abs=False)
    without_numbers = np.full(scores.shape, np.nan)
    values = {"scores": scores}
    sources = {"pvals": f"pvals_{pvals}", "pvals_adj": f"pvals_{pvals}_adj", "logfoldchanges": "delta_mean_mean"}
    for name, field in sources.items():
        values[name] = markers.fields[field][tested].T if field in markers.fields else without_numbers
    values["logfoldchanges"] = values["logfoldchanges"] / np.log(2)
    storage, names = UnsStorage(), adata.var_names[tested]
    ranked = NamedGenes.empty(markers.groups, tested.size, _DTYPES, np.asarray(names, dtype=object))
    ranked.write_groups(0, order, {name: np.ascontiguousarray(numbers) for name, numbers in values.items()})
    params = {name: value for name, value in markers.params.items() if name != "storage"}
    result = RankedResult(
        params | {"reference": "rest", "order_by": order_by},
        ranked,
        gene_names=np.asarray(names, dtype=object),
        var_positions=tested,
        uses_raw=False,
        fractions={},
    )
    refuse_to_replace(adata, key_added, {None: []}, storage)
    warn_of_unwritable_results({key_added: result}, key_added, storage, names.name)
    return write_results(adata, {key_added: result}, {}, storage, names, copy=copy)
