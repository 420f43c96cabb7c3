"""Design: the cells of each level and stratum -> who is compared with whom; what has too few cells is refused here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.comparisons.design import Comparison, Design, Sides
from scpdex.comparisons.labels import REST, Labels
from scpdex.comparisons.names import listed
from scpdex.comparisons.request import Request

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

# Fewer cells have no variance: what scanpy refuses.
_LEAST_CELLS = 2
_MOST_REASONS = 8


def design_comparisons(
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
    """Make a :class:`~scpdex.comparisons.design.Design` of columns of ``obs``; refuse by name what cannot be compared.

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
    request = Request.of(labels, groups, reference, exclude)
    takes_part = ~request.excluded[labels.codes]
    of_stratum = None if strata is None else Labels.read(obs, strata, "strata").codes
    levels = None if split_by is None else Labels.read(obs, split_by, "split_by")
    without = np.zeros(labels.codes.size, dtype=bool)
    if of_stratum is not None:
        without |= of_stratum < 0
    if levels is not None:
        without |= levels.codes < 0
    takes_part &= ~without
    codes = np.full(labels.codes.size, -1, dtype=np.int32)
    design = Design(
        groupby,
        (),
        (),
        codes,
        references=request.references,
        excluded=request.excluded_names,
        min_cells=min_cells,
        split_by=split_by,
        strata=strata,
        n_without=int(without.sum()),
    )
    comparer = _Comparer(request, of_stratum, min_cells or 0, codes)
    if levels is None:
        try:
            comparison = comparer.compare(np.flatnonzero(takes_part), None, 0)
        except _NotComparableError as error:
            raise ValueError(str(error)) from None
        there = {*comparison.groups, *request.references, *comparison.skipped, *request.excluded_names}
        gone = tuple(name for name in labels.names if name not in there) if request.tested is None else ()
        return replace(design, comparisons=(comparison,), groups=comparison.groups, gone=gone)

    comparisons, skipped, n_codes = [], [], 0
    places = np.where(takes_part, levels.codes, -1)
    by_level = np.argsort(places, kind="stable")
    stops = np.searchsorted(places[by_level], np.arange(-1, len(levels.names)), side="right")
    for level, first, stop in zip(levels.names, stops[:-1].tolist(), stops[1:].tolist(), strict=True):
        try:
            comparison = comparer.compare(by_level[first:stop], level, n_codes)
        except _NotComparableError as error:
            skipped.append((level, error.reason))
            continue
        comparisons.append(comparison)
        n_codes += sum(sides.sizes.size for sides in comparison.ranked)
    if not comparisons:
        msg = f"no level of split_by={split_by!r} can be compared. {reasons_of(skipped)}"
        raise ValueError(msg)
    tested = {name for comparison in comparisons for name in comparison.groups}
    return replace(
        design,
        comparisons=tuple(comparisons),
        groups=tuple(name for name in request.names if name in tested),
        skipped=tuple(skipped),
    )


def reasons_of(skipped: Sequence[tuple[str, str]]) -> str:
    """Say for which reasons levels were left out, those of many in short."""
    by_reason: dict[str, list[str]] = {}
    for level, reason in skipped:
        by_reason.setdefault(reason, []).append(level)
    told = [f"{listed(levels)}: {reason}." for reason, levels in by_reason.items()]
    return " ".join(told[:_MOST_REASONS]) + (
        f" (And more, of {len(skipped):,} in all.)" if len(told) > _MOST_REASONS else ""
    )


