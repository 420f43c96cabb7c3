"""Options: those of a command, from the signature and the docstring of the function that it calls.

``_`` becomes ``-``, a bool ``--x`` and ``--no-x``, and a list takes several values. Only options that are given reach
the function, so that its defaults are the only ones.
"""

from __future__ import annotations

import argparse
import inspect
from ast import literal_eval
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from scpdex.command._docstrings import read_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

_NUMBERS: dict[str, tuple[Callable[[str], object], str]] = {"int": (int, "N"), "float": (float, "NUMBER")}


@dataclass(frozen=True)
class FunctionOptions:
    """The parameters of a function that are options of a command."""

    function: Callable[..., object]
    left_out: Collection[str]
    """Parameters that are no options."""
    flags: Mapping[str, str]
    """Options that are not named as their parameter, by the parameter."""

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """Parameters that are options, by name."""
        return {
            name: parameter
            for name, parameter in inspect.signature(self.function).parameters.items()
            if name not in self.left_out and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        }

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add an option for each parameter; those without a default are required."""
        descriptions = read_parameters(self.function)
        for name, parameter in self.parameters.items():
            flag = self.flags.get(name, f"--{name.replace('_', '-')}")
            _add_option(parser, flag, parameter, descriptions.get(name, ""))

    def collect(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Collect the arguments of the function from the options that were given."""
        return {
            name: _unpack_one_value(parameter, options[name])
            for name, parameter in self.parameters.items()
            if name in options
        }


def _add_option(parser: argparse.ArgumentParser, flag: str, parameter: inspect.Parameter, description: str) -> None:
    kind, has_none = _read_annotation(parameter)
    default = parameter.default
    text = description.replace("%", "%%")
    if isinstance(default, str) and default:
        text += f" (default: {default.replace('%', '%%')})"
    is_required = default is inspect.Parameter.empty
    if kind == "bool":
        parser.add_argument(
            flag,
            dest=parameter.name,
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            required=is_required,
            help=text,
        )
        return
    convert, metavar = _NUMBERS.get(kind, (str, "VALUE"))
    if kind == "float" and (words := _read_words(parameter)):
        convert, metavar = partial(_read_number_or_word, words=words), "|".join([metavar, *words])
    parser.add_argument(
        flag,
        dest=parameter.name,
        action="extend" if kind == "several" else "store",
        nargs="+" if kind == "several" else None,
        type=convert,
        default=argparse.SUPPRESS,
        required=is_required,
        metavar=metavar,
        help=text,
    )
    # None is the default of most; where it is not, it needs a spelling.
    if has_none and isinstance(default, str):
        parser.add_argument(
            f"--no-{flag.removeprefix('--')}",
            dest=parameter.name,
            action="store_const",
            const=None,
            default=argparse.SUPPRESS,
            help=f"None for {flag}.",
        )


def _read_annotation(parameter: inspect.Parameter) -> tuple[str, bool]:
    """Read the kind of the values, and whether None is one.

    Kinds are ``"bool"``, ``"int"``, ``"float"``, ``"several"`` and ``"text"``.
    """
    parts = [part.strip() for part in str(parameter.annotation).split(" | ")]
    kinds = [part for part in parts if part != "None"]
    if kinds[0] in {"bool", "int", "float"} and all(part.startswith("Literal[") for part in kinds[1:]):
        return kinds[0], "None" in parts
    takes_several = any(part.startswith("Iterable[") for part in kinds)
    return "several" if takes_several else "text", "None" in parts


def _read_words(parameter: inspect.Parameter) -> list[str]:
    """Read the words that an annotation names beside other values, as in ``float | Literal["log1p", "median"]``."""
    annotation = str(parameter.annotation)
    return [
        word
        for part in annotation.split(" | ")
        if part.startswith("Literal[")
        for word in literal_eval(part.removeprefix("Literal"))
    ]


def _read_number_or_word(text: str, words: Collection[str]) -> float | str:
    """Read one of the words, or a number.

    Raises
    ------
    ArgumentTypeError
        The text is neither.
    """
    if text in words:
        return text
    try:
        return float(text)
    except ValueError:
        msg = f"{text!r} is neither a number nor one of {', '.join(words)}"
        raise argparse.ArgumentTypeError(msg) from None


def _unpack_one_value(parameter: inspect.Parameter, value: Any) -> Any:
    """Give one value of a list as it is, where the parameter takes one value or several, or it is the default."""
    if not isinstance(value, list) or len(value) != 1:
        return value
    takes_one = str(parameter.annotation).startswith("Hashable | Iterable[")
    return value[0] if takes_one or value[0] == parameter.default else value
