"""The drop-in for pdex 0.1: targets against one control, as one long table."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from scanpy import logging as logg

from scpdex.comparisons.spelling import quote_names
from scpdex.comparisons.target_design import TargetDesign
from scpdex.compat._drop_in_task import make_task, refuse_other_objects, select_x
from scpdex.compat._guess_log1p import guess_by_fractions
from scpdex.compat._pdex_0_1_arguments import (
    DEFAULT_BATCH_SIZE,
    count_threads,
    log_batch_size,
    refuse_invalid_means,
    refuse_invalid_test,
)
from scpdex.compat._pdex_0_1_table import make_pdex_0_1_table
from scpdex.execute import execute
from scpdex.machine.resources import Resources
from scpdex.matrix import read_annotations
from scpdex.messages.counts_or_logs import warn_of_too_large_logs
from scpdex.results import refuse_backend
from scpdex.run import TestMeasure
from scpdex.statistics.options import TestOptions

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    import pandas as pd
    import polars as pl
    from anndata import AnnData

    from scpdex.compat._pdex_0_1_arguments import Metric
    from scpdex.results import Backend


def parallel_differential_expression(
    adata: AnnData,
    groups: Iterable[Hashable] | None = None,
    reference: Hashable = "non-targeting",
    groupby_key: str = "target_gene",
    num_workers: int | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    num_threads: int | None = None,
    metric: Metric = "wilcoxon",
    tie_correct: bool = True,
    is_log1p: bool | None = None,
    exp_post_agg: bool = True,
    clip_value: float | None = 20.0,
    as_polars: bool = False,
    low_memory: bool | None = None,
    gene_chunk_size: int = 1000,
    show_progress: bool = True,
    **kwargs: Any,
) -> pd.DataFrame | pl.DataFrame:
    """Compare each group with one control, gene by gene: a drop-in for pdex 0.1's function of this name.

    Change ``from pdex import parallel_differential_expression`` to ``from scpdex import ...`` and nothing else. The
    table has the columns, the rows, their order and the numbers of pdex 0.1.28 in memory, for data in memory, on disk
    and in dask arrays.

    Parameters
    ----------
    adata
        Annotated data, cells x genes, of which ``X`` is compared. It is not changed.
    groups
        Groups to compare with the reference. The default is all groups. A warning names groups that label no cell.
    reference
        Group that each other group is compared with.
    groupby_key
        Column of ``adata.obs`` that holds the groups' labels. Cells without a label are left out.
    num_workers, num_threads
        Their product is the number of threads; one that is None counts as 1. If both are None, the default, or
        ``num_threads=0``, all cores that this process may use are used.
    batch_size
        Has no effect.
    metric
        ``"wilcoxon"`` (:func:`scipy.stats.mannwhitneyu`, with its exact distribution for groups of up to 8 cells
        without ties), ``"anderson"`` (:func:`scipy.stats.anderson_ksamp`) or ``"t-test"``
        (:func:`scipy.stats.ttest_ind`: Student's, of equal variances).
    tie_correct
        Wilcoxon: whether to correct for continuity, which is what pdex uses this argument for. Ties are always
        corrected for.
    is_log1p
        Whether values are ``log1p`` of counts (natural logarithm), so that ``expm1`` takes means back to counts. True
        and False are never overridden. None looks at a sample of up to a million values, takes them for logs if some
        have fractions and none is above 20, which log1p of counts does not exceed, and logs the choice.
    exp_post_agg
        For log values: True takes ``expm1`` of their mean, False takes the mean of their ``expm1``.
    clip_value
        Fold change where the reference's mean is 0; where the target's mean is 0, the fold change is
        ``1 / clip_value``. None gives NaN and 0.
    as_polars
        Return a data frame of polars, which needs ``scpdex[polars]`` and has null for NaN.
    low_memory
        True reads data in parts even in memory; False refuses data that are not in memory.
    gene_chunk_size
        Largest number of genes that are worked on together if data are read in parts; there are fewer if memory is
        short.
    show_progress
        Whether to show a progress bar.
    **kwargs
        Arguments of the test: ``alternative`` (``"two-sided"``, ``"less"`` or ``"greater"``; Wilcoxon and t-test),
        ``method="asymptotic"`` (Wilcoxon: never the exact distribution), ``equal_var=False`` (t-test: Welch's).

    Returns
    -------
    A data frame with one row for each target and gene, target by target in order of first appearance in ``obs``, genes
    in the order of ``var``, and the columns

    ``target``, ``reference``, ``feature``
        Labels, as they are in ``obs``, and names of genes.
    ``target_mean``, ``reference_mean``
        Mean of the values, or for log values of the counts (float64).
    ``percent_change``
        Difference of the means as a share of the reference's mean; NaN where that is 0.
    ``fold_change``
        Ratio of the means; 1 where both are 0 (NaN without ``clip_value``).
    ``p_value``
        p-value of scipy's test (float64); 1 where it is undefined.
    ``statistic``
        U of the target, t, or the normalised Anderson-Darling statistic; NaN where it is undefined.
    ``fdr``
        p-values adjusted by Benjamini and Hochberg (1995) over all rows.

    Raises
    ------
    ImportError
        ``as_polars`` is True and polars is not installed.
    KeyError
        ``adata.obs`` has no column ``groupby_key``.
    TypeError
        The test has no such argument, or the matrix cannot be ranked.
    ValueError
        An argument has a value that is not valid, the reference labels no cell, there is nothing to compare with it,
        or there are NaN or infinite values.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced().raw.to_adata()
    >>> table = scpdex.parallel_differential_expression(
    ...     adata, reference="Dendritic", groupby_key="bulk_labels", is_log1p=True, show_progress=False
    ... )
    >>> table.shape
    (6885, 10)
    """
    refuse_invalid_test(metric, kwargs, signature(parallel_differential_expression).parameters)
    refuse_invalid_means(is_log1p, clip_value)
    backend: Backend = "polars" if as_polars else "pandas"
    refuse_backend(backend, "as_polars=True")
    refuse_other_objects(adata)
    resources = Resources.of(
        n_jobs=count_threads(num_workers, num_threads), low_memory=low_memory, show_progress=show_progress
    )
    in_parts = resources.with_most_genes(gene_chunk_size)
    if batch_size != DEFAULT_BATCH_SIZE:
        log_batch_size()
    design = TargetDesign.by_appearance(read_annotations(adata.obs, groupby_key), groupby_key, groups, reference)
    if design.missing_groups:
        missing = quote_names(list(map(str, design.missing_groups)))
        logg.warning(f"groups {missing} are left out: they label no cell of adata.obs[{groupby_key!r}].")
    expression = select_x(adata, low_memory=low_memory)
    if expression.chunked:
        resources = in_parts
    if is_log1p is None:
        is_log1p = guess_by_fractions(expression)
    options = TestOptions(
        method=metric,
        tie_correct=True,
        use_continuity=tie_correct and metric == "wilcoxon",
        mean_in_log_space=exp_post_agg or not is_log1p,
        alternative=kwargs.get("alternative", "two-sided"),
        exact=kwargs.get("method", "auto") == "auto",
        equal_variances=kwargs.get("equal_var", True),
        column_names=("pvals", "fold_change_means", "fold_change_means_reference", "statistics"),
    )
    n_targets = len(design.targets)
    start = logg.info(f"comparing {n_targets:,} groups of {groupby_key!r} with {design.reference!r} by {metric}")
    task = make_task(adata, design, expression, options, resources)
    with execute(task.work, TestMeasure(options)) as executed:
        table = executed.table
        (comparison,) = table.comparisons
        statistics = {name: comparison.columns.read(name, slice(None)) for name in options.columns}
        target_means, reference_means = statistics["fold_change_means"], statistics["fold_change_means_reference"]
    if is_log1p and exp_post_agg:
        with np.errstate(over="ignore"):
            target_means, reference_means = np.expm1(target_means), np.expm1(reference_means)
    if is_log1p:
        warn_of_too_large_logs(expression.matrix_name, table.highest.max(), target_means, reference_means)
    frame = make_pdex_0_1_table(
        design, expression.names, target_means, reference_means, statistics, clip_value, backend
    )
    logg.info("    finished", time=start)
    return frame
