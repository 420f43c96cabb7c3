"""Rows of pdex 0.3's table: all genes of each target or only its own, those that are expressed, and their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scpdex.statistics.multiple_testing import adjust_pvals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from scpdex.run import Columns

_ADJUSTMENT = "benjamini-hochberg"
# Targets whose numbers of all genes are in memory together while those of their own genes are picked out.
_TARGETS_AT_A_TIME = 64


@dataclass(frozen=True)
class MeanColumns:
    """Columns that hold the means that the table reports, and those that counts per million are made of."""

    reported: str
    back_transforms: bool
    """Whether ``expm1`` takes the reported means back to counts."""
    counts: str
    """Means of counts."""
    cpm_filter: float | None
    """Counts per million that a row must exceed on one side; None keeps all rows."""

    @classmethod
    def of(cls, *, is_log1p: bool, geometric_mean: bool, cpm_filter: float | None) -> MeanColumns:
        """Choose the columns: geometric means are means of logs."""
        logs, counts = ("means", "count_means") if is_log1p else ("log_means", "means")
        return cls(logs if geometric_mean else counts, geometric_mean, counts, cpm_filter)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns to compute: p-values, U, and the means of both sides."""
        means = {self.reported} if self.cpm_filter is None else {self.reported, self.counts}
        return ("pvals", "u", *means, *map(name_reference_column, means))

    def find_kept(self, statistics: Mapping[str, NDArray[np.float64]]) -> NDArray[np.bool_]:
        """Find the genes whose counts per million exceed the filter in a target or in what it is compared with.

        ``statistics`` are targets x genes, of all genes.
        """
        if self.cpm_filter is None:
            return np.ones(statistics["pvals"].shape, dtype=np.bool_)
        sides = (statistics[self.counts], statistics[name_reference_column(self.counts)])
        exceeds = [_counts_per_million(means) > self.cpm_filter for means in sides]
        return np.asarray(exceeds[0] | exceeds[1])


def name_reference_column(column: str) -> str:
    """Name the column that has the same of the cells that each target is compared with."""
    return f"{column}_reference"


@dataclass(frozen=True)
class PdexRows:
    """Rows of the table: target and gene of each, and their numbers."""

    targets: NDArray[np.intp]
    """Position of each row's target among the targets."""
    genes: NDArray[np.intp]
    """Position of each row's gene among the tested genes."""
    numbers: dict[str, NDArray[np.float64]]
    """Computed columns by name."""
    fdr: NDArray[np.float64]
    """Adjusted p-values."""


def read_all_rows(columns: Columns, means: MeanColumns) -> PdexRows:
    """Read the genes of all targets, and adjust p-values over those that pass the filter, target by target."""
    statistics = {name: columns.read(name, slice(None)) for name in means.names}
    is_kept = means.find_kept(statistics)
    targets, genes = np.nonzero(is_kept)
    fdr = adjust_pvals(np.where(is_kept, statistics["pvals"], np.nan), _ADJUSTMENT, None)[is_kept]
    return PdexRows(targets, genes, {name: values[is_kept] for name, values in statistics.items()}, fdr)


def read_target_rows(columns: Columns, target_genes: NDArray[np.intp], means: MeanColumns) -> PdexRows:
    """Read each target's own gene, and adjust p-values over all targets.

    ``target_genes`` has the position of each target's gene among the tested genes, -1 for none. A filter needs all
    genes to be tested.
    """
    parts: list[tuple[NDArray[np.intp], dict[str, NDArray[np.float64]]]] = []
    for first in range(0, target_genes.size, _TARGETS_AT_A_TIME):
        run = slice(first, first + _TARGETS_AT_A_TIME)
        targets = np.flatnonzero(target_genes[run] >= 0)
        statistics = {name: columns.read(name, run) for name in means.names}
        targets = targets[means.find_kept(statistics)[targets, target_genes[run][targets]]]
        genes = target_genes[run][targets]
        parts.append((first + targets, {name: values[targets, genes] for name, values in statistics.items()}))
    targets = np.concatenate([part_targets for part_targets, _ in parts])
    numbers = {name: np.concatenate([part[name] for _, part in parts]) for name in means.names}
    fdr = adjust_pvals(numbers["pvals"][None], _ADJUSTMENT, None)[0]
    return PdexRows(targets, target_genes[targets], numbers, fdr)


def make_empty_rows(means: MeanColumns) -> PdexRows:
    """Make a table without rows, of targets none of which has a gene."""
    no_positions, no_numbers = np.empty(0, dtype=np.intp), np.empty(0)
    return PdexRows(no_positions, no_positions, dict.fromkeys(means.names, no_numbers), no_numbers)


def _counts_per_million(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale mean counts, targets x genes, to a sum of a million for each target; targets without counts stay 0."""
    # Infinite means are warned of elsewhere: no gene has a share of them.
    with np.errstate(invalid="ignore", over="ignore"):
        totals = means.sum(axis=1, keepdims=True)
        return np.asarray(means / np.where(totals == 0, 1, totals) * 1e6)
