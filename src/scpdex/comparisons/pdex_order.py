"""Screen: targets in order of first appearance, each compared with one control; groups of one cell are allowed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scpdex.comparisons.design import Comparison, Design
from scpdex.comparisons.labels import Labels
from scpdex.comparisons.names import listed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Screen:
    """Which targets are compared with the control, under their own labels."""

    design: Design
    targets: list[Hashable]
    reference: Hashable
    missing: list[Hashable]
    """Groups that were asked for and label no cell."""

    @classmethod
    def of(cls, obs: pd.DataFrame, groupby_key: str, groups: Iterable[Hashable] | None, reference: Hashable) -> Screen:
        """Find the cells of the targets (all groups by default) and of the control.

        Raises
        ------
        KeyError
            ``groupby_key`` is not one column of ``obs``.
        ValueError
            No cell is labelled as the reference, or there is nothing to compare with it.
        """
        labels = Labels.read(obs, groupby_key, "groupby_key")
        control = labels.position(reference, "reference")
        first = np.empty(len(labels.labels), dtype=np.intp)
        labelled = np.flatnonzero(labels.codes >= 0)[::-1]
        # What is written last is what comes first.
        first[labels.codes[labelled]] = labelled
        targets = [i for i in np.argsort(first).tolist() if i != control]
        missing = []
        if groups is not None:
            if isinstance(groups, str | bytes) or not isinstance(groups, Iterable):
                msg = f"groups={groups!r} is not a sequence of groups: pass a list such as [{groups!r}], or None."
                raise ValueError(msg)
            found = {group: labels.find(group) for group in groups}
            missing = [group for group, i in found.items() if i is None]
            targets = [i for i in targets if i in found.values()]
        if not targets:
            others = [name for i, name in enumerate(labels.names) if i != control]
            msg = (
                f"There is nothing to compare with reference={reference!r}: groups={groups!r}. "
                f"Other groups of {groupby_key!r}: {listed(others) or 'none'}."
            )
            raise ValueError(msg)
        recode = np.full(len(labels.labels) + 1, -1, dtype=np.int32)
        recode[[*targets, control]] = np.arange(len(targets) + 1)
        codes = recode[labels.codes]
        comparison = Comparison(
            sizes=np.bincount(codes[codes >= 0], minlength=len(targets) + 1).astype(np.int64),
            n_groups=len(targets),
            against_rest=False,
            groups=tuple(labels.names[i] for i in targets),
            reference=labels.names[control],
            selected=tuple(range(len(targets) + 1)),
            label_positions=np.array([*targets, control]),
        )
        design = Design(groupby_key, (comparison,), comparison.groups, codes)
        return cls(design, [labels.labels[i] for i in targets], labels.labels[control], missing)
