"""``scpdex table``: a stored result as a table of text on stdout, a part of the groups at a time."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scanpy as sc

from scpdex.command._docstrings import read_summary
from scpdex.command._options import FunctionOptions
from scpdex.command._subcommand import Subcommand
from scpdex.command._table_files import DEFAULT_KEY, PARQUET
from scpdex.command._text_table import TextTable
from scpdex.get import rank_genes_df
from scpdex.get._table_sources import open_source
from scpdex.matrix import open_file
from scpdex.results import ParquetResult

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable, Iterator, Mapping

    from anndata import AnnData

_OPTIONS = FunctionOptions(rank_genes_df, left_out={"adata", "backend", "keep_labels"}, flags={})
# Rows of a result, before filters, that are looked at together.
_MAX_ROWS = 2_000_000


def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="h5ad file or zarr store with a result, or the .parquet file of scpdex rank."
    )
    _OPTIONS.add_to(parser)


def _run(options: Mapping[str, Any]) -> None:
    arguments = _OPTIONS.collect(options)
    text = TextTable()
    with ExitStack() as stack:
        for table in _read_tables(options["file"], arguments, stack):
            text.write(table)


def _read_tables(path: str, arguments: Mapping[str, Any], stack: ExitStack) -> Iterator[pd.DataFrame]:
    """Read the table, or parts of it, each with all rows of some groups."""
    is_parquet = path.lower().endswith(PARQUET)
    source = path if is_parquet else open_file(path, stack, with_results=True)
    result = open_source(source, arguments.get("key", DEFAULT_KEY))
    groups = result.all_groups
    if not isinstance(source, str):
        _load_matrices(source, result.groups_by_key)
    n_rows_of_group = max(1, _count_genes(source) * len(result.groups_by_key))
    # Targets are adjusted together.
    if "group" in arguments or "on_target" in arguments or n_rows_of_group * len(groups) <= _MAX_ROWS:
        yield _read_table(source, arguments)
        return
    step = max(1, _MAX_ROWS // n_rows_of_group)
    for start in range(0, len(groups), step):
        yield _read_table(source, {**arguments, "group": groups[start : start + step]})
        # The first part has said it for all.
        sc.settings.verbosity = "error"


def _load_matrices(adata: AnnData, keys: Iterable[str]) -> None:
    """Load the matrices of results, of which each part of the table reads some columns."""
    for name in adata.varm:
        if any(name.startswith(f"{key}_") for key in keys):
            adata.varm[name] = np.asarray(adata.varm[name])


def _count_genes(source: AnnData | str) -> int:
    if isinstance(source, str):
        return int(ParquetResult.open(source).gene_names.size)
    return int(source.n_vars if source.raw is None else max(source.n_vars, source.raw.n_vars))


def _read_table(source: AnnData | str, arguments: Mapping[str, Any]) -> pd.DataFrame:
    call: dict[str, Any] = {"adata": source} | dict(arguments)
    return pd.DataFrame(rank_genes_df(**call))


TABLE = Subcommand(
    name="table",
    summary=read_summary(rank_genes_df),
    usage="FILE [options]",
    add_options=_add_options,
    run=_run,
)
