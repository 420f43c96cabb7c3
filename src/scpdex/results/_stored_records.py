"""Stored records: a result in scanpy's layout, a slice of groups at a time, as genes of var."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.kernels.columns import invert_order, place_by_order
from scpdex.results._fractions import select_fractions
from scpdex.results._group_slices import float_type
from scpdex.results._read_records import read_fields, read_gene_names, read_tables, spell_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results._fractions import Fractions


class GeneRows:
    """Rows of genes in var, by their names."""

    def __init__(self, var_names: pd.Index[Any]) -> None:
        unique = np.flatnonzero(~var_names.duplicated(keep=False))
        self._index = pd.Index(var_names[unique].astype(object))
        self._rows = np.append(unique, -1).astype(np.int32)
        # The first look-up builds the hash table, which threads then share.
        self._index.get_indexer(self._index[:1])

    def find(self, names: NDArray[Any]) -> NDArray[np.int32]:
        """Find the row of each name; -1 for names that are absent, repeated in var, or missing."""
        rows: NDArray[np.int32] = self._rows[self._index.get_indexer(pd.Index(names.ravel(), dtype=object))]
        is_unplaced = rows < 0
        if is_unplaced.any():
            codes, uniques = pd.factorize(names.ravel()[is_unplaced])
            spelled = self._index.get_indexer(pd.Index(spell_names(uniques), dtype=object))
            # The code -1 of missing names takes the last.
            rows[is_unplaced] = np.append(self._rows[spelled], np.int32(-1))[codes]
        return rows.reshape(names.shape)


@dataclass
class UnplacedNames:
    """What keeps groups of records from rows of var, by the first group of their slice."""

    names: dict[int, list[str]] = field(default_factory=dict)
    """Names that var lacks, or that it or a group repeats."""
    has_empty_ranks: bool = False
    """Whether a group has ranks without a gene, as a filter leaves them."""

    def list_names(self) -> list[str]:
        """List the names, each once, in the order of the groups."""
        return list(dict.fromkeys(name for first in sorted(self.names) for name in self.names[first]))


@dataclass(frozen=True)
class StoredRecords:
    """A result in ``uns`` whose genes are looked up in var."""

    params: dict[str, Any]
    names: dict[str, NDArray[Any]]
    """Names of each group's genes."""
    fields: dict[str, list[NDArray[Any]]]
    """By field: values of each group, in the order of its genes."""
    field_types: dict[str, np.dtype[Any]]
    """Data type of each field, as :meth:`read_groups` reads it."""
    fractions: dict[str, tuple[pd.Index[Any], tuple[str, ...], NDArray[np.float64]]]
    """Names of genes and columns, and genes x columns."""
    n_vars: int
    rows: GeneRows
    unplaced: UnplacedNames = field(default_factory=UnplacedNames)
    """Filled by reading."""

    @classmethod
    def open(cls, adata: AnnData, entry: Mapping[str, Any], params: dict[str, Any], key: str) -> StoredRecords:
        """Find the records, without a copy of those in numpy's arrays.

        Raises
        ------
        KeyError
            The field ``names`` has no column for each group.
        """
        names = read_gene_names(entry, key)
        groups = tuple(names)
        first_names = next(iter(names.values()))
        fields, _ = read_fields(entry, groups, first_names.size)
        var_names = pd.Index(adata.var_names)
        tables, _ = read_tables(entry, spell_names(pd.unique(first_names.astype(object))), var_names)
        stored = {
            name: (tuple(map(str, table.columns)), table.to_numpy(dtype=np.float64)) for name, table in tables.items()
        }
        selected, _ = select_fractions(stored, groups, None, params.get("reference"))
        fractions = {name: (tables[name].index, *columns) for name, columns in selected.items()}
        types = {
            name: float_type(np.result_type(*{column.dtype for column in columns})) for name, columns in fields.items()
        }
        return cls(params, names, fields, types, fractions, adata.n_vars, GeneRows(var_names))

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(self.names)

    @property
    def n_ranks(self) -> int:
        """Genes of each group."""
        return len(next(iter(self.names.values())))

    def read_groups(self, groups: slice) -> tuple[NDArray[np.int32], dict[str, NDArray[Any]]] | None:
        """Read neighbouring groups: ranks, and values by field, both groups x variables.

        Genes that a group does not have get the rank -1 and NaN. None stands for genes that are ``unplaced``.
        """
        names = [self.names[group] for group in self.groups[groups]]
        order = self.rows.find(np.stack(names).astype(object))
        ranks = np.full((order.shape[0], self.n_vars), -1, dtype=np.int32)
        if (order < 0).any() or not _invert(order, ranks):
            self._note_unplaced(groups.start, names, order)
            return None
        values = {}
        for name, dtype in self.field_types.items():
            placed = np.full(ranks.shape, np.nan, dtype=dtype)
            place_by_order(np.stack(self.fields[name][groups], dtype=dtype), order, placed)
            values[name] = placed
        return ranks, values

    def place_fractions(self) -> Fractions:
        """Copy the fractions to the rows of var, NaN for other genes; note genes that var lacks or repeats."""
        fractions: Fractions = {}
        for name, (genes, columns, values) in self.fractions.items():
            rows = self.rows.find(np.asarray(genes, dtype=object))
            is_unplaced = (rows < 0) | genes.duplicated(keep=False)
            if is_unplaced.any():
                self.unplaced.names.setdefault(len(self.groups), []).extend(map(str, genes[is_unplaced]))
                continue
            placed = np.full((self.n_vars, len(columns)), np.nan)
            placed[rows] = values
            fractions[name] = (columns, placed)
        return fractions

    def _note_unplaced(self, first: int, names: list[NDArray[Any]], order: NDArray[np.int32]) -> None:
        """Note the genes of a slice that have no row, or share it."""
        unplaced: list[Any] = []
        for column, rows in zip(names, order, strict=True):
            is_missing = pd.isna(column)
            is_repeated = pd.Series(rows).duplicated(keep=False).to_numpy()
            unplaced.extend(column[~is_missing & ((rows < 0) | is_repeated)])
            self.unplaced.has_empty_ranks |= bool(is_missing.any())
        self.unplaced.names[first] = spell_names(pd.unique(np.array(unplaced, dtype=object))).tolist()


def _invert(order: NDArray[np.int32], ranks: NDArray[np.int32]) -> bool:
    """Write the ranks of ``order``; tell whether each gene of a group has one."""
    invert_order(order, order.shape[1], ranks)
    return int(np.count_nonzero(ranks >= 0)) == order.size
