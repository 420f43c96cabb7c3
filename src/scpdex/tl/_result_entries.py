"""Result entries: what a call computed, as results with their parameters, each under its key."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from scpdex.results import LevelList, RankedResult, ResultShape, make_level_key, make_name_array
from scpdex.statistics.options import TestOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scpdex.comparisons.design import Comparison, Design
    from scpdex.results import Fractions, ResultLayout
    from scpdex.run import Table
    from scpdex.task import Task

# Python looks for the metadata of the package in all of sys.path and parses them each time that it is asked.
_VERSION = version("scpdex")
# Parameters recorded only when they differ from the default.
_RECORDED_IF_CHANGED = ("n_genes", "alternative", "corr_scope", "min_pct", "min_logfc", "min_effect", "confidence")


def list_level_fields(task: Task) -> dict[str | None, list[str]]:
    """List the fields of the result of each level; None stands for all cells."""
    design, options = task.design, task.options
    fields = ["ranks", *options.fields]
    if options.method == "logreg":
        return {None: fields}
    fields += ["pts"] if options.pts else []
    return {
        comparison.level: fields + (["pts_rest"] if options.pts and comparison.against_rest else [])
        for comparison in design.comparisons
    }


def describe_shape(task: Task, fitted: Sequence[str] | None, *, layer: str | None) -> ResultShape:
    """Describe what the results consist of; ``fitted`` are the groups of logistic regression, None for other tests."""
    design, expression = task.design, task.expression
    groups = [comparison.groups for comparison in design.comparisons] if fitted is None else [fitted]
    return ResultShape(
        params=_make_params(task, layer=layer),
        level_params=[_make_level_params(comparison, design) for comparison in design.comparisons],
        groups=groups,
        all_groups=design.groups if fitted is None else fitted,
        fields=task.options.fields,
        n_ranks=task.n_ranks,
        gene_names=expression.names,
        var_positions=expression.var_positions,
        n_vars=task.adata.n_vars,
        max_bytes=task.resources.limits.max_memory,
    )


def collect_fractions(table: Table, design: Design) -> list[Fractions]:
    """Collect the fractions of each comparison, rows x columns, for scanpy's tables."""
    all_fractions = []
    for comparison, numbers in zip(design.comparisons, table.comparisons, strict=True):
        fractions: Fractions = {}
        if numbers.fractions is not None:
            selected = tuple(comparison.group_name(code) for code in comparison.selected_codes)
            fractions["pts"] = (selected, numbers.fractions)
        if numbers.rest_fractions is not None:
            fractions["pts_rest"] = (comparison.groups, numbers.rest_fractions)
        all_fractions.append(fractions)
    return all_fractions


def make_results(
    task: Task, shape: ResultShape, ranked: Sequence[ResultLayout], fractions: Sequence[Fractions], key: str
) -> tuple[dict[str, RankedResult[Any]], dict[str, dict[str, Any]]]:
    """Make the results by their keys in ``uns``, and by its key the entry that lists levels, if there are levels."""
    design, expression = task.design, task.expression
    results = {}
    for comparison, level_params, level_ranked, level_fractions in zip(
        design.comparisons, shape.level_params, ranked, fractions, strict=True
    ):
        results[make_level_key(key, comparison.level)] = RankedResult(
            shape.params | level_params,
            level_ranked,
            gene_names=expression.names,
            var_positions=expression.var_positions,
            uses_raw=task.has_genes_of_raw,
            fractions=level_fractions,
        )
    if design.split_by is None:
        return results, {}
    levels = tuple(str(comparison.level) for comparison in design.comparisons)
    params = shape.params | {"skipped_splits": make_name_array([level for level, _ in design.skipped_levels])}
    entry = LevelList(params, levels, design.groups).make_entry()
    return results, {key: entry if task.storage.path is None else entry | {"path": str(task.storage.path)}}


def _make_params(task: Task, *, layer: str | None) -> dict[str, Any]:
    """Make the parameters of all results: scanpy's and ours; those that are off by default only if they were given."""
    design, options = task.design, task.options
    params: dict[str, Any] = {
        "groupby": design.groupby,
        "reference": design.comparisons[0].reference,
        "method": options.method,
        "use_raw": task.uses_raw,
        "layer": layer,
        "corr_method": options.corr_method,
        "tie_correct": options.tie_correct,
        "use_continuity": options.use_continuity,
        "mean_in_log_space": options.mean_in_log_space,
        "version": _VERSION,
    }
    for name in _RECORDED_IF_CHANGED:
        value = getattr(options, name)
        if value != getattr(TestOptions, name):
            params[name] = value if isinstance(value, str) else int(value) if name == "n_genes" else float(value)
    if options.extras:
        params["extras"] = make_name_array(tuple(options.extras))
    if task.expression.normalization is not None:
        params["normalize"] = task.expression.normalization.rule
    if task.joined_names:
        params["files"] = make_name_array(task.joined_names)
    if len(design.references) > 1:
        params["references"] = make_name_array(design.references)
    if design.excluded_labels:
        params["exclude"] = make_name_array(design.excluded_labels)
    for name in ("min_cells", "split_by", "strata"):
        if getattr(design, name) is not None:
            params[name] = getattr(design, name)
    return params


def _make_level_params(comparison: Comparison, design: Design) -> dict[str, Any]:
    """Make the parameters that differ between levels."""
    params: dict[str, Any] = {} if comparison.level is None else {"split": comparison.level}
    if comparison.unpaired_groups:
        params["apart"] = make_name_array(comparison.unpaired_groups)
    if design.min_cells is not None:
        params["skipped"] = make_name_array(comparison.skipped_groups)
    return params
