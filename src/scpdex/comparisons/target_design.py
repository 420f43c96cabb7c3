"""Target design: each target against one reference or the rest, groups of one cell included."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.comparisons.design import Comparison, Design
from scpdex.comparisons.labels import REST, Labels
from scpdex.comparisons.spelling import quote_names, suggest_name

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TargetDesign:
    """A design of one comparison, with the labels of targets and reference as they are in ``obs``."""

    design: Design
    targets: list[Hashable]
    reference: Hashable
    """Label of the reference, or ``"rest"``."""
    missing_groups: tuple[Hashable, ...] = ()
    """Requested groups that label no cell."""

    @classmethod
    def by_appearance(
        cls, obs: pd.DataFrame, groupby_key: str, groups: Iterable[Hashable] | None, reference: Hashable
    ) -> TargetDesign:
        """Put the targets (all groups by default) in order of first appearance, as pdex 0.1 does.

        Raises
        ------
        KeyError
            ``groupby_key`` is not one column of ``obs``.
        ValueError
            No cell is labelled as the reference, or there is nothing to compare with it.
        """
        labels = Labels.read(obs, groupby_key, "groupby_key")
        reference_position = labels.get_position(reference, "reference")
        targets = [i for i in _order_by_appearance(labels) if i != reference_position]
        missing: tuple[Hashable, ...] = ()
        if groups is not None:
            if isinstance(groups, str | bytes) or not isinstance(groups, Iterable):
                msg = f"groups={groups!r} is not a sequence of groups: pass a list such as [{groups!r}], or None."
                raise ValueError(msg)
            positions = {group: labels.find_position(group) for group in groups}
            missing = tuple(group for group, i in positions.items() if i is None)
            requested = set(positions.values())
            targets = [i for i in targets if i in requested]
        if not targets:
            valid = [name for i, name in enumerate(labels.names) if i != reference_position]
            msg = (
                f"There is nothing to compare with reference={reference!r}: groups={groups!r}. "
                f"Other groups of {groupby_key!r}: {quote_names(valid) or 'none'}."
            )
            raise ValueError(msg)
        return _compare_targets(labels, targets, reference_position, missing)

    @classmethod
    def in_order(cls, obs: pd.DataFrame, groupby: str, reference: Hashable | None) -> TargetDesign:
        """Put the targets in the order of categories, or sorted, as pdex 0.3 does; None compares with the rest.

        Cells whose label is missing or an empty string take no part, in the rest neither.

        Raises
        ------
        ValueError
            No cell is labelled as the reference, or there is nothing to compare.
        """
        labels = Labels.read(obs, groupby)
        in_order = _sort_positions(labels) if _are_sorted(obs[groupby].dtype) else range(len(labels.labels))
        targets = [i for i in in_order if labels.names[i]]
        if reference is None:
            if len(targets) < 2:
                msg = (
                    f"mode='all' compares each group with the others, and groupby={groupby!r} has {len(targets)}: "
                    f"{quote_names([labels.names[i] for i in targets]) or 'none'}. Two are needed."
                )
                raise ValueError(msg)
            return _compare_targets(labels, targets, None)
        reference_position = labels.find_position(reference)
        if reference_position not in targets:
            hint = suggest_name(str(reference), [labels.names[i] for i in targets])
            msg = f"reference={reference!r} labels no cell of adata.obs[{groupby!r}].{hint}"
            raise ValueError(msg)
        targets.remove(reference_position)
        if not targets:
            msg = f"There is nothing to compare with reference={reference!r}: it is the only group of {groupby!r}."
            raise ValueError(msg)
        return _compare_targets(labels, targets, reference_position)


def _are_sorted(dtype: object) -> bool:
    """Tell whether pdex 0.3 sorts labels of a dtype: all but categories, and these if they lose the empty string."""
    # pandas sorts unordered categories when one of them is removed.
    return not isinstance(dtype, pd.CategoricalDtype) or ("" in dtype.categories and not dtype.ordered)


def _order_by_appearance(labels: Labels) -> list[int]:
    """Positions of the labels in the order in which cells have them first."""
    first_cells = np.empty(len(labels.labels), dtype=np.intp)
    labelled_cells = np.flatnonzero(labels.codes >= 0)[::-1]
    # In reverse, so that the first cell of each label is written last.
    first_cells[labels.codes[labelled_cells]] = labelled_cells
    positions: list[int] = np.argsort(first_cells).tolist()
    return positions


def _sort_positions(labels: Labels) -> list[int]:
    """Positions of the labels, sorted as Python does: "g10" before "g2"; of a mix without an order, by appearance."""
    values: Any = labels.labels
    try:
        return sorted(range(len(values)), key=lambda i: values[i])
    except TypeError:
        return _order_by_appearance(labels)


def _compare_targets(
    labels: Labels, targets: list[int], reference_position: int | None, missing: tuple[Hashable, ...] = ()
) -> TargetDesign:
    """Compare the labels at some positions with the one at ``reference_position``, or with the rest of them."""
    compared = targets if reference_position is None else [*targets, reference_position]
    recode = np.full(len(labels.labels) + 1, -1, dtype=np.int32)
    recode[compared] = np.arange(len(compared))
    codes: NDArray[np.int32] = recode[labels.codes]
    comparison = Comparison(
        sizes=np.bincount(codes[codes >= 0], minlength=len(compared)).astype(np.int64),
        n_groups=len(targets),
        against_rest=reference_position is None,
        groups=tuple(labels.names[i] for i in targets),
        reference=REST if reference_position is None else labels.names[reference_position],
        selected_codes=tuple(range(len(compared))),
        label_positions=np.array(compared),
    )
    design = Design(labels.column, (comparison,), comparison.groups, codes)
    reference = REST if reference_position is None else labels.labels[reference_position]
    return TargetDesign(design, [labels.labels[i] for i in targets], reference, missing)