class _NotComparableError(ValueError):
    """These cells cannot be compared; ``reason`` says so in short."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class _Comparer:
    """Compares some of the cells with one another, as requested."""

    request: Request
    of_stratum: NDArray[np.intp] | None
    """Stratum of each cell."""
    min_cells: int
    codes: NDArray[np.int32]
    """Written: the code of each cell that takes part."""

    def compare(self, cells: NDArray[np.intp], level: str | None, first_code: int) -> Comparison:
        """Compare these cells, those of ``level`` if there are levels; codes begin at ``first_code``."""
        labels, against = self.request.labels, self.request.against
        of_cells = labels.codes[cells]
        sizes = np.bincount(of_cells[of_cells >= 0], minlength=len(labels.labels))
        in_order = self.request.tested
        if in_order is None or level is not None:
            in_order = [i for i in (range(sizes.size) if in_order is None else in_order) if sizes[i]]
        of_reference = set(against)
        others = [i for i in in_order if i not in of_reference]
        skipped = [i for i in others if sizes[i] < self.min_cells]
        tested = [i for i in others if sizes[i] >= self.min_cells]
        self._refuse_small(sizes, tested)
        if not tested:
            raise self._nothing_left(sizes, skipped)
        n_groups = len(tested)
        # The last element is for cells without a label (code -1): part of the rest, as in scanpy, and of nothing else.
        recode = np.full(sizes.size + 1, -1 if against else n_groups, dtype=np.intp)
        recode[tested] = np.arange(n_groups)
        recode[against] = n_groups
        of_cells = recode[of_cells]
        cells, of_cells = cells[of_cells >= 0], of_cells[of_cells >= 0]
        n_codes = max(n_groups, int(of_cells.max()) + 1)
        if level is not None and n_codes == 1:
            reason = f"all cells are of {labels.names[tested[0]]!r}"
            raise _NotComparableError(reason, reason)
        places, strata = self._stratify(cells, of_cells, n_groups, n_codes)
        if strata and not any((sides.group_sizes * sides.other_sizes).any() for sides in strata):
            reason = "no group shares a stratum with what it is compared with"
            doubt = f" There are {len(strata):,} strata for {cells.size:,} cells." if len(strata) > 1 else ""
            raise _NotComparableError(
                reason, f"{reason}: pass strata= within which groups differ, or leave it out.{doubt}"
            )
        self.codes[cells] = first_code + places
        recode[skipped] = -1
        selected = [code for code in dict.fromkeys(recode[in_order + against].tolist()) if code >= 0]
        return Comparison(
            sizes=np.bincount(of_cells, minlength=n_codes).astype(np.int64),
            n_groups=n_groups,
            against_rest=not against,
            groups=tuple(labels.names[i] for i in tested),
            reference=self.request.reference,
            selected=tuple(selected),
            label_positions=np.array(tested + against[:1]),
            strata=strata,
            skipped=tuple(labels.names[i] for i in skipped),
            level=level,
        )

    def _stratify(
        self, cells: NDArray[np.intp], of_cells: NDArray[np.intp], n_groups: int, n_codes: int
    ) -> tuple[NDArray[np.intp], tuple[Sides, ...]]:
        """Give the codes of the cells, stratum by stratum, and how many each has there; no strata if there are none."""
        if self.of_stratum is None:
            return of_cells, ()
        of_stratum = self.of_stratum[cells]
        present = np.bincount(of_stratum) > 0
        places = (np.cumsum(present) - 1)[of_stratum] * n_codes + of_cells
        sizes = np.bincount(places, minlength=int(present.sum()) * n_codes).reshape(-1, n_codes)
        return places, tuple(Sides(of_one, n_groups, not self.request.against) for of_one in sizes)

    def _refuse_small(self, sizes: NDArray[np.intp], tested: list[int]) -> None:
        """Raise an error for a reference, or groups, of too few cells."""
        request, names = self.request, self.request.labels.names
        of_reference = int(sizes[request.against].sum())
        if request.against and of_reference < max(1, self.min_cells):
            reason = f"reference {request.reference!r} has {_counted(of_reference)}"
            least = self.min_cells or _LEAST_CELLS
            raise _NotComparableError(reason, f"{reason}, and {least} are needed: name another reference.")
        alone = [names[i] for i in tested if sizes[i] < _LEAST_CELLS]
        if request.against and of_reference < _LEAST_CELLS:
            alone.append(request.reference)
        if not alone:
            return
        none = ", or none" if any(sizes[i] == 0 for i in tested) else ""
        n_labels, n_cells = len(names), request.labels.codes.size
        doubt = f" Are these labels? There are {n_labels:,} for {n_cells:,} cells." if n_labels > n_cells / 2 else ""
        msg = (
            f"Could not calculate statistics for groups {listed(alone)} of {request.labels.groupby!r} since they only "
            f"contain one sample{none}. Leave them out by min_cells={_LEAST_CELLS} or `groups`, or merge them with "
            f"other groups.{doubt}"
        )
        reason = f"{_counted(1)} of {listed(alone)} (min_cells={_LEAST_CELLS} leaves out such groups only)"
        raise _NotComparableError(reason, msg)

    def _nothing_left(self, sizes: NDArray[np.intp], skipped: list[int]) -> _NotComparableError:
        request = self.request
        if skipped:
            reason = f"no group has min_cells={self.min_cells} cells"
            largest = max(skipped, key=lambda i: int(sizes[i]))
            most = f"{request.labels.names[largest]!r} has {_counted(int(sizes[largest]))}"
            return _NotComparableError(reason, f"{reason}: the largest of {request.labels.groupby!r}, {most}.")
        asked = "all" if request.tested is None else request.names
        msg = f"groups={asked!r} leaves nothing to compare with reference={request.reference!r}: name another group."
        return _NotComparableError(f"nothing to compare with {request.reference!r}", msg)


def _counted(n: int) -> str:
    return f"{n:,} cell" if n == 1 else f"{n:,} cells"


def _refuse_min_cells(min_cells: Any) -> None:
    is_number = isinstance(min_cells, int | np.integer) and not isinstance(min_cells, bool)
    if min_cells is not None and (not is_number or min_cells < _LEAST_CELLS):
        msg = f"min_cells={min_cells!r} is not valid: pass a whole number of cells from {_LEAST_CELLS} up, or None."
        raise ValueError(msg)


def _refuse_shared_columns(columns: dict[str, str | None]) -> None:
    seen: dict[str, str] = {}
    for argument, column in columns.items():
        if not isinstance(column, str):
            # Reading the labels refuses all else but None.
            continue
        other = seen.setdefault(column, argument)
        if other != argument:
            msg = f"{argument}={column!r} is {other} too: pass another column of adata.obs."
            raise ValueError(msg)
