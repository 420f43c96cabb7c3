"""Messages of a call that ranks genes: what it does, what users should know of the numbers, where the results are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scanpy import logging as logg
from scanpy import settings

from scpdex.comparisons.labels import REST
from scpdex.comparisons.spelling import quote_names
from scpdex.messages.counts_or_logs import warn_of_values
from scpdex.messages.left_out import warn_of_left_out, warn_of_untested

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from anndata import AnnData

    from scpdex.comparisons.design import Design
    from scpdex.matrix import Expression
    from scpdex.results import RankedResult, ResultLayout, ResultStorage
    from scpdex.run import Table
    from scpdex.statistics.options import TestOptions

# scanpy's limit for trusting the normal approximation.
_FEW_CELLS = 25


def describe_call(design: Design, options: TestOptions, raw: str = "") -> str:
    """Describe what the call is going to do; ``raw`` describes raw where that is ranked."""
    first = design.comparisons[0]
    names = design.groups
    groups = f"{len(names):,} groups" if len(names) > 1 else f"group {names[0]!r}"
    reference = "the rest" if first.against_rest else repr(first.reference)
    text = f"ranking genes of {groups} of {design.groupby!r} against {reference} by {options.method}"
    if design.split_by is not None:
        n_levels = len(design.comparisons)
        text += f" in each of {n_levels:,} level{'s' * (n_levels > 1)} of {design.split_by!r}"
    if design.strata is not None:
        text += f" within {design.strata!r}"
    text += raw
    if design.n_unassigned_cells:
        columns = " or ".join(repr(column) for column in (design.split_by, design.strata) if column is not None)
        text += f"; {design.n_unassigned_cells:,} cells have no value of {columns} and take no part"
    return text


def describe_raw(adata: AnnData) -> str:
    """Describe raw, which is ranked, and how many of its genes ``var`` lacks."""
    names = adata.raw.var_names
    n_absent = int((~names.isin(adata.var_names)).sum())
    absent = f", {n_absent:,} of which are not in adata.var" if n_absent else ""
    return f"; the matrix is adata.raw.X ({len(names):,} genes{absent})"


def warn_of_preset(method: str | None, mean_in_log_space: bool | None) -> None:
    """Warn of the values that scanpy's preset has for arguments that are not given: they have no effect."""
    # There are presets from scanpy 1.13 on.
    preset = getattr(settings, "preset", None)
    defaults = getattr(preset, "rank_genes_groups", None)
    arguments = []
    if method is None and (preset_method := getattr(defaults, "method", "t-test")) != "t-test":
        arguments.append(f"method={preset_method!r}")
    # Logistic regression has no fold changes.
    if mean_in_log_space is None and method != "logreg" and not getattr(defaults, "mean_in_log_space", True):
        arguments.append("mean_in_log_space=False")
    if arguments:
        logg.warning(
            f"scanpy's preset {str(preset)!r} has no effect here: pass {', '.join(arguments)} to compute what "
            "scanpy.tl.rank_genes_groups would."
        )


def warn_of_numbers(
    table: Table,
    ranked: Sequence[ResultLayout],
    design: Design,
    options: TestOptions,
    expression: Expression,
) -> None:
    """Warn, once each, of groups that were left out, and of data whose numbers mean less than they seem to."""
    warn_of_left_out(design)
    if options.filters:
        warn_of_untested(ranked)
    warn_of_values(table, design, options, expression)
    against_rest = design.comparisons[0].against_rest
    if against_rest and REST in design.groups:
        logg.warning("reference='rest' compares with all other cells, not with the group that is itself named 'rest'.")
    if options.method == "wilcoxon" and not against_rest:
        smaller = [np.minimum(sides.group_sizes, sides.other_sizes) for sides in design.comparisons]
        n_few = int((np.concatenate(smaller) <= _FEW_CELLS).sum())
        if n_few:
            logg.hint(
                f"z is approximate in {n_few:,} of the comparisons: they have few cells (at most {_FEW_CELLS}) on one "
                "side."
            )


def log_results(
    results: Mapping[str, RankedResult[Any]],
    storage: ResultStorage,
    start: datetime,
    *,
    is_split: bool,
    without_x: bool,
) -> None:
    """Log where the results, by their keys in ``uns``, are stored, and how long the call took."""
    if is_split:
        logg.info(f"    results of the levels: key={' or key='.join(map(repr, results))}")
    if without_x:
        logg.info("    the copy has obs, var, uns and the result, and no X: the matrix stays on disk")
    first = next(iter(results.values()))
    fields = ", ".join(map(repr, ["names", *first.ranked.unwritten_fields({}), *first.fractions]))
    place = f"added to `.{storage.place}`, under {quote_names(list(results))}"
    if storage.path is not None:
        place = f"written to {str(storage.path)!r}"
    logg.info("    finished", time=start, deep=f"{place}: {fields}")


def warn_of_ignored_arguments(names: Iterable[str], hint: str = "") -> None:
    """Name the arguments that have no effect, in one warning; ``hint`` says what to pass instead."""
    if names := list(names):
        ignored = f"argument {names[0]!r} is" if len(names) == 1 else f"arguments {quote_names(names)} are"
        logg.warning(f"{ignored} ignored, as in scanpy: no parameter has such a name.{hint}")
