"""Ranked result: the genes and statistics of each group, in either layout, with names, parameters and fractions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from scpdex.kernels.columns import invert_order, write_columns, write_ordered_columns
from scpdex.results._name_records import allocate_name_records, write_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from scpdex.results._fractions import Fractions
    from scpdex.results._result_storage import ResultLayout


@dataclass(frozen=True)
class RankedGenes:
    """The genes of each group, from the highest score to the lowest, by position."""

    groups: tuple[str, ...]
    order: NDArray[Any]
    """Position of each gene among the genes of the result: groups x ranks."""
    statistics: dict[str, NDArray[Any]]
    """By scanpy's field names, ``scores`` and, where the test has them, the others: ranks x groups."""


@dataclass(frozen=True)
class GeneMatrices:
    """The numbers of each variable and group: the layout of matrices in ``varm``."""

    groups: tuple[str, ...]
    ranks: NDArray[np.int32]
    """0 for a group's first gene, and -1 for genes that are not in the result: variables x groups."""
    statistics: dict[str, NDArray[Any]]
    """By field: variables x groups, NaN where the rank is -1."""
    rows: NDArray[np.int64]
    """Row of each tested gene."""
    n_ranks: int
    """Genes of each group that are in the result."""

    @classmethod
    def empty(
        cls, groups: Sequence[str], n_ranks: int, fields: Mapping[str, Any], rows: NDArray[np.int64], n_vars: int
    ) -> GeneMatrices:
        """Allocate a result, ``fields`` with their dtypes; variables that are not tested have no numbers."""
        shape = (n_vars, len(groups))
        ranks = np.empty(shape, dtype=np.int32)
        statistics = {name: np.empty(shape, dtype=dtype) for name, dtype in fields.items()}
        untested = np.setdiff1d(np.arange(n_vars), rows)
        ranks[untested] = -1
        for matrix in statistics.values():
            matrix[untested] = np.nan
        return cls(tuple(groups), ranks, statistics, rows, n_ranks)

    def unwritten_fields(self, written: Mapping[str, NDArray[Any]]) -> list[str]:
        """List the fields that :meth:`write_groups` has to write, given the arrays that are ``written`` already."""
        return [name for name, matrix in self.statistics.items() if written.get(name) is not matrix]

    def write_groups(self, first: int, order: NDArray[np.int32], values: Mapping[str, NDArray[Any]]) -> None:
        """Write neighbouring groups from position ``first`` on: the ranks of their ``order``, and ``values`` by field.

        Both are groups x tested genes; values beyond the last rank become NaN.
        """
        ranks = np.empty_like(order)
        invert_order(order, self.n_ranks, ranks)
        if self.n_ranks < order.shape[1]:
            for columns in values.values():
                np.put_along_axis(columns, order[:, self.n_ranks :], np.nan, axis=1)
        self.write_gene_values(first, ranks, values)

    def write_gene_values(self, first: int, ranks: NDArray[np.int32], values: Mapping[str, NDArray[Any]]) -> None:
        """Write neighbouring groups from position ``first`` on: their ``ranks``, and ``values`` by field.

        Both are groups x tested genes.
        """
        write_columns(ranks, self.rows, first, self.ranks)
        for name, columns in values.items():
            write_columns(columns, self.rows, first, self.statistics[name])

    def append_groups(self, prepared: None) -> None:
        """Do nothing: :meth:`write_groups` has written them."""

    def groups_without_numbers(self) -> list[str]:
        """List the groups without a single tested gene."""
        highest = np.fmax.reduce(self.statistics["pvals"], axis=0)
        return [self.groups[g] for g in np.flatnonzero(np.isnan(highest)).tolist()]


@dataclass(frozen=True)
class NamedGenes:
    """The names of the genes of each group, from the highest score to the lowest, in scanpy's records."""

    groups: tuple[str, ...]
    gene_names: NDArray[Any]
    """Name of each gene of the result."""
    names: NDArray[Any]
    """Records of names: a field for each group."""
    statistics: dict[str, NDArray[Any]]
    """By field: ranks x groups."""

    @classmethod
    def empty(
        cls, groups: Sequence[str], n_ranks: int, fields: Mapping[str, Any], gene_names: NDArray[Any]
    ) -> NamedGenes:
        """Allocate a result, ``fields`` with their dtypes."""
        statistics = {name: np.empty((n_ranks, len(groups)), dtype=dtype) for name, dtype in fields.items()}
        return cls(tuple(groups), gene_names, allocate_name_records(groups, n_ranks), statistics)

    def unwritten_fields(self, _: Mapping[str, NDArray[Any]]) -> list[str]:
        """List the fields that :meth:`write_groups` has to write: all, since all are put in order."""
        return list(self.statistics)

    def write_groups(self, first: int, order: NDArray[np.int32], values: Mapping[str, NDArray[Any]]) -> None:
        """Write neighbouring groups from position ``first`` on: the names of their ``order``, and ``values`` by field.

        Both are groups x genes.
        """
        groups = self.groups[first : first + order.shape[0]]
        write_names(self.names, self.gene_names, order[:, : self.names.size], groups)
        for name, columns in values.items():
            matrix = self.statistics[name]
            # The kernel is compiled for each pair of dtypes. What float32 cannot hold is infinite, as in scanpy.
            with np.errstate(over="ignore"):
                in_dtype = columns.astype(matrix.dtype, copy=False)
            write_ordered_columns(in_dtype, order, first, matrix)

    def append_groups(self, prepared: None) -> None:
        """Do nothing: :meth:`write_groups` has written them."""

    def groups_without_numbers(self) -> list[str]:
        """List the groups without a single tested gene: the first of their genes has no p-value."""
        return [self.groups[g] for g in np.flatnonzero(np.isnan(self.statistics["pvals"][0])).tolist()]


Layout = TypeVar("Layout", bound="RankedGenes | ResultLayout")


@dataclass(frozen=True)
class RankedResult(Generic[Layout]):
    """One result of a ranking, before it is stored or after it is read, in ``uns`` or ``varm``."""

    params: dict[str, Any]
    ranked: Layout
    """``order`` is -1 for empty ranks, which a filter, or genes that were left out of ``adata`` later, leave."""
    gene_names: NDArray[Any]
    """Name of each gene that ``order`` refers to; of a result that was read, in the order of var, and names that var
    lacks come last."""
    var_positions: NDArray[np.intp]
    """Position of each gene in var, or raw.var; -1 for names that are absent there, or repeated."""
    uses_raw: bool
    """Whether ``var_positions`` refer to raw.var."""
    fractions: Fractions
    """Columns, and genes x columns, of ``pts`` and ``pts_rest``; variables x columns beside matrices."""
    shared_names: tuple[str, ...] = ()
    """Names of several ranked genes each, which records cannot distinguish: their fractions are NaN."""
    shared_names_in_var: tuple[str, ...] = ()
    """``shared_names``, and ranked names that var, or raw.var, repeats."""
    unread_fields: tuple[str, ...] = ()
    """Stored fields that do not fit the groups and genes, and are left out."""
    fields_of_file: tuple[str, ...] = ()
    """All fields of a result in a file, of which some may have been read."""
