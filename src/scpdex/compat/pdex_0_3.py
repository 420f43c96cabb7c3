"""The drop-in for pdex 0.3: each target against the reference or the rest, at all genes or at its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scanpy import logging as logg

from scpdex.comparisons.target_design import TargetDesign
from scpdex.compat._drop_in_task import make_task, refuse_other_objects, select_x
from scpdex.compat._guess_log1p import guess_by_highest
from scpdex.compat._pdex_0_3_arguments import ModeArguments, limit_threads, refuse_invalid_values
from scpdex.compat._pdex_0_3_rows import MeanColumns, make_empty_rows, read_all_rows, read_target_rows
from scpdex.compat._pdex_0_3_table import make_pdex_0_3_table
from scpdex.compat._pdex_0_3_targets import find_target_genes
from scpdex.execute import execute
from scpdex.machine.resources import Resources
from scpdex.matrix import read_annotations, sample_values
from scpdex.messages.counts_or_logs import warn_of_negative_counts, warn_of_too_large_logs
from scpdex.results import refuse_backend
from scpdex.run import TestMeasure
from scpdex.statistics.options import TestOptions

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from anndata import AnnData

    from scpdex.compat._pdex_0_3_arguments import Mode
    from scpdex.results import Backend


def pdex(
    adata: AnnData,
    groupby: str,
    mode: Mode = "ref",
    threads: int = 0,
    is_log1p: bool | None = None,
    geometric_mean: bool = True,
    as_pandas: bool = False,
    epsilon: float = 1e-9,
    cpm_filter: float | None = None,
    **kwargs: Any,
) -> pl.DataFrame | pd.DataFrame:
    """Compare each group with a reference or the rest, gene by gene: a drop-in for pdex 0.3's function of this name.

    Change ``from pdex import pdex`` to ``from scpdex import pdex`` and nothing else. The table has the columns, the
    rows, their order and the numbers of pdex 0.3.0, for data in memory, on disk and in dask arrays, which are read in
    parts. The test is the Wilcoxon rank-sum test of the values as they are, by its normal approximation, corrected for
    ties and continuity (:func:`scipy.stats.mannwhitneyu` with ``method="asymptotic"``).

    Parameters
    ----------
    adata
        Annotated data, cells x genes, of which ``X`` is compared. It is not changed.
    groupby
        Column of ``adata.obs`` that holds the groups' labels. Cells whose label is missing or an empty string take no
        part, in the rest neither.
    mode
        ``"ref"`` compares each group with the reference, ``"all"`` each group with all other groups' cells, and
        ``"on_target"`` each group with the reference at the one gene that the group is aimed at.
    threads
        Number of threads; 0 is all cores that this process may use.
    is_log1p
        Whether values are ``log1p`` of counts (natural logarithm). None looks at the first 500 cells, takes values
        for logs if the highest is below 20, and a warning says what it found.
    geometric_mean
        True reports the geometric mean of counts, ``expm1(mean(log1p(counts)))``; False their arithmetic mean.
    as_pandas
        Return a data frame of pandas instead of polars.
    epsilon
        Number that is added to means of counts in fold changes and in the denominator of percent changes.
    cpm_filter
        Leave out the rows whose gene has at most so many counts per million both in the group and in what it is
        compared with. Counts are added up over cells, and a million is the sum over all genes.
    **kwargs
        ``reference`` (``"ref"`` and ``"on_target"``): label of the reference, ``"non-targeting"`` by default.
        ``gene_col`` (``"on_target"``, which needs it): column of ``adata.obs`` that holds each group's gene, a name of
        ``adata.var_names``. Others have no effect, and one warning names them.

    Returns
    -------
    A data frame with one row for each group and gene, groups in the order of their categories or sorted, genes in the
    order of ``var``, and the columns

    ``target``, ``feature``
        Label, as it is in ``obs``, and name of the gene.
    ``target_mean``, ``ref_mean``
        Mean count of the group and of what it is compared with (float64).
    ``target_membership``, ``ref_membership``
        Number of cells of both (int64).
    ``log2_fold_change``
        ``log2((target_mean + epsilon) / (ref_mean + epsilon))``; 0 where that is undefined, as 0 / 0.
    ``percent_change``
        ``(target_mean - ref_mean) / (ref_mean + epsilon)``; 0 where that is undefined.
    ``p_value``
        Two-sided p-value (float64); 1 where all values are equal.
    ``statistic``
        Mann and Whitney's U of the group.
    ``fdr``
        p-values adjusted by Benjamini and Hochberg (1995) over the rows of each group; over all rows with
        ``mode="on_target"``.

    Raises
    ------
    ImportError
        polars is not installed, and ``as_pandas`` is False.
    TypeError
        ``adata`` is not an AnnData, or its matrix cannot be ranked.
    ValueError
        An argument has a value that is not valid, a column or the reference is missing, there is nothing to compare, a
        group has several genes with ``mode="on_target"``, or there are NaN or infinite values among those compared.

    Warns
    -----
    UserWarning
        Keyword arguments have no effect, genes of ``gene_col`` are not in ``var``, or ``cpm_filter`` meets negative
        values among up to a million that are looked at.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced().raw.to_adata()
    >>> table = scpdex.pdex(adata, "bulk_labels", reference="Dendritic", is_log1p=True, as_pandas=True)
    >>> table.shape
    (6885, 11)
    """
    backend: Backend = "pandas" if as_pandas else "polars"
    refuse_backend(backend, "as_pandas=False", hint=" Or pass as_pandas=True.")
    refuse_other_objects(adata)
    refuse_invalid_values(is_log1p, epsilon, cpm_filter)
    resources = Resources.of(n_jobs=limit_threads(threads))
    arguments = ModeArguments.of(mode, adata.obs, groupby, kwargs)
    gene_col = arguments.gene_col
    obs = read_annotations(adata.obs, *dict.fromkeys(name for name in (groupby, gene_col) if name is not None))
    design = TargetDesign.in_order(obs, groupby, arguments.reference)
    expression = select_x(adata)
    if is_log1p is None:
        is_log1p = guess_by_highest(expression)
    if cpm_filter is not None:
        warn_of_negative_counts(expression.matrix_name, sample_values(expression).min(initial=0))
    means = MeanColumns.of(is_log1p=is_log1p, geometric_mean=geometric_mean, cpm_filter=cpm_filter)
    target_genes = None
    if gene_col is not None:
        target_genes = find_target_genes(design, obs, gene_col, adata.var_names)
        is_target = np.isin(np.arange(adata.n_vars), target_genes)
        if not is_target.any():
            return make_pdex_0_3_table(make_empty_rows(means), design, expression.names, means, epsilon, backend)
        if cpm_filter is None:
            expression = select_x(adata, genes=is_target)
            target_genes = np.where(target_genes < 0, -1, np.cumsum(is_target)[target_genes] - 1)
    options = TestOptions(method="wilcoxon", tie_correct=True, use_continuity=True, column_names=means.names)
    start = logg.info(f"comparing {len(design.targets):,} groups of {groupby!r} with {design.reference!r}")
    task = make_task(adata, design, expression, options, resources)
    with execute(task.work, TestMeasure(options)) as executed:
        (comparison,) = executed.table.comparisons
        highest = executed.table.highest.max()
        if target_genes is None:
            rows = read_all_rows(comparison.columns, means)
        else:
            rows = read_target_rows(comparison.columns, target_genes, means)
    if is_log1p:
        warn_of_too_large_logs(expression.matrix_name, highest)
    frame = make_pdex_0_3_table(rows, design, expression.names, means, epsilon, backend)
    logg.info("    finished", time=start)
    return frame
