"""Records: from genes x groups arrays to scanpy's layout in uns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MOST_OF_MESSAGE = (1 << 16) - 1


@dataclass(frozen=True)
class RankedGenes:
    """The genes of each group from the highest score down."""

    groups: tuple[str, ...]
    order: NDArray[np.intp]
    """Position of each gene among the tested genes: groups x ranks."""
    statistics: dict[str, NDArray[Any]]
    """By scanpy's field names, ``scores`` and, where the test has them, the others: ranks x groups."""

    def records(self, gene_names: NDArray[Any]) -> dict[str, Any]:
        """Give scanpy's record arrays, one field per group."""
        fields = {"names": _names(gene_names, self.order, self.groups)}
        return fields | {name: _as_records(values, self.groups) for name, values in self.statistics.items()}


def _as_records(values: NDArray[Any], groups: Sequence[str]) -> NDArray[Any]:
    """View a matrix of one dtype as records, without a copy if it is C-contiguous."""
    dtype = np.dtype({"names": list(groups), "formats": [values.dtype] * len(groups)})
    return np.ascontiguousarray(values).view(dtype)[:, 0].view(np.recarray)


def _names(gene_names: NDArray[Any], order: NDArray[np.intp], groups: Sequence[str]) -> NDArray[Any]:
    """Fill records of names field by field, since arrays of objects cannot be viewed as records."""
    dtype = np.dtype({"names": list(groups), "formats": ["O"] * len(groups)})
    # np.empty would go through all fields of all rows, one by one.
    names = np.zeros(order.shape[1], dtype=dtype)
    for g, group in enumerate(groups):
        names[group] = gene_names[order[g]]
    return names.view(np.recarray)


def fractions_table(fractions: NDArray[np.float64], var_names: pd.Index[Any], groups: Sequence[str]) -> pd.DataFrame:
    """Fraction of cells that express each gene, genes x groups, as scanpy's ``pts``."""
    return pd.DataFrame(fractions, index=var_names, columns=list(groups))


def strings(names: Sequence[str]) -> NDArray[Any]:
    """Give names as an array that files can hold."""
    return np.array(names, dtype=object)


def exceed_hdf5(groups: Sequence[str]) -> bool:
    """Tell whether an h5ad file cannot hold records of these fields.

    HDF5 keeps the description of a dataset in messages of less than 64 KiB. That of records takes 10 bytes and, for
    each field, 52 and its name with a closing zero in units of 8 (the HDF5 file format's datatype message, version 1).
    """
    n_bytes = 10 + sum(52 + 8 * -(-(len(group.encode()) + 1) // 8) for group in groups)
    return n_bytes > _MOST_OF_MESSAGE
