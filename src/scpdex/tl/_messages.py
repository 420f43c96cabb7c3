"""Tell: what the user should know of the call, the data and the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scanpy import logging as logg
from scanpy import settings

from scpdex.comparisons.labels import REST
from scpdex.comparisons.make_design import describe_skipped_levels
from scpdex.comparisons.spelling import quote_names
from scpdex.links import page
from scpdex.results import (
    exceed_hdf5,
    is_unwritable_entry,
    name_of_matrix,
    read_names,
    unwritable_columns,
    unwritable_fields,
    unwritable_texts,
)
from scpdex.statistics.fold_change import MOST_LOG1P

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from anndata import AnnData

    from scpdex.comparisons.design import Design
    from scpdex.matrix import Expression
    from scpdex.results import RankedGenes, Storage, StoredResult
    from scpdex.run import Table
    from scpdex.statistics.options import TestOptions

# scanpy's limit for trusting the normal approximation.
_FEW_CELLS = 25
# Parameters that name groups.
_NAMES = ("reference", "references", "exclude", "skipped")


def introduction(design: Design, options: TestOptions, raw: str = "") -> str:
    """Say what is going to be done; ``raw`` says so where raw is ranked."""
    first = design.comparisons[0]
    names = design.groups
    of = f"of {len(names):,} groups" if len(names) > 1 else f"of group {names[0]!r}"
    against = "the rest" if first.against_rest else repr(first.reference)
    text = f"ranking genes {of} of {design.groupby!r} against {against} by {options.method}"
    if design.split_by is not None:
        n_levels = len(design.comparisons)
        text += f" in each of {n_levels:,} level{'s' * (n_levels > 1)} of {design.split_by!r}"
    if design.strata is not None:
        text += f" within {design.strata!r}"
    columns = " or ".join(repr(column) for column in (design.split_by, design.strata) if column is not None)
    return (
        text
        + raw
        + (
            f"; {design.n_unassigned_cells:,} cells have no value of {columns} and take no part"
            if design.n_unassigned_cells
            else ""
        )
    )


def describe_raw(adata: AnnData) -> str:
    """Say that raw is ranked, and how many of its genes ``var`` lacks."""
    names = adata.raw.var_names
    n_absent = int((~names.isin(adata.var_names)).sum())
    absent = f", {n_absent:,} of which are not in adata.var" if n_absent else ""
    return f"; the matrix is adata.raw.X ({len(names):,} genes{absent})"


def tell_of_preset(method: str | None, mean_in_log_space: bool | None) -> None:
    """Say which values scanpy's preset has for arguments that are not given."""
    # There are presets from scanpy 1.13 on.
    preset = getattr(settings, "preset", None)
    defaults = getattr(preset, "rank_genes_groups", None)
    others = []
    if method is None and (other := getattr(defaults, "method", "t-test")) != "t-test":
        others.append(f"method={other!r}")
    # Logistic regression has no fold changes.
    if mean_in_log_space is None and method != "logreg" and not getattr(defaults, "mean_in_log_space", True):
        others.append("mean_in_log_space=False")
    if others:
        logg.warning(
            f"scanpy's preset {str(preset)!r} has no effect here: pass {', '.join(others)} to compute what "
            "scanpy.tl.rank_genes_groups would."
        )


def tell(
    table: Table, ranked: Sequence[RankedGenes], design: Design, options: TestOptions, expression: Expression
) -> None:
    """Say, once each, what the user should know of the data and the numbers."""
    _tell_of_left_out(design)
    if options.filters:
        _tell_of_untested(ranked)
    _tell_of_values(table, design, options, expression)
    against_rest = design.comparisons[0].against_rest
    if against_rest and REST in design.groups:
        logg.warning("one group is itself named 'rest': reference='rest' compares with all other cells, not with it.")
    if options.method == "wilcoxon" and not against_rest:
        smaller = [np.minimum(sides.group_sizes, sides.other_sizes) for sides in design.comparisons]
        few = int((np.concatenate(smaller) <= _FEW_CELLS).sum())
        if few:
            logg.hint(f"few cells on one side (at most {_FEW_CELLS}) in {few:,} of the comparisons: z is approximate.")


def tell_of_stored(
    results: Mapping[str, StoredResult], storage: Storage, start: datetime, *, of_levels: bool, light: bool
) -> None:
    """Say where the results are, and how long it took."""
    if of_levels:
        logg.info(f"    results of the levels: key={' or key='.join(map(repr, results))}")
    if light:
        logg.info("    the copy has obs, var, uns and the result, and no X: the matrix stays on disk")
    first = next(iter(results.values()))
    fields = ", ".join(map(repr, ["names", *first.ranked.statistics, *first.fractions]))
    logg.info("    finished", time=start, deep=f"added to `.{storage}`, under {quote_names(list(results))}: {fields}")


def _tell_of_left_out(design: Design) -> None:
    """Name groups, levels and strata that were not compared."""
    small = [
        name if comparison.level is None else f"{name} in {comparison.level}"
        for comparison in design.comparisons
        for name in comparison.skipped_groups
    ]
    if small:
        logg.warning(
            f"groups {quote_names(small)} have fewer than min_cells={design.min_cells} cells and are not tested."
        )
    if design.skipped_levels:
        more = page("comparisons", "inside-every-level")
        logg.warning(
            f"levels of {design.split_by!r} are left out. {describe_skipped_levels(design.skipped_levels)} See {more}"
        )
    if design.groups_outside_strata:
        logg.warning(
            f"groups {quote_names(design.groups_outside_strata)} have no cell with a value of {design.strata!r} and are left out."
        )
    apart = list(dict.fromkeys(name for comparison in design.comparisons for name in comparison.unpaired_groups))
    if apart:
        logg.warning(
            f"groups {quote_names(apart)} share no stratum of {design.strata!r} with what they are compared with: their "
            "scores are 0."
        )


