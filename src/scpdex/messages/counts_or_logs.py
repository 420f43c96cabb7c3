"""Warnings of raw counts in place of logs, of logs in place of raw counts, and of fold changes that mean nothing."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from scanpy import logging as logg

from scpdex.links import page
from scpdex.statistics.fold_change import MOST_LOG1P

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix import Expression, Normalization
    from scpdex.run import Table
    from scpdex.statistics.options import TestOptions


def warn_of_fractional_counts(normalization: Normalization, matrix_name: str) -> None:
    """Warn that the counts that ``normalize`` asks for are no whole numbers."""
    expected = "normalize expects raw counts, and there are" if normalization.scales else "there are"
    logg.warning(
        f"normalize={normalization.rule!r} transforms {matrix_name} twice if it is log-transformed "
        f"already: {expected} values that are no whole numbers. Leave normalize out for log-transformed data."
    )


def describe_too_large(where: str, highest: float, limit: float = MOST_LOG1P, base: str = "") -> str:
    """Describe the highest value of a matrix that is too large for log1p-transformed data."""
    return (
        f"{where} holds values up to {highest:,.8g}, too large for log1p-transformed data{base} "
        f"(at most about {limit:.3g})"
    )


def warn_of_values(table: Table, design: Design, options: TestOptions, expression: Expression) -> None:
    """Warn of values that are no logs, and of scores and log fold changes that are undefined."""
    where = expression.matrix_name
    alone = [
        group
        for comparison in design.comparisons
        for group, n in zip(comparison.groups, comparison.other_sizes, strict=True)
        if n == 0
    ]
    n_undefined, n_overflows = int(table.undefined.sum()), int(table.overflows.sum())
    n_changes = table.n_groups * table.undefined.size
    highest = table.highest.max()
    # Normalized values are logs of counts, whatever they look like.
    as_stored = expression.normalization is None
    untested = (
        " and, with min_logfc, genes whose fold change is NaN are not tested" if options.min_logfc is not None else ""
    )
    overflow = f" ({n_overflows:,} of {n_changes:,} overflow{untested})" if n_overflows else ""
    more = page("which-test", "fold-changes")
    if as_stored and table.are_counts.all():
        logg.warning(
            f"log fold changes mean nothing{overflow}: they expect log1p-transformed data, and {where} looks like raw "
            f"counts. Run scanpy.pp.normalize_total and scanpy.pp.log1p first, or pass normalize=1e4. See {more}"
        )
    # Scaled data may be as large; they are warned of below, for their negative means.
    elif as_stored and highest * options.log_scale > MOST_LOG1P and (n_overflows or not n_undefined):
        base = "" if options.log_base is None else f" in base {options.log_base:g}, as uns['log1p']['base'] says"
        logg.warning(
            f"log fold changes mean nothing{overflow}: they take values for logs, and "
            f"{describe_too_large(where, highest, MOST_LOG1P / options.log_scale, base)}. Run scanpy.pp.log1p on "
            f"normalized counts first, or pass normalize=1e4 for raw counts. See {more}"
        )
    if alone:
        logg.warning(
            f"all scores are 0 and fold changes NaN: group {alone[0]!r} holds every cell, and there is no rest."
        )
    elif n_undefined:
        logg.warning(
            f"{n_undefined:,} of {n_changes:,} log fold changes are undefined (NaN): negative means, such as those of "
            f"scaled data, have none{untested}. Rank log1p-transformed data to have them."
        )


def warn_of_too_large_logs(where: str, highest: float, *means: NDArray[np.float64]) -> None:
    """Warn of values too large to be the log1p of counts that ``is_log1p=True`` takes them for."""
    if highest <= MOST_LOG1P:
        return
    n_overflows = sum(int(np.isposinf(side_means).sum()) for side_means in means)
    overflow = f", and {n_overflows:,} of them overflow" if n_overflows else ""
    logg.warning(
        f"means and fold changes mean nothing{overflow}: they take expm1 of values, and "
        f"{describe_too_large(where, highest)}. Pass is_log1p=False if they are no logs."
    )


def warn_of_negative_counts(matrix_name: str, lowest: float) -> None:
    """Warn of negative values, which are no counts; ``lowest`` is the lowest value that was seen."""
    if lowest < 0:
        warnings.warn(
            f"counts per million mean little, and cpm_filter may leave out the wrong rows: {matrix_name} "
            f"holds negative values, such as {lowest:,.8g}. Leave cpm_filter out for data that are neither counts nor "
            "their logs.",
            UserWarning,
            stacklevel=3,
        )
