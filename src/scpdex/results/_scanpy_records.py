"""Records: a result in scanpy's layout in uns, a record array for each field and a table for each kind of fraction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scpdex.results._ranked_result import NamedGenes, RankedResult


def make_records(result: RankedResult[NamedGenes], var_names: pd.Index[Any]) -> dict[str, Any]:
    """Make the entry of ``uns``: parameters, tables of fractions, and a record array for each field."""
    tables = {}
    for name, (columns, fractions) in result.fractions.items():
        # Fractions of a rest without cells are all NaN. Those of groups are known for every tested gene or, in a result
        # from a file, for the first genes of each group.
        of_groups = result.fractions["pts"][1]
        tested = np.asarray(~np.isnan(of_groups[:, 0]))
        if not tested.all():
            tested = np.asarray(~np.isnan(of_groups).all(axis=1))
        # A table of all genes needs no copy.
        rows = slice(None) if tested.all() else tested
        tables[name] = pd.DataFrame(fractions[rows], index=var_names[rows], columns=list(columns), copy=False)
    ranked = result.ranked
    records: dict[str, NDArray[Any]] = {"names": ranked.names.view(np.recarray)}
    records |= {name: _view_as_records(values, ranked.groups) for name, values in ranked.statistics.items()}
    return {"params": result.params} | tables | records


def _view_as_records(values: NDArray[Any], groups: Sequence[str]) -> NDArray[Any]:
    """View a matrix of one dtype, ranks x groups, as records, without a copy if it is C-contiguous."""
    dtype = np.dtype({"names": list(groups), "formats": [values.dtype] * len(groups)})
    return np.ascontiguousarray(values).view(dtype)[:, 0].view(np.recarray)


def make_name_array(names: Sequence[str]) -> NDArray[Any]:
    """Make an array of names that files can hold."""
    return np.array(names, dtype=object)
