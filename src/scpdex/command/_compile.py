"""``scpdex compile``: the kernels compiled before the first call needs them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from scpdex.command._compile_kernels import compile_kernels
from scpdex.command._subcommand import Subcommand

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping


def _add_options(_: ArgumentParser) -> None:
    """Add none."""


def _run(_: Mapping[str, Any]) -> None:
    kernels = compile_kernels()
    if kernels.folder is None and kernels.n_compiled:
        msg = "no folder can be written to for compiled kernels: set NUMBA_CACHE_DIR to one that can."
        raise OSError(msg)
    place = "the cache" if kernels.folder is None else kernels.folder
    sys.stdout.write(
        f"{kernels.n_compiled:,} kernels compiled and {kernels.n_loaded:,} loaded for {kernels.cpu_name}, in {place}\n"
    )


COMPILE = Subcommand(
    name="compile",
    summary="Compile all kernels into the cache, so that no call waits for them.",
    usage="[-v]",
    add_options=_add_options,
    run=_run,
)
