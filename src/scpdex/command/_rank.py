"""``scpdex rank``: files ranked, and the result written to a table or into the file."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from scanpy import logging as logg

from scpdex.command._docstrings import read_summary
from scpdex.command._in_place import rank_in_place
from scpdex.command._rank_options import RANK_OPTIONS, add_rank_options, open_files
from scpdex.command._subcommand import Subcommand
from scpdex.command._table_files import PARQUET, rank_to_csv, refuse_ending
from scpdex.tl import rank_genes_parallel

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping


def _add_options(parser: ArgumentParser) -> None:
    add_rank_options(parser, needs_target=True)


def _run(options: Mapping[str, Any]) -> None:
    arguments = RANK_OPTIONS.collect(options)
    if options["in_place"]:
        rank_in_place(options["files"], arguments)
        return
    if "key_added" in arguments:
        key = arguments.pop("key_added")
        logg.warning(
            f"--key {key!r} has no effect: it names a result in an h5ad file (--in-place), and a table has none."
        )
    ending = refuse_ending(options["out"])
    with ExitStack() as stack:
        data = open_files(options["files"], stack)
        if ending == PARQUET:
            arguments["storage"] = options["out"]
            rank_genes_parallel(data, **arguments)
        else:
            rank_to_csv(data, arguments, options["out"])


RANK = Subcommand(
    name="rank",
    summary=read_summary(rank_genes_parallel),
    usage="FILE [FILE ...] --groupby COLUMN (--out PATH | --in-place) [options]",
    add_options=_add_options,
    run=_run,
)
