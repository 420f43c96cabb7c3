"""Table files: the endings that ``--out`` takes, and a ranking written as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scpdex.command._rank_options import make_arguments
from scpdex.results import CsvStorage
from scpdex.task import open_task
from scpdex.tl._keywords import take_keywords
from scpdex.tl._rank_and_write import rank_and_write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

PARQUET = ".parquet"
DEFAULT_KEY = "rank_genes_groups"
_ENDINGS = (PARQUET, ".csv.gz", ".csv")


def refuse_ending(path: str) -> str:
    """Give the ending of a path, or raise a ValueError for one that is no table file's."""
    for ending in _ENDINGS:
        if path.lower().endswith(ending):
            return ending
    msg = f"--out {path!r} has an ending that is not valid: pass a path that ends in {', '.join(_ENDINGS)}."
    raise ValueError(msg)


def rank_to_csv(data: AnnData | list[str], arguments: Mapping[str, Any], path: str) -> None:
    """Rank genes, and write the long table to a ``.csv`` or ``.csv.gz`` file, which no verb does."""
    call = make_arguments(arguments)
    with open_task(data, call, CsvStorage(path)) as task:
        rank_and_write(task, take_keywords({}, call.method), call, DEFAULT_KEY, copy=False)
