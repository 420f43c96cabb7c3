"""Rank options: those that ``scpdex rank`` and ``scpdex plan`` share, and the files that both open."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from scpdex.command._options import FunctionOptions
from scpdex.matrix import open_file
from scpdex.task import Arguments
from scpdex.tl import rank_genes_parallel

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack

    from anndata import AnnData

# `--out` and `--in-place` say where the result goes, in the place of `copy` and `storage`.
RANK_OPTIONS = FunctionOptions(rank_genes_parallel, left_out={"adata", "copy", "storage"}, flags={"key_added": "--key"})


def add_rank_options(parser: ArgumentParser, *, needs_target: bool) -> None:
    """Add the files, where the result goes, and all arguments; ``needs_target`` requires a place for the result."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="h5ad file or zarr store, which only --in-place changes; the cells of several are ranked together.",
    )
    target = parser.add_mutually_exclusive_group(required=needs_target)
    target.add_argument("--out", metavar="PATH", help="Write one long table: .parquet, .csv or .csv.gz.")
    target.add_argument(
        "--in-place",
        action="store_true",
        help="Put the result into the h5ad file, in varm and uns[KEY]: the file is replaced by a copy that has it.",
    )
    RANK_OPTIONS.add_to(parser)


def open_files(paths: Sequence[str], stack: ExitStack) -> AnnData | list[str]:
    """Open one file for reading, or give the paths of several; ``stack`` closes it.

    A list of one would be ranked as several, and have a column for the names of files.
    """
    return open_file(paths[0], stack) if len(paths) == 1 else list(paths)


def make_arguments(given: Mapping[str, Any]) -> Arguments:
    """Make the arguments of a call, those that are not given by their defaults."""
    parameters = inspect.signature(rank_genes_parallel).parameters
    return Arguments(
        **{field.name: given.get(field.name, parameters[field.name].default) for field in fields(Arguments)}
    )
