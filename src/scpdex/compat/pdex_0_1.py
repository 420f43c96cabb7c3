"""The drop-in for pdex 0.1: targets against one control, as one long table."""

from __future__ import annotations

from functools import cache
from inspect import signature
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from anndata import AnnData
from scanpy import logging as logg

from scpdex.comparisons.pdex_design import PdexDesign
from scpdex.comparisons.spelling import find_misspelt, quote_names
from scpdex.execute import execute
from scpdex.machine.resources import Resources
from scpdex.matrix import in_memory, sample_values, select_expression
from scpdex.results import CodedColumn, make_frame, refuse_backend
from scpdex.statistics.fold_change import MOST_LOG1P
from scpdex.statistics.multiple_testing import adjust_pvals
from scpdex.statistics.options import ALTERNATIVES, TestOptions
from scpdex.task import Task

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

    from scpdex.matrix import Expression

Metric = Literal["wilcoxon", "anderson", "t-test"]

# What each test takes beyond the named arguments, and the values that are valid.
_ARGUMENTS: dict[str, dict[str, tuple[Any, ...]]] = {
    "wilcoxon": {"alternative": ALTERNATIVES, "method": ("auto", "asymptotic")},
    "anderson": {},
    "t-test": {"alternative": ALTERNATIVES, "equal_var": (True, False)},
}
_BATCH_SIZE = 100
# What pdex takes for a fraction.
_LEAST_FRACTION = 1e-3


