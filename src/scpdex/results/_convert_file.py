"""Convert file: some groups of a result in a Parquet file, as scanpy's records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.results._conversion_memory import POINTER_BYTES, refuse_beyond_memory
from scpdex.results._name_records import write_names
from scpdex.results._ranked_result import NamedGenes, RankedResult
from scpdex.statistics.reported_columns import fraction_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scpdex.machine.limits import Limits
    from scpdex.results._fractions import Fractions
    from scpdex.results._parquet_result import ParquetResult

_GROUP_FRACTION, _OTHER_FRACTION = fraction_names()


def refuse_large_records(file: ParquetResult, n_groups: int, limits: Limits) -> None:
    """Raise a MemoryError before work begins, if the records of so many groups exceed what a conversion may hold."""
    bytes_per_pair = POINTER_BYTES + sum(dtype.itemsize for dtype in file.field_types.values())
    n_genes = file.gene_names.size if _GROUP_FRACTION in file.fields else file.n_ranks
    n_bytes = bytes_per_pair * n_genes * n_groups
    refuse_beyond_memory(n_bytes, limits, "scanpy's layout", "convert some of its groups (groups= and key_added=)")


def convert_file_to_records(
    file: ParquetResult, level: str | None, groups: Sequence[str], params: dict[str, Any]
) -> RankedResult[NamedGenes]:
    """Convert some groups of the result of a level, in this order; ``level=None`` stands for all cells.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        A group is not in the result, or the rows are not those that were written.
    """
    fields = {name: dtype for name, dtype in file.field_types.items() if name not in fraction_names()}
    named = NamedGenes.empty(groups, file.n_ranks, fields, file.gene_names)
    tables = {
        name: np.full((file.gene_names.size, len(groups)), np.nan) for name in file.fields if name in fraction_names()
    }
    first = 0
    for ranked in file.read_steps(file.find_result(level), groups):
        step = slice(first, first + len(ranked.groups))
        write_names(named.names, file.gene_names, ranked.order, ranked.groups)
        for name, matrix in named.statistics.items():
            matrix[:, step] = ranked.statistics[name]
        for name, table in tables.items():
            np.put_along_axis(table[:, step], ranked.order.T, ranked.statistics[name], axis=0)
        first = step.stop
    return RankedResult(
        params,
        named,
        gene_names=file.gene_names,
        var_positions=np.arange(file.gene_names.size),
        uses_raw=False,
        fractions=_make_fractions(tables, groups, params, pd.Index(file.gene_names)),
    )


def _make_fractions(
    tables: dict[str, NDArray[np.float64]], groups: Sequence[str], params: dict[str, Any], gene_names: pd.Index[Any]
) -> Fractions:
    """Make scanpy's tables of the columns of the long table. Genes that share a name have none."""
    if not tables:
        return {}
    for table in tables.values():
        table[gene_names.duplicated(keep=False)] = np.nan
    names, group_fractions, other_fractions = tuple(groups), tables[_GROUP_FRACTION], tables[_OTHER_FRACTION]
    reference = str(params.get("reference"))
    if reference == "rest":
        return {"pts": (names, group_fractions), "pts_rest": (names, other_fractions)}
    # The reference is the same cells for all groups.
    column = np.fmax.reduce(other_fractions, axis=1)[:, None]
    return {"pts": ((*names, reference), np.concatenate([group_fractions, column], axis=1))}
