"""Name records: the field ``names`` of scanpy's layout, records with a field of objects for each group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_FIELDS_PER_LINE = 8
_ROWS_PER_STEP = 1024


def allocate_name_records(groups: Sequence[str], n_ranks: int) -> NDArray[Any]:
    """Allocate records of names."""
    dtype = np.dtype({"names": list(groups), "formats": ["O"] * len(groups)})
    # np.empty would visit all fields of all rows, one by one.
    return np.zeros(n_ranks, dtype=dtype)


def write_names(
    records: NDArray[Any], gene_names: NDArray[Any], order: NDArray[np.integer[Any]], groups: Sequence[str]
) -> None:
    """Write the names of the genes of neighbouring groups, whose ``order`` is groups x ranks.

    numpy cannot view arrays of objects as records, so that they are filled field by field.
    """
    # Neighbouring fields are filled for so few rows at a time that their cache lines stay in the cache.
    for first in range(0, len(groups), _FIELDS_PER_LINE):
        fields = [(g, records[groups[g]]) for g in range(first, min(first + _FIELDS_PER_LINE, len(groups)))]
        for start in range(0, order.shape[1], _ROWS_PER_STEP):
            rows = slice(start, start + _ROWS_PER_STEP)
            for g, field in fields:
                field[rows] = gene_names[order[g, rows]]
