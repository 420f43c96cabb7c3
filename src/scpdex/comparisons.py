"""Comparisons: who is compared with whom, as an integer code per cell."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from natsort import natsorted

if TYPE_CHECKING:
    from numpy.typing import NDArray

REST = "rest"

_MOST_LISTED = 20


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
        return -1 if self.reference == REST else self.n_groups

    @property
    def group_sizes(self) -> NDArray[np.int64]:
        """Number of cells of each tested group."""
        return self.sizes[: self.n_groups]

    @property
    def other_sizes(self) -> NDArray[np.int64]:
        """Number of cells that each tested group is compared with."""
        if self.reference == REST:
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
    labels, codes = _labels(obs, groupby)
    names = [str(label) for label in labels]
    sizes = np.bincount(codes[codes >= 0], minlength=len(names)).astype(np.int64)

    selected = _selected(names, groupby, groups)
    reference_name = REST
    if not (isinstance(reference, str) and reference == REST):
        position = _position(reference, names, groupby, "reference")
        reference_name = names[position]
        if position not in selected:
            selected.append(position)

    _refuse_single_cells([names[i] for i in selected if sizes[i] == 1], groupby)
    tested = [i for i in selected if names[i] != reference_name or reference_name == REST]
    if not tested:
        msg = f"groups={groups!r} leaves nothing to compare with reference={reference!r}: name another group."
        raise ValueError(msg)

    recode = np.full(len(names) + 1, len(tested) if reference_name == REST else -1, dtype=np.int32)
    recode[tested] = np.arange(len(tested))
    if reference_name != REST:
        recode[names.index(reference_name)] = len(tested)
    # Code -1 (no label) picks the last element: part of the rest, as in scanpy, and of no other comparison.
    cell_codes = recode[codes]
    return Comparison(
        groupby=groupby,
        groups=tuple(names[i] for i in tested),
        reference=reference_name,
        selected=tuple(int(recode[i]) for i in selected),
        codes=cell_codes,
        sizes=np.bincount(cell_codes[cell_codes >= 0], minlength=len(tested)).astype(np.int64),
        label_positions=np.array(tested if reference_name == REST else [*tested, names.index(reference_name)]),
    )


def _labels(obs: pd.DataFrame, groupby: str) -> tuple[Sequence[Hashable], NDArray[np.intp]]:
    """Labels in use, in scanpy's order, and each cell's position among them (-1 for none)."""
    n_columns = list(obs.columns).count(groupby)
    if n_columns != 1:
        found = f"{n_columns} columns" if n_columns else "no column"
        msg = f"groupby={groupby!r} names {found} of adata.obs.{_suggest(groupby, [str(c) for c in obs.columns])}"
        raise KeyError(msg)
    column = obs[groupby]
    if isinstance(column.dtype, pd.CategoricalDtype):
        categories = column.cat.categories
        codes = column.cat.codes.to_numpy().astype(np.intp)
        used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(categories)))
    else:
        codes, uniques = pd.factorize(column)
        categories = pd.Index(uniques)
        order = {label: i for i, label in enumerate(_sorted(list(categories)))}
        used = np.argsort([order[label] for label in categories])
    if used.size == 0:
        msg = f"groupby={groupby!r} labels no cell: every value of adata.obs[{groupby!r}] is missing."
        raise ValueError(msg)
    rank = np.full(len(categories) + 1, -1, dtype=np.intp)
    rank[used] = np.arange(used.size)
    labels: list[Hashable] = list(categories[used])
    _refuse_shared_spellings(labels, groupby)
    return labels, rank[codes]


def _sorted(labels: list[Hashable]) -> list[Hashable]:
    """Sort numbers by value, all else naturally by spelling ("2" before "10"), as anndata orders strings."""
    if all(isinstance(label, int | float | np.number | np.bool_) for label in labels):
        return sorted(labels)  # type: ignore[type-var]
    return list(natsorted(labels, key=str))


def _refuse_shared_spellings(labels: list[Hashable], groupby: str) -> None:
    seen: dict[str, Hashable] = {}
    for label in labels:
        if str(label) in seen:
            msg = (
                f"adata.obs[{groupby!r}] has two labels that are both spelt {str(label)!r}: {seen[str(label)]!r} "
                f"({type(seen[str(label)]).__name__}) and {label!r} ({type(label).__name__}). Rename one of them."
            )
            raise ValueError(msg)
        seen[str(label)] = label


def _refuse_single_cells(names: list[str], groupby: str) -> None:
    if names:
        msg = (
            f"Could not calculate statistics for groups {_listed(names)} of {groupby!r} since they only contain one "
            "sample. Leave them out of `groups`, or merge them with other groups."
        )
        raise ValueError(msg)


def _selected(names: list[str], groupby: str, groups: str | Iterable[Hashable]) -> list[int]:
    """Positions of the requested groups, in the order of the request and each once."""
    if isinstance(groups, str) and groups == "all":
        return list(range(len(names)))
    if isinstance(groups, str | bytes) or not isinstance(groups, Iterable):
        msg = f"groups={groups!r} is not a sequence of groups: pass a list such as [{groups!r}], or 'all'."
        raise ValueError(msg)
    positions = list(dict.fromkeys(_position(group, names, groupby, "groups") for group in groups))
    if not positions:
        msg = f"groups is empty: name groups of {groupby!r} ({_listed(names)}), or pass 'all'."
        raise ValueError(msg)
    return positions


def _position(label: Hashable, names: list[str], groupby: str, argument: str) -> int:
    """Position of a label, which may be given as itself or by its spelling."""
    try:
        return names.index(str(label))
    except ValueError:
        allowed = [*names, REST] if argument == "reference" else names
        msg = f"{argument}: {label!r} is not a group of adata.obs[{groupby!r}].{_suggest(str(label), allowed)}"
        raise ValueError(msg) from None


def _suggest(wrong: str, valid: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(wrong, valid, n=1)
    return (f" Did you mean {nearest[0]!r}?" if nearest else "") + f" Valid: {_listed(valid)}."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_MOST_LISTED])
    return shown + (f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else "")
