"""Spelling: find a label or a parameter by its spelling, suggest the nearest one, list the valid ones."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

_MAX_NAMES = 20


def find_name(label: Hashable, names: Container[str]) -> str | None:
    """Find the name that means a label: its spelling or, for a number, that of an equal number of another type."""
    return next((spelling for spelling in label_spellings(label) if spelling in names), None)


def label_spellings(label: Hashable) -> Iterator[str]:
    """Give the spellings of a label: its own and, for a number, those of equal numbers of other types."""
    yield str(label)
    # A member of an enum of strings is equal to a text that str() does not give.
    if isinstance(label, str):
        yield label
    if not _is_number(label):
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


def choose_names(labels: object, names: Sequence[str], argument: str, place: str) -> list[str]:
    """Find the names of one label or several, each given as it is or by its spelling.

    Messages name ``argument``, which gives the labels, and ``place``, which holds the names.

    Raises
    ------
    ValueError
        A label is missing or has no name, one is given twice, or none is given.
    """
    valid = {name: name for name in names}
    chosen = []
    for label in _as_labels(labels, valid):
        if label is None or (pd.api.types.is_scalar(label) and pd.isna(label)):
            msg = f"{argument}: {label!r} is a missing label, which names no group. Valid: {quote_names(names)}."
            raise ValueError(msg)
        name = find_name(label, valid)
        if name is None:
            msg = f"{argument} {label!r} is not in {place}.{suggest_name(str(label), names)}"
            raise ValueError(msg)
        chosen.append(valid[name])
    if not chosen or len(set(chosen)) < len(chosen):
        problem = "names a group twice: name each once" if chosen else f"names no group. Valid: {quote_names(names)}"
        msg = f"{argument}={labels!r} {problem}."
        raise ValueError(msg)
    return chosen


def _as_labels(labels: Any, valid: Container[str]) -> list[Any]:
    """Make a list of one label or several; a sequence whose spelling is a name is one label, as a tuple may be."""
    if isinstance(labels, np.ndarray) and labels.ndim == 0:
        labels = labels.item()
    is_label = isinstance(labels, str | bytes) or not isinstance(labels, Iterable)
    return [labels] if is_label or (isinstance(labels, Hashable) and str(labels) in valid) else list(labels)


def suggest_name(wrong: str, valid: Sequence[str]) -> str:
    """Suggest the nearest valid name, if one is near, and list the valid names."""
    # Of names that differ by case only, the first one is suggested.
    by_case = {name.casefold(): name for name in reversed(valid)}
    nearest = difflib.get_close_matches(wrong.casefold(), by_case, n=1)
    return (
        f" Did you mean {by_case[nearest[0]]!r}?" if nearest else ""
    ) + f" Valid: {quote_names(valid) or 'none exist'}."


def quote_names(names: Sequence[str]) -> str:
    """Quote names for a message, separated by commas; of many names, the first 20."""
    shown = ", ".join(repr(name) for name in names[:_MAX_NAMES])
    return shown + (f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else "")


def _is_number(label: Hashable) -> bool:
    """Tell whether a label is a number; a bool is not."""
    return isinstance(label, Real) and not isinstance(label, bool)


def find_misspelt(unknown: Iterable[str], parameters: Iterable[str]) -> dict[str, str]:
    """Find the parameter that each misspelt name means; names that are near no parameter are left out.

    A name is misspelt if one edit makes it a parameter: a letter added, left out or replaced, or two neighbours
    swapped. Case and underscores do not count.
    """
    parameters = list(parameters)
    nearest = {name: next((other for other in parameters if _is_close(name, other)), None) for name in unknown}
    return {name: parameter for name, parameter in nearest.items() if parameter is not None}


def refuse_misspelt(names: Iterable[str], parameters: Iterable[str], verb: str) -> None:
    """Refuse misspelt names, in the words of Python's own error for functions without ``**kwds``, all in one error.

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
    n_prefix = _common_prefix_length(a, b)
    a, b = a[n_prefix:], b[n_prefix:]
    n_suffix = _common_prefix_length(a[::-1], b[::-1])
    # Slicing to -0 would leave nothing.
    a, b = a[: len(a) - n_suffix], b[: len(b) - n_suffix]
    return max(len(a), len(b)) <= 1 or (len(a) == 2 and a == b[::-1])


def _common_prefix_length(a: str, b: str) -> int:
    differ = (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    return next(differ, min(len(a), len(b)))
