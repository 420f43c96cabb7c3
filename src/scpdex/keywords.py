"""Keywords: which unknown arguments are misspelt parameters, and which are ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanpy import logging as logg

from scpdex.labels import listed

if TYPE_CHECKING:
    from collections.abc import Iterable


def find_misspelt(unknown: Iterable[str], parameters: Iterable[str]) -> dict[str, str]:
    """Find the parameter that each misspelt name means.

    A name is misspelt if it is one edit away from a parameter: one letter that is added, left out or replaced, or two
    neighbours that are swapped. Case and underscores do not count.
    """
    parameters = list(parameters)
    close = {name: [parameter for parameter in parameters if _is_close(name, parameter)] for name in unknown}
    return {name: found[0] for name, found in close.items() if found}


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


def tell_of_ignored(names: Iterable[str], hint: str = "") -> None:
    """Name arguments that have no meaning here, in one warning."""
    if names := list(names):
        ignored = f"argument {names[0]!r} is" if len(names) == 1 else f"arguments {listed(names)} are"
        logg.warning(f"{ignored} ignored, as in scanpy: no parameter has such a name.{hint}")
