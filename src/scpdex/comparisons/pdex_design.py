"""Design of pdex 0.1: targets in order of first appearance, each compared with one control, groups of one cell too."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scpdex.comparisons.design import Comparison, Design
from scpdex.comparisons.labels import Labels
from scpdex.comparisons.spelling import quote_names

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PdexDesign:
    """A design of one comparison, with the labels of targets and control as they are in ``obs``."""

    design: Design
    targets: list[Hashable]
    reference: Hashable
    missing_groups: list[Hashable]
    """Requested groups that label no cell."""

    @classmethod
    def of(
        cls, obs: pd.DataFrame, groupby_key: str, groups: Iterable[Hashable] | None, reference: Hashable
    ) -> PdexDesign:
        """Find the cells of the targets (all groups by default) and of the control.

        Raises
        ------
        KeyError
            ``groupby_key`` is not one column of ``obs``.
        ValueError
            No cell is labelled as the reference, or there is nothing to compare with it.
        """
        labels = Labels.read(obs, groupby_key, "groupby_key")
        control = labels.get_position(reference, "reference")
        first_cells = np.empty(len(labels.labels), dtype=np.intp)
        labelled_cells = np.flatnonzero(labels.codes >= 0)[::-1]
        # In reverse, so that the first cell of each label is written last.
        first_cells[labels.codes[labelled_cells]] = labelled_cells
        targets = [i for i in np.argsort(first_cells).tolist() if i != control]
        missing = []
        if groups is not None:
            if isinstance(groups, str | bytes) or not isinstance(groups, Iterable):
                msg = f"groups={groups!r} is not a sequence of groups: pass a list such as [{groups!r}], or None."
                raise ValueError(msg)
            positions = {group: labels.find_position(group) for group in groups}
            missing = [group for group, i in positions.items() if i is None]
            requested = set(positions.values())
            targets = [i for i in targets if i in requested]
        if not targets:
            valid = [name for i, name in enumerate(labels.names) if i != control]
            msg = (
                f"There is nothing to compare with reference={reference!r}: groups={groups!r}. "
                f"Other groups of {groupby_key!r}: {quote_names(valid) or 'none'}."
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
            selected_codes=tuple(range(len(targets) + 1)),
            label_positions=np.array([*targets, control]),
        )
        design = Design(groupby_key, (comparison,), comparison.groups, codes)
        return cls(design, [labels.labels[i] for i in targets], labels.labels[control], missing)
