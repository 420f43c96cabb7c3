"""``scpdex compile``: the kernels compiled before the first call needs them."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from scpdex.command._subcommand import Subcommand

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping


def _add_options(_: ArgumentParser) -> None:
    """Add none."""


def _run(_: Mapping[str, Any]) -> None:
    # To become an import at the top, once the module is there.
    report = import_module("scpdex.command._compile_kernels").compile_kernels()
    sys.stdout.write(f"{report}\n")


COMPILE = Subcommand(
    name="compile",
    summary="Compile all kernels into the cache, so that no call waits for them.",
    usage="[-v]",
    add_options=_add_options,
    run=_run,
)
