"""Assemble: what was computed, as results with their parameters, each under its key."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from scpdex.results import (
    Levels,
    StoredResult,
    key_of_level,
    strings,
)
from scpdex.statistics.options import TestOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from scpdex.comparisons.design import Comparison, Design
    from scpdex.execute import Executed
    from scpdex.results import RankedGenes
    from scpdex.task import Task

Fractions = dict[str, tuple[tuple[str, ...], "NDArray[np.float64]"]]

# Said in the parameters where they are not the default.
_SAID_IF_GIVEN = ("n_genes", "alternative", "corr_scope", "min_pct", "min_logfc")


def fields_of_levels(task: Task) -> dict[str | None, list[str]]:
    """Name the fields of the result of each level; None is that of all cells."""
    design, options = task.design, task.options
    fields = ["ranks", *options.fields]
    if options.method == "logreg":
        return {None: fields}
    fields += ["pts"] if options.pts else []
    return {
        comparison.level: fields + (["pts_rest"] if options.pts and comparison.against_rest else [])
        for comparison in design.comparisons
    }


def fractions_of(executed: Executed, design: Design) -> list[Fractions]:
    """Columns, and genes x columns, of scanpy's tables of each comparison."""
    found = []
    table = executed.table
    genes = slice(None) if executed.position is None else executed.position
    for comparison, groups, codes in design.comparison_slices():
        of_comparison: Fractions = {}
        if table.fractions is not None:
            selected = tuple(comparison.group_name(code) for code in comparison.selected_codes)
            of_comparison["pts"] = (selected, table.fractions[codes][list(comparison.selected_codes)][:, genes].T)
        if table.rest_fractions is not None:
            of_comparison["pts_rest"] = (comparison.groups, table.rest_fractions[groups][:, genes].T)
        found.append(of_comparison)
    return found


def assemble(
    task: Task,
    ranked: Sequence[RankedGenes],
    fractions: Sequence[Fractions],
    key: str,
    *,
    layer: str | None,
    use_raw: bool,
) -> tuple[dict[str, StoredResult], dict[str, dict[str, Any]]]:
    """Give the results by their keys, and by its key the entry that lists those of levels, if there are any."""
    design, expression = task.design, task.expression
    params = _params(task, layer=layer, use_raw=use_raw)
    results = {}
    for comparison, its_ranked, its_fractions in zip(design.comparisons, ranked, fractions, strict=True):
        its_params = params | _params_of(comparison, design)
        its_key = key_of_level(key, comparison.level)
        results[its_key] = StoredResult(
            its_params, its_ranked, expression.names, expression.var_positions, use_raw, its_fractions
        )
    if design.split_by is None:
        return results, {}
    levels = tuple(str(comparison.level) for comparison in design.comparisons)
    params |= {"skipped_splits": strings([level for level, _ in design.skipped_levels])}
    return results, {key: Levels(params, levels, design.groups).entry()}


def _params(task: Task, *, layer: str | None, use_raw: bool) -> dict[str, Any]:
    """Scanpy's parameters and ours; those that are off by default only where they were given."""
    design, options = task.design, task.options
    params: dict[str, Any] = {
        "groupby": design.groupby,
        "reference": design.comparisons[0].reference,
        "method": options.method,
        "use_raw": use_raw,
        "layer": layer,
        "corr_method": options.corr_method,
        "tie_correct": options.tie_correct,
        "use_continuity": options.use_continuity,
        "mean_in_log_space": options.mean_in_log_space,
        "version": version("scpdex"),
    }
    for name in _SAID_IF_GIVEN:
        value = getattr(options, name)
        if value != getattr(TestOptions, name):
            params[name] = value if isinstance(value, str) else int(value) if name == "n_genes" else float(value)
    if options.extras:
        params["extras"] = strings(tuple(options.extras))
    if task.expression.target_sum is not None:
        params["normalize"] = float(task.expression.target_sum)
    if len(design.references) > 1:
        params["references"] = strings(design.references)
    if design.excluded_labels:
        params["exclude"] = strings(design.excluded_labels)
    for name in ("min_cells", "split_by", "strata"):
        if getattr(design, name) is not None:
            params[name] = getattr(design, name)
    return params


def _params_of(comparison: Comparison, design: Design) -> dict[str, Any]:
    params: dict[str, Any] = {} if comparison.level is None else {"split": comparison.level}
    if comparison.unpaired_groups:
        params["apart"] = strings(comparison.unpaired_groups)
    if design.min_cells is not None:
        params["skipped"] = strings(comparison.skipped_groups)
    return params
