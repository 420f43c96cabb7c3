"""Warnings of groups, levels and strata that are left out, and of groups without a tested gene."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanpy import logging as logg

from scpdex.comparisons.make_design import describe_skipped_levels
from scpdex.comparisons.spelling import quote_names
from scpdex.links import page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scpdex.comparisons.design import Design
    from scpdex.results import ResultLayout


def warn_of_left_out(design: Design) -> None:
    """Warn of groups, levels and strata that are not compared."""
    small = [
        name if comparison.level is None else f"{name} in {comparison.level}"
        for comparison in design.comparisons
        for name in comparison.skipped_groups
    ]
    if small:
        logg.warning(
            f"groups {quote_names(small)} are not tested: they have fewer than min_cells={design.min_cells} cells."
        )
    if design.skipped_levels:
        more = page("comparisons", "inside-every-level")
        logg.warning(
            f"levels of {design.split_by!r} are left out. {describe_skipped_levels(design.skipped_levels)} See {more}"
        )
    if design.groups_outside_strata:
        logg.warning(
            f"groups {quote_names(design.groups_outside_strata)} are left out: they have no cell with a value of "
            f"{design.strata!r}."
        )
    separate = list(dict.fromkeys(name for comparison in design.comparisons for name in comparison.unpaired_groups))
    if separate:
        logg.warning(
            f"groups {quote_names(separate)} have scores of 0: they share no stratum of {design.strata!r} with the "
            "cells that they are compared with."
        )


def warn_of_untested(ranked: Sequence[ResultLayout]) -> None:
    """Warn of groups without a single tested gene."""
    untested = dict.fromkeys(group for result in ranked for group in result.groups_without_numbers())
    if untested:
        logg.warning(
            f"groups {quote_names(list(untested))} have NaN for every gene: no gene passes min_pct and min_logfc."
        )
