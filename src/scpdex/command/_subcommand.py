"""Subcommand: what each of the commands consists of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Mapping


class Subcommand(NamedTuple):
    """A command such as ``scpdex rank``."""

    name: str
    summary: str
    usage: str
    """What follows ``scpdex``."""
    add_options: Callable[[ArgumentParser], None]
    run: Callable[[Mapping[str, Any]], None]
    """Carries it out with the options that were given, by their names in the parser."""
