"""Make a design: columns of obs and the arguments that name groups -> the comparisons, one for each level."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.comparisons.design import Design
from scpdex.comparisons.labels import REST, Labels
from scpdex.comparisons.make_comparison import ComparisonMaker, NotComparableError
from scpdex.comparisons.requested_groups import RequestedGroups
from scpdex.comparisons.spelling import quote_names

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

_MAX_REASONS = 8


def make_design(
    obs: pd.DataFrame,
    groupby: str,
    *,
    groups: str | Iterable[Hashable] = "all",
    reference: Hashable | Iterable[Hashable] = REST,
    exclude: Iterable[Hashable] | None = None,
    min_cells: int | None = None,
    split_by: str | None = None,
    strata: str | None = None,
) -> Design:
    """Make a :class:`~scpdex.comparisons.design.Design` from columns of ``obs``.

    Raises
    ------
    KeyError
        ``groupby``, ``split_by`` or ``strata`` is not one column of ``obs``.
    ValueError
        A group or the reference is not among the labels or is excluded, two labels share one spelling, a group has one
        cell, or nothing is left to compare.
    """
    _refuse_min_cells(min_cells)
    _refuse_shared_columns({"groupby": groupby, "split_by": split_by, "strata": strata})
    labels = Labels.read(obs, groupby)
    request = RequestedGroups.of(labels, groups, reference, exclude)
    takes_part = ~request.is_excluded[labels.codes]
    stratum_codes = None if strata is None else Labels.read(obs, strata, "strata").codes
    levels = None if split_by is None else Labels.read(obs, split_by, "split_by")
    is_unassigned = np.zeros(labels.codes.size, dtype=bool)
    if stratum_codes is not None:
        is_unassigned |= stratum_codes < 0
    if levels is not None:
        is_unassigned |= levels.codes < 0
    takes_part &= ~is_unassigned
    codes = np.full(labels.codes.size, -1, dtype=np.int32)
    design = Design(
        groupby,
        (),
        (),
        codes,
        references=request.references,
        excluded_labels=request.excluded_labels,
        min_cells=min_cells,
        split_by=split_by,
        strata=strata,
        n_unassigned_cells=int(is_unassigned.sum()),
    )
    maker = ComparisonMaker(request, stratum_codes, min_cells, codes)
    if levels is None:
        return _compare_all_cells(design, maker, takes_part)
    return _compare_within_levels(design, maker, takes_part, levels)


def describe_skipped_levels(skipped: Sequence[tuple[str, str]]) -> str:
    """Name the levels that cannot be compared, reason by reason; of many reasons, the first eight."""
    by_reason: dict[str, list[str]] = {}
    for level, reason in skipped:
        by_reason.setdefault(reason, []).append(level)
    sentences = [f"{quote_names(levels)}: {reason}." for reason, levels in by_reason.items()]
    more = f" (And more, of {len(skipped):,} in all.)" if len(sentences) > _MAX_REASONS else ""
    return " ".join(sentences[:_MAX_REASONS]) + more


def _compare_all_cells(design: Design, maker: ComparisonMaker, takes_part: NDArray[np.bool_]) -> Design:
    """Add the comparison among all cells that take part."""
    try:
        comparison = maker.make(np.flatnonzero(takes_part), None, 0)
    except NotComparableError as error:
        raise ValueError(str(error)) from None
    request = maker.request
    known = {*comparison.groups, *comparison.skipped_groups, *request.references, *request.excluded_labels}
    outside = tuple(name for name in request.names if name not in known) if request.tested_positions is None else ()
    return replace(design, comparisons=(comparison,), groups=comparison.groups, groups_outside_strata=outside)


def _compare_within_levels(
    design: Design, maker: ComparisonMaker, takes_part: NDArray[np.bool_], levels: Labels
) -> Design:
    """Add a comparison for each level, among its cells that take part."""
    comparisons, skipped, n_codes = [], [], 0
    level_codes = np.where(takes_part, levels.codes, -1)
    cells_by_level = np.argsort(level_codes, kind="stable")
    stops = np.searchsorted(level_codes[cells_by_level], np.arange(-1, len(levels.names)), side="right")
    for level, start, stop in zip(levels.names, stops[:-1].tolist(), stops[1:].tolist(), strict=True):
        try:
            comparison = maker.make(cells_by_level[start:stop], level, n_codes)
        except NotComparableError as error:
            skipped.append((level, error.reason))
            continue
        comparisons.append(comparison)
        n_codes += sum(unit.sizes.size for unit in comparison.ranking_units)
    if not comparisons:
        msg = f"no level of split_by={design.split_by!r} can be compared. {describe_skipped_levels(skipped)}"
        raise ValueError(msg)
    tested = {name for comparison in comparisons for name in comparison.groups}
    return replace(
        design,
        comparisons=tuple(comparisons),
        groups=tuple(name for name in maker.request.names if name in tested),
        skipped_levels=tuple(skipped),
    )


def _refuse_min_cells(min_cells: Any) -> None:
    is_number = isinstance(min_cells, int | np.integer) and not isinstance(min_cells, bool)
    if min_cells is not None and (not is_number or min_cells < 1):
        msg = f"min_cells={min_cells!r} is not valid: pass a whole number of cells from 1 up, or None."
        raise ValueError(msg)


def _refuse_shared_columns(columns: dict[str, str | None]) -> None:
    seen: dict[str, str] = {}
    for argument, column in columns.items():
        if not isinstance(column, str):
            # Labels.read refuses all other types but None.
            continue
        other = seen.setdefault(column, argument)
        if other != argument:
            msg = f"{argument}={column!r} is {other} too: pass another column of adata.obs."
            raise ValueError(msg)
