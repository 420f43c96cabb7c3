"""Names: find a label or a parameter by its spelling, suggest the nearest one, list the valid ones."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

_MOST_LISTED = 20


def spellings_of(label: Hashable) -> Iterator[str]:
    """Give the names that mean a label: its spelling and, for a number, those of an equal number of another type."""
    yield str(label)
    if not is_number(label):
        return
    number: Any = label
    with np.errstate(over="ignore"):
        for dtype in (int, float, np.float32, np.float16):
            try:
                equal: Any = dtype(number)
            except (OverflowError, ValueError):
                continue
            if equal == label:
                yield str(equal)
    if label == 0:
        yield from ("0.0", "-0.0")


def choose_names(asked: object, names: Sequence[str], argument: str, place: str) -> list[str]:
    """Find the names of one label or several, each given as itself or by its spelling.

    Messages name the argument, and the place that has the names.

    Raises
    ------
    ValueError
        A label is missing or has no name, one is given twice, or none is given.
    """
    valid = {name: name for name in names}
    chosen = []
    for label in _as_labels(asked, valid):
        if label is None or (pd.api.types.is_scalar(label) and pd.isna(label)):
            msg = f"{argument}: {label!r} is a missing label, which names no group. Valid: {listed(names)}."
            raise ValueError(msg)
        spellings = [label] if isinstance(label, str) else []
        found = [valid[name] for name in [*spellings, *spellings_of(label)] if name in valid]
        if not found:
            msg = f"{argument} {label!r} is not in {place}.{suggest(str(label), names)}"
            raise ValueError(msg)
        chosen.append(found[0])
    if not chosen or len(set(chosen)) < len(chosen):
        msg = f"{argument}={asked!r} names {'a group twice' if chosen else 'no group'}."
        raise ValueError(msg)
    return chosen


def _as_labels(asked: Any, valid: Container[str]) -> list[Any]:
    """Give what is asked for as a list; a sequence whose spelling is a name is one label, as a tuple may be."""
    if isinstance(asked, np.ndarray) and asked.ndim == 0:
        asked = asked.item()
    is_label = isinstance(asked, str | bytes) or not isinstance(asked, Iterable)
    return [asked] if is_label or (isinstance(asked, Hashable) and str(asked) in valid) else list(asked)


def suggest(wrong: str, valid: Sequence[str]) -> str:
    """Name the nearest valid name, where one is near, and list them all."""
    # The first of those that differ by case only stands for all.
    by_case = {name.casefold(): name for name in reversed(valid)}
    nearest = difflib.get_close_matches(wrong.casefold(), by_case, n=1)
    return (f" Did you mean {by_case[nearest[0]]!r}?" if nearest else "") + f" Valid: {listed(valid) or 'none exist'}."


def listed(names: Sequence[str]) -> str:
    """List names for a message, the first of many."""
    shown = ", ".join(repr(name) for name in names[:_MOST_LISTED])
    return shown + (f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else "")


def is_number(label: Hashable) -> bool:
    """Tell whether a label is a number; a bool is none."""
    return isinstance(label, Real) and not isinstance(label, bool)


def find_misspelt(unknown: Iterable[str], parameters: Iterable[str]) -> dict[str, str]:
    """Find the parameter that each misspelt name means.

    A name is misspelt if it is one edit away from a parameter: one letter that is added, left out or replaced, or two
    neighbours that are swapped. Case and underscores do not count.
    """
    parameters = list(parameters)
    close = {name: [parameter for parameter in parameters if _is_close(name, parameter)] for name in unknown}
    return {name: found[0] for name, found in close.items() if found}


def refuse_misspelt(names: Iterable[str], parameters: Iterable[str], verb: str) -> None:
    """Refuse misspelt names as Python does for functions without ``**kwds``, but all of them at once.

    Raises
    ------
    TypeError
        A name is a misspelt parameter of ``verb``.
    """
    misspelt = find_misspelt(names, parameters)
    if misspelt:
        wrong, right = (", ".join(map(repr, spellings)) for spellings in (misspelt, misspelt.values()))
        got = "an unexpected keyword argument" if len(misspelt) == 1 else "unexpected keyword arguments"
        msg = f"{verb}() got {got} {wrong}. Did you mean {right}?"
        raise TypeError(msg)


def _is_close(name: str, parameter: str) -> bool:
    a, b = (text.replace("_", "").casefold() for text in (name, parameter))
    start = _length_of_common_start(a, b)
    a, b = a[start:], b[start:]
    end = _length_of_common_start(a[::-1], b[::-1])
    # Slicing to -0 would leave nothing.
    a, b = a[: len(a) - end], b[: len(b) - end]
    return max(len(a), len(b)) <= 1 or (len(a) == 2 and a == b[::-1])


def _length_of_common_start(a: str, b: str) -> int:
    differ = (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    return next(differ, min(len(a), len(b)))
