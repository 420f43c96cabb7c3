"""Docstrings: the summary and the description of each parameter, from numpy's format to plain text for ``--help``."""

from __future__ import annotations

import inspect
import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_UNDERLINE = re.compile(r"-{3,}")
# ``code``, :role:`target`, `name`.
_LITERAL = re.compile(r"``(.+?)``")
_ROLE = re.compile(r":[a-z:]+:`~?([^`]+)`")
_DEFAULT_ROLE = re.compile(r"`([^`]+)`")


def read_summary(function: Callable[..., object]) -> str:
    """Read the first line of a docstring; empty where Python dropped docstrings (``python -OO``)."""
    first, *_ = _read_lines(function) or [""]
    return remove_markup(first)


def read_parameters(function: Callable[..., object]) -> dict[str, str]:
    """Read the description of each parameter, by its name; a description of several names is that of each."""
    descriptions: dict[str, str] = {}
    names: list[str] = []
    words: list[str] = []
    for line in [*_read_section(_read_lines(function), "Parameters"), "end"]:
        if not line or line.startswith(" "):
            words.append(line.strip())
            continue
        text = remove_markup(" ".join(words).strip())
        descriptions |= dict.fromkeys(names, text)
        names, words = [name.strip() for name in line.partition(" : ")[0].split(",")], []
    return descriptions


def remove_markup(text: str) -> str:
    """Remove the markup of reStructuredText: code, names and references become their text."""
    return _DEFAULT_ROLE.sub(r"\1", _ROLE.sub(r"\1", _LITERAL.sub(r"\1", text)))


def _read_lines(function: Callable[..., object]) -> list[str]:
    # `inspect.getdoc` would give the docstring of a base class.
    return inspect.cleandoc(function.__doc__ or "").splitlines()


def _read_section(lines: list[str], title: str) -> list[str]:
    """Read the lines of a section, from its underlined title to the next one."""
    titles = [i for i, (line, below) in enumerate(pairwise(lines)) if line and _UNDERLINE.fullmatch(below)]
    starts = [i for i in titles if lines[i] == title]
    if not starts:
        return []
    stop = next((i for i in titles if i > starts[0]), len(lines))
    return lines[starts[0] + 2 : stop]
