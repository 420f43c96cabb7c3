"""``scpdex plan``: what ``scpdex rank`` would do and take, as one line on stdout."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from scpdex.command._docstrings import read_summary
from scpdex.command._rank_options import RANK_OPTIONS, add_rank_options, open_files
from scpdex.command._subcommand import Subcommand
from scpdex.command._table_files import PARQUET, refuse_ending
from scpdex.get import plan

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping


def _add_options(parser: ArgumentParser) -> None:
    add_rank_options(parser, needs_target=False)


def _run(options: Mapping[str, Any]) -> None:
    arguments = RANK_OPTIONS.collect(options)
    if options["in_place"]:
        arguments["storage"] = "varm"
    elif options["out"] is not None:
        # Rows take the same memory on their way to either kind of file.
        arguments["storage"] = options["out"].removesuffix(refuse_ending(options["out"])) + PARQUET
    with ExitStack() as stack:
        sys.stdout.write(f"{plan(open_files(options['files'], stack), **arguments)}\n")


PLAN = Subcommand(
    name="plan",
    summary=read_summary(plan),
    usage="FILE [FILE ...] --groupby COLUMN [--out PATH | --in-place] [options]",
    add_options=_add_options,
    run=_run,
)
