"""The public verb: rank genes for characterizing groups, on all cores."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import version
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

from scanpy import logging as logg

from scpdex.execute import execute
from scpdex.labels import REST
from scpdex.results import StoredResult, refuse_storage, refuse_unless_storable, store
from scpdex.run import order_table, refuse_for_logistic_regression, run_logistic_regression
from scpdex.statistics.logistic_regression import make_classifier
from scpdex.task import Task
from scpdex.tl._tell import tell

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.comparisons import Comparison
    from scpdex.execute import Executed
    from scpdex.results import Storage
    from scpdex.statistics.options import Correction, Method


def rank_genes_parallel(
    adata: AnnData,
    groupby: str,
    *,
    mask_var: NDArray[np.bool_] | pd.Series[bool] | str | None = None,
    use_raw: bool | None = None,
    groups: Literal["all"] | Iterable[Hashable] = "all",
    reference: Hashable = REST,
    n_genes: int | None = None,
    rankby_abs: bool = False,
    pts: bool = False,
    key_added: str | None = None,
    copy: bool = False,
    method: Method | None = None,
    corr_method: Correction = "benjamini-hochberg",
    tie_correct: bool = False,
    layer: str | None = None,
    mean_in_log_space: bool = True,
    use_continuity: bool = False,
    normalize: float | None = None,
    low_memory: bool | None = None,
    gene_chunk_size: int | None = None,
    max_memory: str | float | None = None,
    n_jobs: int | None = None,
    show_progress: bool | None = None,
    storage: Storage = "uns",
    **kwds: Any,
) -> AnnData | None:
    """Rank genes for characterizing groups, as :func:`scanpy.tl.rank_genes_groups` does, on all cores.

    The same call gives scanpy's numbers in scanpy's place, so that :func:`scanpy.get.rank_genes_groups_df`,
    :func:`scanpy.tl.filter_rank_genes_groups` and every ``scanpy.pl.rank_genes_groups*`` work on the result.
    Expects log1p-transformed data, or raw counts with ``normalize=``, in memory or on disk: a backed AnnData, or X or a
    layer that is a dataset of an h5ad file or zarr store, is read in parts, within ``max_memory``. dask arrays are
    computed chunk by chunk, by the workers of a cluster where a ``dask.distributed.Client`` is active. scanpy's presets
    and ``scanpy.settings.n_jobs`` are not consulted.

    Parameters
    ----------
    adata
        Annotated data of shape cells x genes. Nothing but ``adata.uns`` is changed.
    groupby
        Column of ``adata.obs`` that holds the groups' labels: categorical, strings, numbers or bools. For scanpy's
        plots, turn labels that are not strings into them: ``.astype(str).astype("category")``. Unused categories are
        ignored. Cells without a label (NaN) are part of the rest,
        and of no other comparison.
    mask_var
        Genes to test: boolean array of shape ``(n_vars,)``, a boolean Series indexed by gene names in their order, or
        the name of a boolean column of ``adata.var``.
        Adjusted p-values count these genes only.
    use_raw
        Rank ``adata.raw.X``. The default is to do so when raw is present.
    groups
        Groups to test, ``"all"`` or a sequence of labels, which may be given as they are or as strings. Against the
        rest, cells of the other groups are still part of the rest.
    reference
        ``"rest"`` compares each group with all other cells; a label compares each group with that one. A group that
        is itself named "rest" cannot be the reference.
    n_genes
        Genes in the returned tables, from the highest score down; all by default. Adjusted p-values are over all
        tested genes.
    rankby_abs
        Rank genes by the absolute value of the score. Returned scores keep their sign.
    pts
        Also compute the fraction of cells with a value other than 0.
    key_added
        Key of ``adata.uns`` for the result; ``"rank_genes_groups"`` by default.
    copy
        Return a copy of ``adata`` with the result instead of storing it in ``adata``. For data on disk the copy has
        obs, var and uns only; views of data on disk need it, since they cannot hold a result.
    method
        ``"t-test"`` (the default, Welch's), ``"t-test_overestim_var"`` (the same with the variance of the other cells
        taken as if there were only as many as the group has), ``"wilcoxon"`` (rank sum, normal approximation, see
        :func:`scipy.stats.mannwhitneyu`), ``"anderson"`` (two-sample Anderson-Darling in its form for tied values,
        which sees differences of spread and shape too, see :func:`scipy.stats.anderson_ksamp`; p lies between 0.001 and
        0.25, the ends of the published table) or ``"logreg"``
        (:class:`sklearn.linear_model.LogisticRegression` on the selected groups; no p-values or fold changes, and one
        row for two groups, as in scanpy).
    corr_method
        ``"benjamini-hochberg"`` or ``"bonferroni"``, over the tested genes of each group.
    tie_correct
        Wilcoxon: lower the variance of the rank sum for tied values. scanpy's default, False, gives smaller scores on
        sparse genes; scipy, Seurat and presto correct for ties.
    layer
        Rank ``adata.layers[layer]``. On an object with raw this needs ``use_raw=False``, as in scanpy.
    mean_in_log_space
        True takes the mean of the log values and then ``expm1``, as scanpy 1.x does; False takes ``expm1`` of each
        value and then the mean, as Seurat does. Log fold changes are all that it alters.
    use_continuity
        Wilcoxon: lower ``|U - n1 n2 / 2|`` by 1/2, as scipy and Seurat do by default and scanpy does not. Scores hold
        the corrected value.
    normalize
        Sum that each cell's counts are scaled to, over all genes, before ``log1p``: ranks what
        :func:`scanpy.pp.normalize_total` with this ``target_sum`` and :func:`scanpy.pp.log1p` would have produced, bit
        for bit and on the fly. None takes the matrix as it is.
    low_memory
        True reads data in memory in parts as well, False refuses all that is not in memory.
    gene_chunk_size
        Genes that are ranked together. The default is as many as fit ``max_memory``. The result does not depend on it.
    max_memory
        What the call may hold beyond its results, and beyond a matrix in memory: bytes, or a size such as ``"2GB"`` or
        ``"500MiB"``. The default is half of what is available to this process; control groups (containers, batch
        jobs) count. What exceeds it goes to one file in the temporary folder (``TMPDIR``). On a dask cluster it bounds
        the client, and each worker has its own limit.
        :func:`scpdex.get.plan` says how much that will be.
    n_jobs
        Threads. None and -1 are all cores that this process may use (affinity and cgroup limits count). The result
        does not depend on it. Small matrices take fewer, and ``"logreg"`` leaves threads to scikit-learn. dask's
        schedulers and workers have their own number.
    show_progress
        True and False force a progress bar or none; None shows one when the work is long, in a terminal or notebook. It
        counts cells while rows are read in parts, and genes while they are ranked.
    storage
        ``"uns"`` is scanpy's layout. ``"varm"`` stores genes x groups matrices instead, which files hold for any number
        of groups and any names; :func:`scpdex.tl.rank_genes_to_uns` makes scanpy's layout of it, and
        :func:`scpdex.get.rank_genes_df` reads both. Raw data with other genes than ``adata.var`` do not fit there.
    **kwds
        Arguments of :class:`sklearn.linear_model.LogisticRegression`, for ``method="logreg"`` only.

    Returns
    -------
    None, or the copy if ``copy=True``. ``adata.uns[key_added]`` is a dict with

    ``"names"``
        Record array (object, plain strings) with one field per group and one row per rank, from the highest score
        down; genes of equal score are in var order.
    ``"scores"``
        Record array (float32) in the same order: z of the rank-sum test, t, A squared of the Anderson-Darling test
        (not normalised, never negative) times the sign of the rank-sum test's z, or the coefficient.
    ``"logfoldchanges"``
        Record array (float32): ``log2((expm1(m1) + 1e-9) / (expm1(m2) + 1e-9))`` of the means of log values m1 and m2
        (in ``adata.uns["log1p"]["base"]``, else natural log); with ``mean_in_log_space=False``, of the means of
        ``expm1``. NaN where undefined, as for negative means.
    ``"pvals"``, ``"pvals_adj"``
        Record arrays (float64): two-sided p-values, and these adjusted.
    ``"pts"``, ``"pts_rest"``
        With ``pts=True``: data frames, genes x groups, of the fraction of cells with a value other than 0 in the
        group, and (against the rest) in all other cells.
    ``"params"``
        Dict of the arguments, scanpy's keys and ``tie_correct``, ``use_continuity``, ``mean_in_log_space``,
        ``version`` and, where given, ``normalize`` and ``n_genes``.

    With ``storage="varm"`` these fields are matrices in ``adata.varm``, named by the key and the field
    (``"rank_genes_groups_scores"``): a row for each gene of ``adata.var``, NaN where it was not tested or is not among
    the ``n_genes``, and a column for each group. ``"..._ranks"`` (int32) has each gene's place from the highest score
    down, 0 for the first and -1 for none. ``adata.uns[key_added]`` holds ``"params"``, ``"groups"``, which are the
    names of the columns, and ``"fields"``.

    Raises
    ------
    KeyError
        ``groupby``, ``layer`` or the column ``mask_var`` does not exist.
    TypeError
        The matrix cannot be ranked (complex numbers, not in memory with ``method="logreg"``, chunks that are no numpy
        arrays or scipy CSR or CSC matrices, ...), or an argument is unknown.
    ValueError
        An argument has a value that is not valid, ``max_memory`` one that is too small included; a group has a single
        cell; the compared cells and tested genes hold NaN or infinite values; ``storage="varm"`` does not fit raw;
        ``adata`` is a view of data on disk and ``copy`` is False; or a file was changed while it was read.
    RuntimeError
        A chunk of a dask array cannot be computed, or workers died over it more often than dask allows.
    OSError
        A file cannot be read, or the temporary folder cannot hold what exceeds ``max_memory``.

    Notes
    -----
    Each gene is ranked once for all groups together, so that thousands of groups cost about as much against one
    reference as against the rest. Rank sums are whole numbers, and results are the same to the last bit for every
    storage, number of threads, ``max_memory`` and ``gene_chunk_size`` (``"logreg"`` apart, which is scikit-learn's, and
    t-tests on dask arrays, whose means and variances agree to 1e-12).
    Among equal scores scanpy's order is arbitrary.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced()
    >>> scpdex.tl.rank_genes_parallel(adata, "bulk_labels", method="wilcoxon")
    >>> sc.get.rank_genes_groups_df(adata, "Dendritic")["names"].head(3).tolist()
    ['LYZ', 'CST3', 'HLA-DRA']
    """
    if key_added is not None and not isinstance(key_added, str):
        msg = f"key_added is a {type(key_added).__name__}; pass a name, as a string."
        raise TypeError(msg)
    if kwds and method != "logreg":
        unknown = ", ".join(map(repr, kwds))
        close = get_close_matches(next(iter(kwds)), signature(rank_genes_parallel).parameters, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        msg = f"rank_genes_parallel() got unexpected keyword arguments {unknown}; only method='logreg' takes more."
        raise TypeError(msg + hint)
    classifier = make_classifier(kwds) if method == "logreg" else None
    task = Task.of(
        adata,
        groupby,
        mask_var=mask_var,
        use_raw=use_raw,
        groups=groups,
        reference=reference,
        n_genes=n_genes,
        rankby_abs=rankby_abs,
        pts=pts,
        method=method,
        corr_method=corr_method,
        tie_correct=tie_correct,
        layer=layer,
        mean_in_log_space=mean_in_log_space,
        use_continuity=use_continuity,
        normalize=normalize,
        low_memory=low_memory,
        gene_chunk_size=gene_chunk_size,
        max_memory=max_memory,
        n_jobs=n_jobs,
        show_progress=show_progress,
    )
    comparison, expression, options = task.comparison, task.expression, task.options
    if classifier is not None:
        refuse_for_logistic_regression(comparison, expression)
    ranks_raw = adata.raw is not None if use_raw is None else use_raw
    refuse_storage(adata, storage, use_raw=ranks_raw)
    light = refuse_unless_storable(adata, on_disk=expression.on_disk or adata.isbacked, copy=copy)
    key = "rank_genes_groups" if key_added is None else key_added
    params = {
        "groupby": groupby,
        "reference": comparison.reference,
        "method": options.method,
        "use_raw": ranks_raw,
        "layer": layer,
        "corr_method": corr_method,
        "tie_correct": tie_correct,
        "use_continuity": use_continuity,
        "mean_in_log_space": mean_in_log_space,
        "version": version("scpdex"),
    }
    params |= {} if normalize is None else {"normalize": float(normalize)}
    params |= {} if n_genes is None else {"n_genes": int(n_genes)}
    against = "the rest" if comparison.against_rest else repr(comparison.reference)
    of = f"of {comparison.n_groups:,} groups" if comparison.n_groups > 1 else f"of group {comparison.groups[0]!r}"
    start = logg.info(f"ranking genes {of} of {groupby!r} against {against} by {options.method}")
    fractions = {}
    if classifier is not None:
        ranked = run_logistic_regression(classifier, expression, comparison, options)
    else:
        with execute(task) as executed:
            ranked = order_table(executed.table, comparison.groups, executed.position, options, executed.pool)
        tell(executed.table, comparison, options, expression.where, storage)
        fractions = _fractions(executed, comparison)
    result = StoredResult(params, ranked, expression.names, expression.var_positions, ranks_raw, fractions)
    stored = store(adata, key, result, storage, var_names=expression.var_names, copy=copy, light=light)
    if light:
        logg.info("    the copy has obs, var, uns and the result, and no X: the matrix stays on disk")
    fields = ", ".join(map(repr, ["names", *ranked.statistics, *fractions]))
    logg.info("    finished", time=start, deep=f"added to `.{storage}`, under {key!r}: {fields}")
    return stored


def _fractions(executed: Executed, comparison: Comparison) -> dict[str, tuple[tuple[str, ...], NDArray[np.float64]]]:
    """Columns, and genes x columns, of scanpy's tables."""
    found = {}
    table = executed.table
    genes = slice(None) if executed.position is None else executed.position
    if table.fractions is not None:
        selected = tuple(comparison.name_of(code) for code in comparison.selected)
        found["pts"] = (selected, table.fractions[list(comparison.selected)][:, genes].T)
    if table.rest_fractions is not None:
        found["pts_rest"] = (comparison.groups, table.rest_fractions[:, genes].T)
    return found
