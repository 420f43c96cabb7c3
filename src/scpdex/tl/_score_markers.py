"""Score markers: each group against each other one."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from anndata import AnnData
from scanpy import logging as logg

from scpdex.execute import execute
from scpdex.machine.resources import Resources
from scpdex.machine.threads import anndata_lock
from scpdex.marker_task import MarkerTask, compare_clusters
from scpdex.matrix import check_rule, read_annotations, select_expression
from scpdex.messages.marker_call import describe_marker_call, warn_of_pairs_left_out
from scpdex.messages.ranking_call import describe_raw
from scpdex.messages.unwritable_results import warn_of_unwritable_matrices
from scpdex.results import (
    MarkerResult,
    VarmStorage,
    refuse_to_replace,
    refuse_view_of_disk,
    write_entries,
)
from scpdex.run import MarkerMeasure, rank_in_pairs
from scpdex.statistics.marker_options import EFFECTS, SUMMARIES, MarkerOptions
from scpdex.statistics.multiple_testing import adjust_pvals

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    import numpy as np
    import pandas as pd
    from anndata.acc import AdRef
    from numpy.typing import NDArray

    from scpdex.statistics.marker_options import Effect, Summary

_VERSION = version("scpdex")


def score_markers(
    adata: AnnData,
    groupby: str,
    *,
    groups: Literal["all"] | Iterable[Hashable] = "all",
    use_raw: bool | None = None,
    layer: str | None = None,
    mask_var: NDArray[np.bool_] | pd.Series[bool] | str | AdRef[Any, Any] | None = None,
    normalize: float | Literal["log1p", "median"] | None = None,
    strata: str | None = None,
    min_cells: int | None = None,
    effects: Iterable[Effect] = EFFECTS,
    summaries: Iterable[Summary] = SUMMARIES,
    min_rank_limit: int = 500,
    pvals: bool = False,
    corr_method: str = "benjamini-hochberg",
    pairwise: bool = False,
    key_added: str = "score_markers",
    copy: bool = False,
    low_memory: bool | None = None,
    gene_chunk_size: int | None = None,
    max_memory: str | float | None = None,
    n_jobs: int | None = None,
    show_progress: bool | None = None,
) -> AnnData | None:
    """Score genes as markers of each group, by its effects over each other group.

    A gene that is high in two neighbouring clusters is higher in each of them than in the rest, but does not tell one
    from the other. Here each group is compared with each other one. The smallest of its effects, for example, says
    whether a gene separates the group from all of them. Effects and summaries are those of scran's ``scoreMarkers``
    (Lun, McCarthy and Marioni 2016) as scranpy 0.3 computes them. Values should be log-transformed normalized counts.

    Parameters
    ----------
    adata
        Annotated data, cells x genes, in memory, on disk, or with dask arrays.
    groupby
        Column of ``adata.obs`` that holds the groups' labels. Cells whose label is missing take no part.
    groups
        The groups to score, each against all other groups of ``groupby``, named or not.
    use_raw, layer, mask_var, normalize
        As in :func:`scpdex.tl.rank_genes_parallel`. Genes of ``adata.raw`` must be those of ``adata.var``.
    strata
        Column of ``adata.obs`` that holds batches or donors. Effects are computed within each stratum, and averaged
        with the weights ``w(n1) w(n2)``, where n1 and n2 are the cells of both groups in it and ``w(n) = min(n, 1000)
        / 1000``. Pairs of groups that share no stratum have no effect (NaN), and summaries leave them out.
    min_cells
        Leave out groups of fewer cells, which are then neither scored nor compared with. None keeps all.
    effects
        Which effects of a group i over a group j to report: ``"auc"``, P(X > Y) + P(X = Y) / 2 of a cell of either;
        ``"delta_mean"``, the difference of their means; ``"cohens_d"``, that difference by the square root of the mean
        of their two variances; ``"delta_detected"``, the difference of their fractions of cells with a value other than
        0. Without any variance ``cohens_d`` is infinite, or 0 where means are equal; a group of one cell takes the
        variance of the other, and two such groups have none (NaN).
    summaries
        How effects over the other groups become one number: ``"min"``, ``"mean"``, ``"median"``, ``"max"``, and
        ``"min_rank"``, the gene's best rank in any of the comparisons, 1 for the largest effect; genes with equal
        effects are in the order of ``var``. Genes with ``min_rank`` at most T are the union of the T best genes of each
        comparison.
    min_rank_limit
        Ranks beyond it are replaced by the number of tested genes.
    pvals
        Test each pair for higher values in the group, by the Wilcoxon rank-sum test with tie correction (van Elteren's
        test over strata), and combine the one-sided p-values over the other groups: ``pvals_any`` by Simes (1986) for
        higher values than in at least one of them, ``pvals_all`` as their maximum for higher values than in all. Both
        are adjusted over the genes of each group.
    corr_method
        How these are adjusted, as in :func:`scpdex.tl.rank_genes_parallel`.
    pairwise
        Keep the effects, and p-values, of each pair.
    key_added
        Key of the result in ``uns``, and beginning of the names in ``varm``.
    copy
        Return a copy with the result instead of changing ``adata``; of data on disk, without X.
    low_memory, gene_chunk_size, max_memory, n_jobs, show_progress
        As in :func:`scpdex.tl.rank_genes_parallel`. What genes are ranked by in each pair waits in the temporary folder
        where it exceeds a third of ``max_memory``.

    Returns
    -------
    None, or a copy if ``copy`` is True, with

    ``varm[f"{key_added}_{effect}_{summary}"]``
        Genes x groups, float64, NaN for genes that are not tested; ``min_rank`` is int32, -1 for these.
    ``varm[f"{key_added}_pvals_any"]``, ``..._pvals_any_adj``, ``..._pvals_all``, ``..._pvals_all_adj``
        With ``pvals``: genes x groups, float64.
    ``uns[key_added]``
        ``params``; names of the scored ``groups``, of the ``others`` (all compared groups), and of the ``fields``, such
        as ``"auc_min"``; and with ``pairwise``, ``uns[key_added]["pairwise"][effect]``: groups x others x genes
        (float64), in which ``[i, j]`` is i over j, and NaN where i is j.

    Raises
    ------
    KeyError
        A column of ``obs``, a layer, or a mask is missing.
    TypeError
        ``adata`` is no AnnData, or its matrix cannot be ranked.
    ValueError
        An argument has a value that is not valid, a group is not among the labels, there are fewer than two groups, the
        pairs exceed ``max_memory``, or there are NaN or infinite values.

    See Also
    --------
    scpdex.get.score_markers_df : The scores of one group as a table.
    scpdex.tl.markers_to_rank_genes : Make a result of them that scanpy's plots draw.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced()
    >>> scpdex.tl.score_markers(adata, "bulk_labels", use_raw=False)
    >>> scpdex.get.score_markers_df(adata, "Dendritic", order_by="auc_min")["names"].head(3).tolist()
    ['LYZ', 'HLA-DPA1', 'HLA-DRB1']
    """
    if not isinstance(adata, AnnData):
        msg = f"adata is a {type(adata).__name__}; pass an AnnData."
        raise TypeError(msg)
    if not isinstance(key_added, str):
        msg = f"key_added={key_added!r} is not a string: pass a name such as 'score_markers'."
        raise TypeError(msg)
    options = MarkerOptions(
        effects=effects,
        summaries=summaries,
        min_rank_limit=min_rank_limit,
        pvals=pvals,
        corr_method=corr_method,
        pairwise=pairwise,
    )
    resources = Resources.of(
        n_jobs=n_jobs,
        max_memory=max_memory,
        gene_chunk_size=gene_chunk_size,
        low_memory=low_memory,
        show_progress=show_progress,
    )
    rule = check_rule(normalize)
    columns = [groupby] if strata is None else [groupby, strata]
    design, pairs = compare_clusters(read_annotations(adata.obs, *columns), groupby, groups, min_cells, strata)
    expression = select_expression(
        adata, use_raw=use_raw, layer=layer, mask_var=mask_var, low_memory=low_memory, normalize=rule
    )
    uses_raw = adata.raw is not None if use_raw is None else use_raw
    task = MarkerTask(
        design=design,
        pairs=pairs,
        expression=expression,
        options=options,
        resources=resources,
        n_vars=adata.n_vars,
    )
    task.refuse_large_arrays()
    storage = VarmStorage()
    with anndata_lock:
        if uses_raw and not adata.raw.var_names.equals(adata.var_names):
            msg = (
                "Scores are stored with a row for each gene of adata.var, but adata.raw has other genes, or another "
                "order: pass use_raw=False to score those of X, or score adata.raw.to_adata()."
            )
            raise ValueError(msg)
        on_disk = expression.on_disk or adata.isbacked
        refuse_view_of_disk(adata, on_disk=on_disk, copy=copy)
        refuse_to_replace(adata, key_added, {None: list(options.fields)}, storage)
    raw = describe_raw(adata) if uses_raw else ""
    warn_of_pairs_left_out(design, pairs)
    start = logg.info(describe_marker_call(design, pairs, raw))
    result = _score(task)
    params: dict[str, Any] = {
        "groupby": groupby,
        "use_raw": uses_raw,
        "layer": layer,
        "min_rank_limit": int(min_rank_limit),
        "version": _VERSION,
    }
    given = {"strata": strata, "min_cells": min_cells, "normalize": None if rule is None else normalize}
    params |= {name: value for name, value in given.items() if value is not None}
    if pvals:
        params["corr_method"] = corr_method
    entry, matrices = result.make_entry(params, key_added)
    warn_of_unwritable_matrices(task.groups, key_added, matrices)
    stored = write_entries(adata, {key_added: entry}, matrices, groupby=groupby, copy=copy, on_disk=on_disk)
    logg.info("    finished", time=start, deep=f"added to `.varm`, under '{key_added}_': {', '.join(options.fields)}")
    return stored


def _score(task: MarkerTask) -> MarkerResult:
    """Compute all scores."""
    options, rows = task.options, task.expression.var_positions
    result = MarkerResult.empty(task.groups, task.others, options.fields, options.pairwise_columns, rows, task.n_vars)
    measure = MarkerMeasure.of(task.design, options, task.pairs, result.matrices, result.by_variable)
    with execute(task.work, measure) as executed:
        ranks = rank_in_pairs(executed.table, task.design, options, task.pairs, executed.pool, executed.plan)
    for effect, of_groups in ranks.items():
        result.matrices[f"{effect}_min_rank"][rows] = of_groups.T
    if options.pvals:
        for name in ("pvals_any", "pvals_all"):
            tested = result.matrices[name][rows].T
            result.matrices[f"{name}_adj"][rows] = adjust_pvals(tested, options.corr_method, None).T
    return result
