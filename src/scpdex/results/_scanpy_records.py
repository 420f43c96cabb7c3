"""Records: a result in scanpy's layout in uns, a record array for each field and a table for each kind of fraction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.results._name_records import allocate_name_records, write_names
from scpdex.results._ranked_result import NamedGenes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scpdex.results._ranked_result import RankedGenes, RankedResult


def make_records(
    result: RankedResult[RankedGenes] | RankedResult[NamedGenes], var_names: pd.Index[Any]
) -> dict[str, Any]:
    """Make the entry of ``uns``: parameters, tables of fractions, and a record array for each field."""
    tables = {}
    for name, (columns, fractions) in result.fractions.items():
        # Fractions of groups are known for every tested gene; those of a rest without cells are all NaN.
        tested = ~np.isnan(result.fractions["pts"][1][:, 0])
        # A table of all genes needs no copy.
        rows = slice(None) if tested.all() else tested
        tables[name] = pd.DataFrame(fractions[rows], index=var_names[rows], columns=list(columns), copy=False)
    ranked = result.ranked
    names = ranked.names if isinstance(ranked, NamedGenes) else _make_name_records(result.gene_names, ranked)
    records: dict[str, NDArray[Any]] = {"names": names.view(np.recarray)}
    records |= {name: _view_as_records(values, ranked.groups) for name, values in ranked.statistics.items()}
    return {"params": result.params} | tables | records


def _view_as_records(values: NDArray[Any], groups: Sequence[str]) -> NDArray[Any]:
    """View a matrix of one dtype, ranks x groups, as records, without a copy if it is C-contiguous."""
    dtype = np.dtype({"names": list(groups), "formats": [values.dtype] * len(groups)})
    return np.ascontiguousarray(values).view(dtype)[:, 0].view(np.recarray)


def _make_name_records(gene_names: NDArray[Any], ranked: RankedGenes) -> NDArray[Any]:
    """Make the records of names of genes that are known by position."""
    names = allocate_name_records(ranked.groups, ranked.order.shape[1])
    write_names(names, gene_names, ranked.order, ranked.groups)
    return names


def make_name_array(names: Sequence[str]) -> NDArray[Any]:
    """Make an array of names that files can hold."""
    return np.array(names, dtype=object)
