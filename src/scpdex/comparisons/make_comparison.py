"""Make a comparison: the cells of one level, or all -> tested groups, reference, strata; too few cells are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scpdex.comparisons.design import Comparison, GroupSizes
from scpdex.comparisons.spelling import quote_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.comparisons.requested_groups import RequestedGroups

# Fewest cells of a group without min_cells: one cell has no variance, and scanpy refuses it.
LEAST_CELLS = 2


class NotComparableError(ValueError):
    """The cells cannot be compared: the message is for a call without levels, ``reason`` for one level of many."""

    def __init__(self, reason: str, message: str) -> None:
        """Keep both texts."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class ComparisonMaker:
    """Makes comparisons of the requested groups, each among a part of the cells."""

    request: RequestedGroups
    stratum_codes: NDArray[np.intp] | None
    """Stratum of each cell; None without strata."""
    min_cells: int | None
    """Leave out groups of fewer cells; None refuses groups of one cell."""
    codes: NDArray[np.int32]
    """Written: the code of each cell that takes part."""

    def make(self, cells: NDArray[np.intp], level: str | None, first_code: int) -> Comparison:
        """Compare groups among ``cells``, those of ``level`` if there are levels; ``first_code`` is the lowest code.

        Raises
        ------
        NotComparableError
            A group or the reference has too few of the cells, or nothing is left to compare.
        """
        labels, reference = self.request.labels, self.request.reference_positions
        is_reference = set(reference)
        label_codes = labels.codes[cells]
        sizes = np.bincount(label_codes[label_codes >= 0], minlength=len(labels.labels))
        requested = self.request.tested_positions
        if requested is None or level is not None:
            requested = [i for i in (range(sizes.size) if requested is None else requested) if sizes[i]]
        candidates = [i for i in requested if i not in is_reference]
        least = self.min_cells or 0
        skipped = [i for i in candidates if sizes[i] < least]
        tested = [i for i in candidates if sizes[i] >= least]
        self._refuse_small(sizes, tested)
        if not tested:
            raise self._nothing_left(sizes, skipped)
        n_groups = len(tested)
        # The last element is for cells without a label (code -1): part of the rest, as in scanpy, and of nothing else.
        recode = np.full(sizes.size + 1, -1 if reference else n_groups, dtype=np.intp)
        recode[tested] = np.arange(n_groups)
        recode[reference] = n_groups
        group_codes = recode[label_codes]
        cells, group_codes = cells[group_codes >= 0], group_codes[group_codes >= 0]
        n_codes = max(n_groups, int(group_codes.max()) + 1)
        if level is not None and n_codes == 1:
            reason = f"all cells are of {labels.names[tested[0]]!r}"
            raise NotComparableError(reason, reason)
        codes, stratum_sizes = self._stratify(cells, group_codes, n_groups, n_codes)
        _refuse_disjoint_strata(stratum_sizes, cells.size)
        self.codes[cells] = first_code + codes
        recode[skipped] = -1
        selected = [code for code in dict.fromkeys(recode[requested + reference].tolist()) if code >= 0]
        return Comparison(
            sizes=np.bincount(group_codes, minlength=n_codes).astype(np.int64),
            n_groups=n_groups,
            against_rest=not reference,
            groups=tuple(labels.names[i] for i in tested),
            reference=self.request.reference_name,
            selected_codes=tuple(selected),
            label_positions=np.array(tested + reference[:1]),
            stratum_sizes=stratum_sizes,
            skipped_groups=tuple(labels.names[i] for i in skipped),
            level=level,
        )

    def _stratify(
        self, cells: NDArray[np.intp], group_codes: NDArray[np.intp], n_groups: int, n_codes: int
    ) -> tuple[NDArray[np.intp], tuple[GroupSizes, ...]]:
        """Give each group a code in each stratum, and count its cells; without strata, codes stay as they are."""
        if self.stratum_codes is None:
            return group_codes, ()
        strata = self.stratum_codes[cells]
        is_present = np.bincount(strata) > 0
        codes = (np.cumsum(is_present) - 1)[strata] * n_codes + group_codes
        sizes = np.bincount(codes, minlength=int(is_present.sum()) * n_codes).reshape(-1, n_codes)
        against_rest = not self.request.reference_positions
        return codes, tuple(GroupSizes(of_stratum, n_groups, against_rest) for of_stratum in sizes)

    def _refuse_small(self, sizes: NDArray[np.intp], tested: list[int]) -> None:
        """Raise an error if the reference or a tested group has too few cells."""
        request, names = self.request, self.request.labels.names
        has_reference = bool(request.reference_positions)
        reference_size = int(sizes[request.reference_positions].sum())
        if has_reference and reference_size < (self.min_cells or 1):
            reason = f"reference {request.reference_name!r} has {_count_cells(reference_size)}"
            least = self.min_cells or LEAST_CELLS
            raise NotComparableError(reason, f"{reason}, and {least} are needed: name another reference.")
        if self.min_cells is not None:
            return
        small = [names[i] for i in tested if sizes[i] < LEAST_CELLS]
        if has_reference and reference_size < LEAST_CELLS:
            small.append(request.reference_name)
        if not small:
            return
        none = ", or none" if any(sizes[i] == 0 for i in tested) else ""
        n_labels, n_cells = len(names), request.labels.codes.size
        hint = f" Are these labels? There are {n_labels:,} for {n_cells:,} cells." if n_labels > n_cells / 2 else ""
        msg = (
            f"Could not calculate statistics for groups {quote_names(small)} of {request.labels.column!r} since they "
            f"only contain one sample{none}. Leave them out by min_cells={LEAST_CELLS} or `groups`, merge them with "
            f"other groups, or test them by min_cells=1.{hint}"
        )
        reason = (
            f"{_count_cells(1)} of {quote_names(small)} (min_cells={LEAST_CELLS} leaves out such groups only, "
            "min_cells=1 tests them)"
        )
        raise NotComparableError(reason, msg)

    def _nothing_left(self, sizes: NDArray[np.intp], skipped: list[int]) -> NotComparableError:
        request = self.request
        if skipped:
            reason = f"no group has min_cells={self.min_cells} cells"
            largest = max(skipped, key=lambda i: int(sizes[i]))
            most = f"{request.labels.names[largest]!r} has {_count_cells(int(sizes[largest]))}"
            return NotComparableError(reason, f"{reason}: the largest of {request.labels.column!r}, {most}.")
        groups = "all" if request.tested_positions is None else request.names
        msg = (
            f"groups={groups!r} leaves nothing to compare with reference={request.reference_name!r}: name another one."
        )
        return NotComparableError(f"nothing to compare with {request.reference_name!r}", msg)


def _refuse_disjoint_strata(stratum_sizes: tuple[GroupSizes, ...], n_cells: int) -> None:
    """Raise an error if there are strata, and none has cells both of a group and of what it is compared with."""
    if not stratum_sizes or any((sizes.group_sizes * sizes.other_sizes).any() for sizes in stratum_sizes):
        return
    reason = "no group shares a stratum with what it is compared with"
    hint = f" There are {len(stratum_sizes):,} strata for {n_cells:,} cells." if len(stratum_sizes) > 1 else ""
    raise NotComparableError(reason, f"{reason}: pass strata= within which groups differ, or leave it out.{hint}")


def _count_cells(n: int) -> str:
    return f"{n:,} cell" if n == 1 else f"{n:,} cells"
