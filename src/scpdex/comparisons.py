"""Comparisons: who is compared with whom, as an integer code per cell."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scpdex.labels import REST, Labels, listed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Comparison:
    """Which cells are compared with which.

    The tested groups have the codes ``0 ... n_groups - 1``. Code ``n_groups``, where there is one, is the reference
    group or, against the rest, the cells that are only ever part of the rest.
    """

    groupby: str
    """Column of obs that holds the labels."""
    groups: tuple[str, ...]
    """Names of the tested groups, in the order of the results."""
    reference: str
    """``"rest"`` or the name of the reference group."""
    against_rest: bool
    """Whether each group is compared with all other cells."""
    selected: tuple[int, ...]
    """Codes in scanpy's order of the selected groups, in which the reference has its own place."""
    codes: NDArray[np.int32]
    """Group code of each cell; -1 where the cell takes no part."""
    sizes: NDArray[np.int64]
    """Number of cells of each code."""
    label_positions: NDArray[np.intp]
    """Position of each selected code's label in the order of the labels."""

    @property
    def n_groups(self) -> int:
        """Number of tested groups."""
        return len(self.groups)

    @property
    def reference_code(self) -> int:
        """Code of the reference group; -1 for the rest."""
        return -1 if self.against_rest else self.n_groups

    @property
    def group_sizes(self) -> NDArray[np.int64]:
        """Number of cells of each tested group."""
        return self.sizes[: self.n_groups]

    @property
    def other_sizes(self) -> NDArray[np.int64]:
        """Number of cells that each tested group is compared with."""
        if self.against_rest:
            return np.asarray(self.sizes.sum() - self.group_sizes)
        return np.full(self.n_groups, self.sizes[self.n_groups])

    def name_of(self, code: int) -> str:
        """Name of the group that has ``code``."""
        return self.groups[code] if code < self.n_groups else self.reference


def compare(
    obs: pd.DataFrame, groupby: str, groups: str | Iterable[Hashable] = "all", reference: Hashable = REST
) -> Comparison:
    """Turn labels into a :class:`Comparison`, refusing by name what cannot be compared.

    Raises
    ------
    KeyError
        ``groupby`` is not one column of ``obs``.
    ValueError
        A group or the reference is not among the labels, two labels share one spelling, or a group has one cell.
    """
    labels = Labels.read(obs, groupby)
    tested = _selected(labels, groups)
    selected = list(tested)
    against: list[int] = []
    if not (isinstance(reference, str) and reference == REST):
        against = [labels.position(reference, "reference", also=(REST,))]
        selected += [i for i in against if i not in selected]
        tested = [i for i in tested if i not in against]
    _refuse_single_cells(labels, selected)
    if not tested:
        msg = f"groups={groups!r} leaves nothing to compare with reference={reference!r}: name another group."
        raise ValueError(msg)

    # The last element is for cells without a label (code -1): part of the rest, as in scanpy, and of nothing else.
    recode = np.full(len(labels.labels) + 1, -1 if against else len(tested), dtype=np.int32)
    recode[tested + against] = np.arange(len(tested) + len(against))
    codes = recode[labels.codes]
    return Comparison(
        groupby=groupby,
        groups=tuple(labels.names[i] for i in tested),
        reference=labels.names[against[0]] if against else REST,
        against_rest=not against,
        selected=tuple(recode[selected].tolist()),
        codes=codes,
        sizes=np.bincount(codes[codes >= 0], minlength=len(tested)).astype(np.int64),
        label_positions=np.array(tested + against),
    )


def _selected(labels: Labels, groups: str | Iterable[Hashable]) -> list[int]:
    """Positions of the requested groups, in the order of the request and each once."""
    if isinstance(groups, str) and groups == "all":
        return list(range(len(labels.labels)))
    if isinstance(groups, str | bytes) or not isinstance(groups, Iterable):
        msg = f"groups={groups!r} is not a sequence of groups: pass a list such as [{groups!r}], or 'all'."
        raise ValueError(msg)
    positions = list(dict.fromkeys(labels.position(group, "groups") for group in groups))
    if not positions:
        msg = f"groups is empty: name groups of {labels.groupby!r} ({listed(labels.names)}), or pass 'all'."
        raise ValueError(msg)
    return positions


def _refuse_single_cells(labels: Labels, selected: list[int]) -> None:
    single = [labels.names[i] for i in selected if labels.sizes[i] == 1]
    if single:
        n_labels, n_cells = len(labels.labels), labels.codes.size
        doubt = f" Are these labels? There are {n_labels:,} for {n_cells:,} cells." if n_labels > n_cells / 2 else ""
        msg = (
            f"Could not calculate statistics for groups {listed(single)} of {labels.groupby!r} since they only "
            f"contain one sample. Leave them out of `groups`, or merge them with other groups.{doubt}"
        )
        raise ValueError(msg)
