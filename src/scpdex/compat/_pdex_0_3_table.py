"""The table of pdex 0.3: one row for each target and gene, with means, changes and p-values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.compat._pdex_0_3_rows import name_reference_column
from scpdex.results import CodedColumn, make_frame

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

    from scpdex.comparisons.target_design import TargetDesign
    from scpdex.compat._pdex_0_3_rows import MeanColumns, PdexRows
    from scpdex.results import Backend


def make_pdex_0_3_table(
    rows: PdexRows,
    design: TargetDesign,
    gene_names: NDArray[Any],
    means: MeanColumns,
    epsilon: float,
    backend: Backend,
) -> pd.DataFrame | pl.DataFrame:
    """Make the table."""
    target_means, ref_means = rows.numbers[means.reported], rows.numbers[name_reference_column(means.reported)]
    if means.back_transforms:
        with np.errstate(over="ignore"):
            target_means, ref_means = np.expm1(target_means), np.expm1(ref_means)
    log2_fold_change, percent_change = _compare_means(target_means, ref_means, epsilon)
    (comparison,) = design.design.comparisons
    return make_frame(
        {
            "target": CodedColumn(design.targets, rows.targets),
            "feature": CodedColumn(gene_names.tolist(), rows.genes),
            "target_mean": target_means,
            "ref_mean": ref_means,
            "target_membership": comparison.group_sizes[rows.targets],
            "ref_membership": comparison.other_sizes[rows.targets],
            "log2_fold_change": log2_fold_change,
            "percent_change": percent_change,
            "p_value": rows.numbers["pvals"],
            "statistic": rows.numbers["u"],
            "fdr": rows.fdr,
        },
        backend,
        nan_to_null=False,
    )


def _compare_means(
    target: NDArray[np.float64], ref: NDArray[np.float64], epsilon: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give log2 fold changes and changes as a share of the reference's mean; 0 where they are undefined, as pdex."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        changes = (np.log2((target + epsilon) / (ref + epsilon)), (target - ref) / (ref + epsilon))
    for change in changes:
        change[np.isnan(change)] = 0
    return changes
