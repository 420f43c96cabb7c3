"""Request: groups, reference and what is left out, by their places among the labels; wrong names are refused here."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.comparisons.labels import REST, Labels
from scpdex.comparisons.names import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# What cells without a label are called.
MISSING = "nan"


@dataclass(frozen=True)
class Request:
    """The groups that were asked for, by their positions among the labels."""

    labels: Labels
    tested: list[int] | None
    """In the order of the request; None is all."""
    against: list[int]
    """Labels of the reference; none is the rest."""
    excluded: NDArray[np.bool_]
    """Whether cells of each label take no part; the last is for cells without one."""

    @classmethod
    def of(
        cls,
        labels: Labels,
        groups: str | Iterable[Hashable],
        reference: Hashable | Iterable[Hashable],
        exclude: Iterable[Hashable] | None,
    ) -> Request:
        """Find what is named.

        Raises
        ------
        ValueError
            A group or the reference is not among the labels, or is excluded.
        """
        tested = _tested(labels, groups)
        against = _against(labels, reference)
        excluded = np.zeros(len(labels.labels) + 1, dtype=bool)
        for label in [] if exclude is None else _several(exclude, "exclude", "None"):
            is_missing = _is_missing(label) or (label == MISSING and labels.find(label) is None)
            excluded[-1 if is_missing else labels.position(label, "exclude", also=("np.nan",))] = True
        for argument, positions in (("groups", tested or []), ("reference", against)):
            both = [labels.names[i] for i in positions if excluded[i]]
            if both:
                msg = f"exclude leaves out {listed(both)}, which {argument} names: name them in one of the two."
                raise ValueError(msg)
        request = cls(labels, tested, against, excluded)
        if len(against) > 1 and labels.find(request.reference) is not None:
            msg = (
                f"reference={list(request.references)!r} together would be called like the group {request.reference!r}."
            )
            raise ValueError(msg)
        return request

    @property
    def names(self) -> list[str]:
        """Names of the groups that were asked for, in the order of the results."""
        return self.labels.names if self.tested is None else [self.labels.names[i] for i in self.tested]

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the labels of the reference."""
        return tuple(self.labels.names[i] for i in self.against)

    @property
    def reference(self) -> str:
        """What the reference is called."""
        return " + ".join(self.references) if self.against else REST

    @property
    def excluded_names(self) -> tuple[str, ...]:
        """Names of the labels that take no part; "nan" for none."""
        return tuple(name for name, out in zip([*self.labels.names, MISSING], self.excluded, strict=True) if out)


def _tested(labels: Labels, groups: str | Iterable[Hashable]) -> list[int] | None:
    """Positions of the requested groups, in the order of the request and each once; None is all."""
    if isinstance(groups, str) and groups == "all":
        return None
    positions = list(dict.fromkeys(labels.position(group, "groups") for group in _several(groups, "groups", "'all'")))
    if not positions:
        msg = f"groups is empty: name groups of {labels.groupby!r} ({listed(labels.names)}), or pass 'all'."
        raise ValueError(msg)
    return positions


def _against(labels: Labels, reference: Hashable | Iterable[Hashable]) -> list[int]:
    """Positions of the labels that are the reference; none is the rest."""
    if isinstance(reference, str) and reference == REST:
        return []
    if isinstance(reference, Hashable):
        # A tuple may be a label.
        is_label = labels.find(reference) is not None or isinstance(reference, str | bytes)
        if is_label or not isinstance(reference, Iterable):
            return [labels.position(reference, "reference", also=(REST,))]
    together = list(reference)
    if not together or any(isinstance(label, str) and label == REST for label in together):
        msg = (
            f"reference={together!r} is not valid: name groups of {labels.groupby!r} ({listed(labels.names)}), which "
            "together are the reference, or pass 'rest' by itself."
        )
        raise ValueError(msg)
    return list(dict.fromkeys(labels.position(label, "reference") for label in together))


def _several(labels: Any, argument: str, otherwise: str) -> Sequence[Hashable]:
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        msg = f"{argument}={labels!r} is not a sequence of groups: pass a list such as [{labels!r}], or {otherwise}."
        raise ValueError(msg)
    return list(labels)


def _is_missing(label: Any) -> bool:
    return pd.api.types.is_scalar(label) and bool(pd.isna(label))