def _tell_of_untested(ranked: Sequence[RankedGenes]) -> None:
    """Name groups without a single tested gene: the first of their genes has no p-value."""
    untested: dict[str, None] = {}
    for genes in ranked:
        without = np.isnan(genes.statistics["pvals"][0])
        untested |= dict.fromkeys(genes.groups[g] for g in np.flatnonzero(without).tolist())
    if untested:
        logg.warning(
            f"no gene passes min_pct and min_logfc in groups {quote_names(list(untested))}: all numbers are NaN."
        )


def _tell_of_values(table: Table, design: Design, options: TestOptions, expression: Expression) -> None:
    """Remark on values that are no log values, and on fold changes that are undefined."""
    where = expression.where
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
    if as_stored and table.are_counts.all():
        logg.warning(
            f"{where} looks like raw counts: log fold changes expect log1p-transformed data{overflow}. "
            "Run scanpy.pp.normalize_total and scanpy.pp.log1p first, or pass normalize=1e4. See "
            f"{page('which-test', 'fold-changes')}"
        )
    # Scaled data may be as large; their negative means are told below.
    elif as_stored and highest * options.log_scale > MOST_LOG1P and (n_overflows or not n_undefined):
        limit = MOST_LOG1P / options.log_scale
        base = "" if options.log_base is None else f" in base {options.log_base:g}, as uns['log1p']['base'] says"
        logg.warning(
            f"{where} holds values up to {highest:,.8g}, too large for log1p-transformed data{base} (at most about "
            f"{limit:.3g}): log fold changes, which take them for logs, mean nothing{overflow}. Run scanpy.pp.log1p on "
            f"normalized counts first, or pass normalize=1e4 for raw counts. See {page('which-test', 'fold-changes')}"
        )
    if alone:
        logg.warning(f"group {alone[0]!r} holds every cell: there is no rest, all scores are 0, fold changes NaN.")
    elif n_undefined:
        logg.warning(
            f"{n_undefined:,} of {n_changes:,} log fold changes are undefined (NaN), as "
            f"they are for negative means, such as those of scaled data{untested}: rank log1p-transformed data to have "
            "them."
        )


def tell_of_files(results: Mapping[str, StoredResult], key: str, storage: Storage, index_name: object) -> None:
    """Say which results, by their keys in ``uns``, files cannot hold, and the way out.

    ``key`` is what was asked for, and stands for all levels; ``index_name`` is that of the index of var.
    """
    _tell_of_keys(results, key, storage)
    each = list(results.values())
    groups = list(dict.fromkeys(name for result in each for name in result.ranked.groups))
    named = [name for result in each for field in _NAMES for name in read_names(result.params.get(field))]
    texts = unwritable_texts(dict.fromkeys([*groups, *named]))
    if texts:
        logg.warning(
            f"groups {quote_names(texts)} have characters (NUL, or half of a surrogate pair) that h5ad and zarr files "
            "cannot hold: rename these categories before ranking."
        )
    if storage != "uns":
        return
    beyond = [len(result.ranked.groups) for result in each if exceed_hdf5(result.ranked.groups)]
    if beyond:
        logg.warning(
            f"an h5ad file cannot hold the records of {max(beyond):,} groups: pass storage='varm', or call "
            "scpdex.tl.rank_genes_to_varm(adata) before writing the object to a file. See "
            f"{page('tables', 'thousands-of-groups')}"
        )
    fields = [name for name in unwritable_fields(groups) if name not in texts]
    if fields:
        logg.warning(
            f"groups {quote_names(fields)} name fields of records that h5ad files, or zarr files of format 2, cannot hold: "
            "pass storage='varm', or rename these categories, before writing the object to a file."
        )
    columns = dict.fromkeys(name for result in each for names, _ in result.fractions.values() for name in names)
    names = [name for name in unwritable_columns(columns, index_name) if name not in {*texts, *fields}]
    if names:
        logg.warning(
            f"groups {quote_names(names)} name columns of `pts` that h5ad and zarr files cannot hold: pass "
            "storage='varm', rename these categories, or use pts=False, before writing the object to a file."
        )


def _tell_of_keys(results: Mapping[str, StoredResult], key: str, storage: Storage) -> None:
    """Name the key, or else the levels, whose entries files cannot hold."""

    def is_unwritable(its_key: str, result: StoredResult) -> bool:
        fields = ("ranks", *result.ranked.statistics, *result.fractions) if storage == "varm" else ()
        return any(map(is_unwritable_entry, [its_key, *(name_of_matrix(its_key, field) for field in fields)]))

    unwritable = {its_key: result for its_key, result in results.items() if is_unwritable(its_key, result)}
    if is_unwritable_entry(key) or any(is_unwritable(key, result) for result in unwritable.values()):
        logg.warning(
            f"key_added={key!r} names entries that h5ad and zarr files cannot hold: pass another, of 1 to some 230 "
            "bytes and without '/' and '\\\\'."
        )
    elif unwritable:
        levels = [str(result.params.get("split")) for result in unwritable.values()]
        column = next(iter(unwritable.values())).params.get("split_by")
        logg.warning(
            f"levels {quote_names(levels)} name entries of `{storage}` that h5ad and zarr files cannot hold: rename these "
            f"categories of {column!r} before ranking."
        )
