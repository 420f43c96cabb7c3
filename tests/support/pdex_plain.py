"""Plain code for the tables of pdex 0.3: one group and gene after the other, by numpy and scipy."""

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse, stats

COLUMNS = [
    *("target", "feature", "target_mean", "ref_mean", "target_membership", "ref_membership"),
    *("log2_fold_change", "percent_change", "p_value", "statistic", "fdr"),
]


def plain_pdex(
    adata: ad.AnnData,
    groupby: str,
    mode: str = "ref",
    *,
    is_log1p: bool,
    geometric_mean: bool = True,
    epsilon: float = 1e-9,
    cpm_filter: float | None = None,
    reference: Any = "non-targeting",
    gene_col: str | None = None,
) -> pd.DataFrame:
    """The table as pandas; ``adata`` is in memory."""
    x = np.asarray(adata.X.todense() if sparse.issparse(adata.X) else adata.X, dtype=np.float64)
    labels = adata.obs[groupby].astype(object).to_numpy()
    takes_part = np.array([not pd.isna(label) and label != "" for label in labels])
    present = set(labels[takes_part])
    column = adata.obs[groupby]
    categories = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else sorted(present)
    targets = [label for label in categories if label in present and (mode == "all" or label != reference)]
    frames = []
    for target in targets:
        is_target = takes_part & (labels == target)
        is_other = takes_part & ~is_target if mode == "all" else takes_part & (labels == reference)
        sides = (x[is_target], x[is_other])
        genes = list(range(adata.n_vars))
        if gene_col is not None:
            names = [name for name in adata.obs.loc[is_target, gene_col].unique() if not pd.isna(name)]
            genes = [int(np.flatnonzero(adata.var_names == name)[-1]) for name in names if name in adata.var_names]
        if cpm_filter is not None:
            counts = [(np.expm1(side) if is_log1p else side).sum(axis=0) for side in sides]
            per_million = np.array([side / (side.sum() or 1) * 1e6 for side in counts])
            genes = [j for j in genes if (per_million[:, j] > cpm_filter).any()]
        rows = [_compare(*(side[:, j] for side in sides), is_log1p, geometric_mean, epsilon) for j in genes]
        frame = pd.DataFrame(rows, columns=[*COLUMNS[2:4], *COLUMNS[6:10]], dtype=np.float64)
        frame["target"], frame["feature"] = target, adata.var_names[genes]
        frame["target_membership"], frame["ref_membership"] = is_target.sum(), is_other.sum()
        if gene_col is None and rows:
            frame["fdr"] = stats.false_discovery_control(frame["p_value"])
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    if gene_col is not None and len(table):
        table["fdr"] = stats.false_discovery_control(table["p_value"])
    return table.reindex(columns=COLUMNS)


def _compare(x: np.ndarray, y: np.ndarray, is_log1p: bool, geometric_mean: bool, epsilon: float) -> list[float]:
    if geometric_mean:
        means = [np.expm1((side if is_log1p else np.log1p(side)).mean()) for side in (x, y)]
    else:
        means = [(np.expm1(side) if is_log1p else side).mean() for side in (x, y)]
    with np.errstate(all="ignore"):
        changes = [np.log2((means[0] + epsilon) / (means[1] + epsilon)), (means[0] - means[1]) / (means[1] + epsilon)]
    changes = [0.0 if np.isnan(change) else float(change) for change in changes]
    test = stats.mannwhitneyu(x, y, method="asymptotic")
    p = 1.0 if np.ptp([*x, *y]) == 0 else min(float(test.pvalue), 1.0)
    return [*means, *changes, p, float(test.statistic)]
