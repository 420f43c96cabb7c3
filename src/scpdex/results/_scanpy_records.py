"""Records: a result in scanpy's layout in uns, a record array for each field and a table for each kind of fraction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scpdex.results._ranked_result import RankedGenes, RankedResult

_FIELDS_PER_LINE = 8
_ROWS_PER_STEP = 1024


def make_records(result: RankedResult[RankedGenes], var_names: pd.Index[Any]) -> dict[str, Any]:
    """Make the entry of ``uns``: parameters, tables of fractions, and a record array for each field."""
    tables = {}
    for name, (columns, fractions) in result.fractions.items():
        # Fractions of groups are known for every tested gene; those of a rest without cells are all NaN.
        tested = ~np.isnan(result.fractions["pts"][1][:, 0])
        # A table of all genes needs no copy.
        rows = slice(None) if tested.all() else tested
        tables[name] = pd.DataFrame(fractions[rows], index=var_names[rows], columns=list(columns), copy=False)
    ranked = result.ranked
    records = {"names": _make_name_records(result.gene_names, ranked.order, ranked.groups)}
    records |= {name: _view_as_records(values, ranked.groups) for name, values in ranked.statistics.items()}
    return {"params": result.params} | tables | records


def _view_as_records(values: NDArray[Any], groups: Sequence[str]) -> NDArray[Any]:
    """View a matrix of one dtype, ranks x groups, as records, without a copy if it is C-contiguous."""
    dtype = np.dtype({"names": list(groups), "formats": [values.dtype] * len(groups)})
    return np.ascontiguousarray(values).view(dtype)[:, 0].view(np.recarray)


def _make_name_records(gene_names: NDArray[Any], order: NDArray[np.intp], groups: Sequence[str]) -> NDArray[Any]:
    """Fill records of names field by field, since numpy cannot view arrays of objects as records."""
    dtype = np.dtype({"names": list(groups), "formats": ["O"] * len(groups)})
    # np.empty would visit all fields of all rows, one by one.
    names = np.zeros(order.shape[1], dtype=dtype)
    # Neighbouring fields are filled for so few rows at a time that their cache lines stay in the cache.
    for first in range(0, len(groups), _FIELDS_PER_LINE):
        fields = range(first, min(first + _FIELDS_PER_LINE, len(groups)))
        for start in range(0, order.shape[1], _ROWS_PER_STEP):
            rows = slice(start, start + _ROWS_PER_STEP)
            for g in fields:
                names[groups[g]][rows] = gene_names[order[g, rows]]
    return names.view(np.recarray)


def make_name_array(names: Sequence[str]) -> NDArray[Any]:
    """Make an array of names that files can hold."""
    return np.array(names, dtype=object)
