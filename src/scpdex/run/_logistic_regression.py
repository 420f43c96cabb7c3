"""Logistic regression by scikit-learn, on all cells and genes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scpdex.statistics.logistic_regression import coefficients
from scpdex.statistics.options import TestOptions
from scpdex.statistics.ordering import order_genes

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

    from scpdex.comparisons.design import Design
    from scpdex.matrix import Expression
    from scpdex.results import ResultLayout

# Options that need p-values, or groups that are tested one by one.
_UNSUPPORTED = ("extras", "min_pct", "min_logfc", "min_effect", "confidence", "alternative", "corr_scope")


def refuse_for_logistic_regression(design: Design, expression: Expression, options: TestOptions) -> None:
    """Raise an error for unsupported options, too few groups, and data that are not in memory as they are."""
    is_given = {name: getattr(options, name) != getattr(TestOptions, name) for name in _UNSUPPORTED}
    is_given |= {"exclude": bool(design.excluded_labels), "several groups as reference": len(design.references) > 1}
    is_given |= {name: getattr(design, name) is not None for name in ("min_cells", "split_by")}
    unsupported = [name for name in is_given if is_given[name]]
    if unsupported:
        msg = f"method='logreg' does not take {', '.join(unsupported)}: leave it out, or pass another method."
        raise ValueError(msg)
    comparison = design.comparisons[0]
    if len(comparison.selected_codes) < 2:
        msg = f"Cannot perform logistic regression on a single cluster ({comparison.groups[0]!r}): select two or more."
        raise ValueError(msg)
    if expression.is_joined:
        msg = "method='logreg' fits all cells at once: anndata.concat the objects first, or pass another method."
        raise TypeError(msg)
    if expression.on_disk or expression.is_dask:
        msg = (
            f"method='logreg' fits all cells at once and needs them in memory, but {expression.matrix_name} is "
            f"{'a dask array' if expression.is_dask else 'on disk'}: pass adata.to_memory(), or another method."
        )
        raise TypeError(msg)
    if expression.chunked:
        argument = "normalize" if expression.normalization is not None else "low_memory"
        msg = f"method='logreg' needs the matrix as it is in memory: leave out {argument}."
        raise ValueError(msg)


def fitted_groups(design: Design) -> tuple[str, ...]:
    """Name the groups that have coefficients: as in scanpy, two groups share one row, that of the first."""
    comparison = design.comparisons[0]
    names = tuple(map(comparison.group_name, comparison.selected_codes))
    return names if len(names) > 2 else names[:1]


def run_logistic_regression(
    classifier: LogisticRegression,
    expression: Expression,
    design: Design,
    options: TestOptions,
    target: ResultLayout,
) -> None:
    """Fit the selected groups, the reference among them, and order each group's genes by coefficient."""
    comparison, codes = design.comparisons[0], design.codes
    selected = np.asarray(comparison.selected_codes)
    in_fit = np.isin(codes, selected)
    labels = comparison.label_positions[codes[in_fit]]
    fitted = coefficients(classifier, expression.rows(in_fit), labels, selected.size)
    if selected.size > 2:
        scores = fitted[np.searchsorted(np.unique(labels), comparison.label_positions[selected])]
    else:
        scores = fitted
    order = order_genes(scores, rankby_abs=options.rankby_abs)
    target.append_groups(target.write_groups(0, order, {"scores": scores}))
