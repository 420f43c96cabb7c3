"""Requested groups: groups, reference and exclude -> positions among the labels; wrong names are refused here."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.comparisons.labels import REST, Labels
from scpdex.comparisons.spelling import quote_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Name, in `exclude`, of cells without a label.
MISSING = "nan"


@dataclass(frozen=True)
class RequestedGroups:
    """The groups, the reference and the excluded labels of a call."""

    labels: Labels
    tested_positions: list[int] | None
    """Positions among the labels of the groups to test, in the order of the request; None for all labels."""
    reference_positions: list[int]
    """Positions of the labels that together are the reference; empty for the rest."""
    is_excluded: NDArray[np.bool_]
    """Whether the cells of each label take no part; the last element is for cells without a label."""

    @classmethod
    def of(
        cls,
        labels: Labels,
        groups: str | Iterable[Hashable],
        reference: Hashable | Iterable[Hashable],
        exclude: Iterable[Hashable] | None,
    ) -> RequestedGroups:
        """Look up the named groups among the labels.

        Raises
        ------
        ValueError
            A group or the reference is not among the labels, or is excluded.
        """
        tested = _tested_positions(labels, groups)
        references = _reference_positions(labels, reference)
        is_excluded = np.zeros(len(labels.labels) + 1, dtype=bool)
        for label in [] if exclude is None else _as_sequence(exclude, "exclude", "None"):
            is_missing = _is_missing(label) or (label == MISSING and labels.find_position(label) is None)
            is_excluded[-1 if is_missing else labels.get_position(label, "exclude", also_valid=("np.nan",))] = True
        for argument, positions in (("groups", tested or []), ("reference", references)):
            in_both = [labels.names[i] for i in positions if is_excluded[i]]
            if in_both:
                msg = f"exclude leaves out {quote_names(in_both)}, which {argument} names: name them in one of the two."
                raise ValueError(msg)
        request = cls(labels, tested, references, is_excluded)
        if len(references) > 1 and labels.find_position(request.reference_name) is not None:
            msg = (
                f"reference={list(request.references)!r} together would be called like the group "
                f"{request.reference_name!r}: rename that group."
            )
            raise ValueError(msg)
        return request

    @property
    def names(self) -> list[str]:
        """Names of the groups to test, in the order of the results."""
        if self.tested_positions is None:
            return self.labels.names
        return [self.labels.names[i] for i in self.tested_positions]

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the labels that together are the reference; empty for the rest."""
        return tuple(self.labels.names[i] for i in self.reference_positions)

    @property
    def reference_name(self) -> str:
        """Name of the reference: ``"rest"``, or the names of its labels joined by " + "."""
        return " + ".join(self.references) if self.reference_positions else REST

    @property
    def excluded_labels(self) -> tuple[str, ...]:
        """Names of the excluded labels; ``"nan"`` stands for cells without a label."""
        names = zip([*self.labels.names, MISSING], self.is_excluded, strict=True)
        return tuple(name for name, is_excluded in names if is_excluded)


def _tested_positions(labels: Labels, groups: str | Iterable[Hashable]) -> list[int] | None:
    """Positions of the groups to test, in the order of the request and each once; None for all labels."""
    if isinstance(groups, str) and groups == "all":
        return None
    names = _as_sequence(groups, "groups", "'all'")
    positions = list(dict.fromkeys(labels.get_position(name, "groups") for name in names))
    if not positions:
        msg = f"groups is empty: name groups of {labels.column!r} ({quote_names(labels.names)}), or pass 'all'."
        raise ValueError(msg)
    return positions


def _reference_positions(labels: Labels, reference: Hashable | Iterable[Hashable]) -> list[int]:
    """Positions of the labels that together are the reference; empty for the rest."""
    if isinstance(reference, str) and reference == REST:
        return []
    if isinstance(reference, Hashable):
        # A tuple may be a label.
        is_label = labels.find_position(reference) is not None or isinstance(reference, str | bytes)
        if is_label or not isinstance(reference, Iterable):
            return [labels.get_position(reference, "reference", also_valid=(REST,))]
    names = list(reference)
    if not names or any(isinstance(name, str) and name == REST for name in names):
        msg = (
            f"reference={names!r} is not valid: name groups of {labels.column!r} ({quote_names(labels.names)}), which "
            "together are the reference, or pass 'rest' by itself."
        )
        raise ValueError(msg)
    return list(dict.fromkeys(labels.get_position(name, "reference") for name in names))


def _as_sequence(labels: Any, argument: str, alternative: str) -> Sequence[Hashable]:
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        msg = f"{argument}={labels!r} is not a sequence of groups: pass a list such as [{labels!r}], or {alternative}."
        raise ValueError(msg)
    return list(labels)


def _is_missing(label: Any) -> bool:
    return pd.api.types.is_scalar(label) and bool(pd.isna(label))