def parallel_differential_expression(
    adata: AnnData,
    groups: Iterable[Hashable] | None = None,
    reference: Hashable = "non-targeting",
    groupby_key: str = "target_gene",
    num_workers: int | None = None,
    batch_size: int = _BATCH_SIZE,
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
    """Compare each group with one control, gene by gene: a drop-in for the function of this name in pdex 0.1.

    Change ``from pdex import parallel_differential_expression`` to ``from scpdex import ...`` and nothing else.
    Columns, rows, their order and their numbers are those of pdex 0.1.28 in memory, for data in memory, on disk and in
    dask arrays.

    Parameters
    ----------
    adata
        Annotated data of shape cells x genes, of which ``X`` is compared; it is not changed.
    groups
        Groups to compare with the reference, all by default. Those that label no cell are named in a warning.
    reference
        Group that all others are compared with.
    groupby_key
        Column of ``adata.obs`` that holds the groups' labels. Cells without a label are left out.
    num_workers, num_threads
        Their product is the number of threads; one that is None counts as 1. Both None, the default, or
        ``num_threads=0`` is all cores that this process may use.
    batch_size
        Has no effect.
    metric
        ``"wilcoxon"`` (:func:`scipy.stats.mannwhitneyu`, with its exact distribution for groups of up to 8 cells
        without ties), ``"anderson"`` (:func:`scipy.stats.anderson_ksamp`) or ``"t-test"``
        (:func:`scipy.stats.ttest_ind`: Student's, of equal variances).
    tie_correct
        Wilcoxon: whether to correct for continuity, which is what pdex uses it for. Ties are always corrected for.
    is_log1p
        Whether values are ``log1p`` of counts (natural logarithm), so that means are taken back by ``expm1``. What is
        given is never overridden. None takes values for logs if a sample of up to a million of them has fractions and
        none above 20, which log1p of counts does not exceed, and says in the log what it took them for.
    exp_post_agg
        Of log values: take ``expm1`` of their mean, or else the mean of their ``expm1``.
    clip_value
        Fold change where the reference's mean is 0; its inverse is that where the target's is. None gives NaN and 0.
    as_polars
        Return a polars data frame, as needs ``scpdex[polars]``; NaN is null there.
    low_memory
        True reads data in memory in parts too, False refuses all that is not in memory.
    gene_chunk_size
        Data that are read in parts: genes that are worked on together at most; fewer where memory is short.
    show_progress
        Whether to show a progress bar.
    **kwargs
        Of the test: ``alternative`` (``"two-sided"``, ``"less"`` or ``"greater"``; Wilcoxon and t-test),
        ``method="asymptotic"`` (Wilcoxon: never the exact distribution), ``equal_var=False`` (t-test: Welch's).

    Returns
    -------
    A data frame with one row for each target and gene, target by target in order of first appearance in ``obs``, genes
    in the order of ``var``, and the columns

    ``target``, ``reference``, ``feature``
        Labels as they are in ``obs``, and names of genes.
    ``target_mean``, ``reference_mean``
        Mean of the values, or of counts where these are log values (float64).
    ``percent_change``
        Difference of the means as a share of the reference's; NaN where that is 0.
    ``fold_change``
        Ratio of the means; 1 where both are 0 (NaN without ``clip_value``).
    ``p_value``
        As scipy gives it (float64); 1 where it is undefined.
    ``statistic``
        U of the target, t, or the normalised Anderson-Darling statistic; NaN where undefined.
    ``fdr``
        p-values adjusted by Benjamini and Hochberg (1995) over all rows.

    Raises
    ------
    ImportError
        ``as_polars`` is True and polars is not installed.
    KeyError
        ``groupby_key`` does not exist.
    TypeError
        An argument is unknown to the test, or the matrix cannot be ranked.
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
    if metric not in tuple(_ARGUMENTS):
        msg = f"metric={metric!r} is not known. Valid: {', '.join(map(repr, _ARGUMENTS))}."
        raise ValueError(msg)
    _refuse_arguments(metric, kwargs)
    if is_log1p is not None and not isinstance(is_log1p, bool | np.bool_):
        msg = f"is_log1p={is_log1p!r} is not valid: pass True, False, or None to look at the values."
        raise ValueError(msg)
    is_real = isinstance(clip_value, Real) and not isinstance(clip_value, bool)
    if clip_value is not None and not (is_real and clip_value > 0):
        msg = f"clip_value={clip_value!r} is not valid: pass a number above 0, or None."
        raise ValueError(msg)
    refuse_backend("polars" if as_polars else "pandas", "as_polars=True")
    if not isinstance(adata, AnnData):
        msg = f"adata is a {type(adata).__name__}; pass an AnnData."
        raise TypeError(msg)
    resources = Resources.of(
        n_jobs=_n_threads(num_workers, num_threads), low_memory=low_memory, show_progress=show_progress
    )
    in_parts = resources.with_most_genes(gene_chunk_size)
    if batch_size != _BATCH_SIZE:
        _tell_of_batch_size()
    screen = PdexDesign.of(in_memory(adata.obs, groupby_key), groupby_key, groups, reference)
    if screen.missing_groups:
        logg.warning(f"groups {quote_names(list(map(str, screen.missing_groups)))} label no cell and are left out.")
    expression = select_expression(
        adata, use_raw=False, layer=None, mask_var=None, low_memory=low_memory, normalize=None
    )
    if expression.chunked:
        resources = in_parts
    if is_log1p is None:
        is_log1p = _look_like_logs(expression)
    options = TestOptions(
        method=metric,
        tie_correct=True,
        use_continuity=tie_correct and metric == "wilcoxon",
        mean_in_log_space=exp_post_agg or not is_log1p,
        alternative=kwargs.get("alternative", "two-sided"),
        exact=kwargs.get("method", "auto") == "auto",
        equal_variances=kwargs.get("equal_var", True),
        as_measured=True,
    )
    n_targets = len(screen.targets)
    start = logg.info(f"comparing {n_targets:,} groups of {groupby_key!r} with {screen.reference!r} by {metric}")
    with execute(Task(screen.design, expression, options, resources)) as executed:
        table = executed.table
        genes = slice(None) if executed.position is None else executed.position
        measured = {name: values[:, genes] for name, values in table.of_groups(slice(0, n_targets)).items()}
        assert table.reference_means is not None, "statistics are reported as measured"  # noqa: S101
        reference_means = table.reference_means[genes]
    target_means = measured["target_means"]
    highest = table.highest.max()
    if is_log1p and exp_post_agg:
        with np.errstate(over="ignore"):
            target_means, reference_means = np.expm1(target_means), np.expm1(reference_means)
    if is_log1p and highest > MOST_LOG1P:
        n_overflows = int(np.isposinf(target_means).sum() + np.isposinf(reference_means).sum())
        overflow = f", and {n_overflows:,} means overflow" if n_overflows else ""
        logg.warning(
            f"{expression.where} holds values up to {highest:,.6g}, too large for log1p-transformed data (at most "
            f"about {MOST_LOG1P:g}): expm1 of them means nothing{overflow}. Pass is_log1p=False if they are no logs."
        )
    n_genes = reference_means.size
    changes = _changes(target_means, reference_means, clip_value)
    frame = make_frame(
        {
            "target": CodedColumn(screen.targets, np.repeat(np.arange(n_targets), n_genes)),
            "reference": CodedColumn([screen.reference], np.zeros(n_targets * n_genes, dtype=np.intp)),
            "feature": CodedColumn(expression.names.tolist(), np.tile(np.arange(n_genes), n_targets)),
            "target_mean": target_means.ravel(),
            "reference_mean": np.tile(reference_means, n_targets),
            "percent_change": changes[0].ravel(),
            "fold_change": changes[1].ravel(),
            "p_value": measured["pvals"].ravel(),
            "statistic": measured["statistics"].ravel(),
            "fdr": adjust_pvals(measured["pvals"].reshape(1, -1), "benjamini-hochberg", None)[0],
        },
        "polars" if as_polars else "pandas",
    )
    logg.info("    finished", time=start)
    return frame


def _refuse_arguments(metric: Metric, arguments: dict[str, Any]) -> None:
    """Raise an error for what the test does not take."""
    valid = _ARGUMENTS[metric]
    for name, value in arguments.items():
        if name == "use_continuity":
            msg = "use_continuity is not an argument: tie_correct=False leaves out the correction for continuity."
            raise TypeError(msg)
        if name not in valid:
            close = find_misspelt([name], [*signature(parallel_differential_expression).parameters, *valid])
            takes = f"further ones of metric={metric!r}: {', '.join(map(repr, valid)) or 'none'}"
            hint = f"Did you mean {close[name]!r}?" if close else f"There are {takes}."
            msg = f"{name!r} is not an argument of parallel_differential_expression(). {hint}"
            raise TypeError(msg)
        if value not in valid[name]:
            msg = f"{name}={value!r} is not valid with metric={metric!r}. Valid: {', '.join(map(repr, valid[name]))}."
            raise ValueError(msg)


def _n_threads(num_workers: int | None, num_threads: int | None) -> int | None:
    """Multiply workers and their threads; None is all cores."""
    for name, n, least in (("num_workers", num_workers, 1), ("num_threads", num_threads, 0)):
        if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < least):
            msg = f"{name}={n!r} is not valid: pass a number from {least} up, or None."
            raise ValueError(msg)
    if (num_workers is None and num_threads is None) or num_threads == 0:
        return None
    return int(num_workers or 1) * int(num_threads or 1)


@cache
def _tell_of_batch_size() -> None:
    logg.hint("batch_size has no effect: all groups are compared at once, gene by gene. (This is said once.)")


def _look_like_logs(expression: Expression) -> bool:
    """Tell whether some of the values have fractions, and none is larger than logs of counts are."""
    sample = sample_values(expression)
    highest = sample.max(initial=0)
    with np.errstate(invalid="ignore"):
        have_fractions = bool((np.abs(np.modf(sample)[0]) > _LEAST_FRACTION).any())
    seen = f"is_log1p=None: {sample.size:,} values of {expression.where} show"
    # Infinite values are refused later.
    if have_fractions and np.isfinite(highest) and highest > MOST_LOG1P:
        logg.warning(
            f"{seen} fractions and a maximum of {highest:,.6g}, too large for log1p-transformed data (at most about "
            f"{MOST_LOG1P:g}): taken as they are; is_log1p=False says so, is_log1p=True takes them for logs."
        )
        return False
    found = "fractions: taken for log1p-transformed" if have_fractions else "no fractions: taken for counts"
    logg.info(f"{seen} {found}, as with is_log1p={have_fractions}")
    return have_fractions


def _changes(
    target: NDArray[np.float64], reference: NDArray[np.float64], clip_value: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the change relative to the reference, and the ratio of the means where neither is 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = (target - reference) / reference
        ratio = target / reference
    without = reference == 0
    relative[:, without] = np.nan
    ratio[:, without] = np.nan if clip_value is None else clip_value
    if clip_value is not None:
        ratio[target == 0] = 1 / clip_value
        ratio[(target == 0) & without] = 1
    return relative, ratio
