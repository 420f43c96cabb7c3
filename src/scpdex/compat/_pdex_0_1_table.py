"""The table of pdex 0.1: one row for each target and gene, with means, changes and p-values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.results import CodedColumn, make_frame
from scpdex.statistics.multiple_testing import adjust_pvals

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

    from scpdex.comparisons.target_design import TargetDesign
    from scpdex.results import Backend


def make_pdex_0_1_table(
    design: TargetDesign,
    gene_names: NDArray[Any],
    target_means: NDArray[np.float64],
    reference_means: NDArray[np.float64],
    statistics: dict[str, NDArray[Any]],
    clip_value: float | None,
    backend: Backend,
) -> pd.DataFrame | pl.DataFrame:
    """Make the table, target by target; numbers are targets x genes."""
    n_targets, n_genes = target_means.shape
    percent_change, fold_change = _compare_means(target_means, reference_means, clip_value)
    pvals = statistics["pvals"]
    return make_frame(
        {
            "target": CodedColumn(design.targets, np.repeat(np.arange(n_targets), n_genes)),
            "reference": CodedColumn([design.reference], np.zeros(n_targets * n_genes, dtype=np.intp)),
            "feature": CodedColumn(gene_names.tolist(), np.tile(np.arange(n_genes), n_targets)),
            "target_mean": target_means.ravel(),
            "reference_mean": reference_means.ravel(),
            "percent_change": percent_change.ravel(),
            "fold_change": fold_change.ravel(),
            "p_value": pvals.ravel(),
            "statistic": statistics["statistics"].ravel(),
            "fdr": adjust_pvals(pvals.reshape(1, -1), "benjamini-hochberg", None)[0],
        },
        backend,
    )


def _compare_means(
    target: NDArray[np.float64], reference: NDArray[np.float64], clip_value: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the change of the means relative to the reference, and their ratio, targets x genes."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = (target - reference) / reference
        ratio = target / reference
    is_zero = reference == 0
    relative[is_zero] = np.nan
    ratio[is_zero] = np.nan if clip_value is None else clip_value
    if clip_value is not None:
        ratio[target == 0] = 1 / clip_value
        ratio[(target == 0) & is_zero] = 1
    return relative, ratio
