"""Sums: what was added up of a few genes, and the statistics that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.run._tests import test_sums
from scpdex.statistics.fold_change import log2_fold_change
from scpdex.statistics.rank_sum import EXACT_TIE_SUMS_BELOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.comparisons import Comparison
    from scpdex.run._table import Statistics, Table
    from scpdex.statistics.options import TestOptions


@dataclass
class Sums:
    """Of each gene and code of a group, genes x codes; what a test does not need is empty."""

    genes: range
    nonzero: NDArray[np.int64]
    """Cells with a value other than 0."""
    means: NDArray[np.float64]
    squares: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    """Sums of squared deviations from the mean."""
    twice_u: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    tie_sums: NDArray[Any] = field(default_factory=lambda: np.empty((0, 0)))
    """Against the rest genes x 1; against a reference genes x 0 where ties are not corrected for."""
    anderson: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    """A squared of the Anderson-Darling test, genes x tested groups."""
    expm1: NDArray[np.float64] | None = None
    """Sums of expm1 of the values, unless means are taken in log space."""
    not_finite: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """NaN and infinite values of each gene."""
    are_counts: bool | NDArray[np.bool_] = False
    """Whether values look like counts."""

    def part(self, genes: range) -> Sums:
        """Give the sums of some of these genes."""
        some = slice(genes.start - self.genes.start, genes.stop - self.genes.start)
        arrays = {name: value[some] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, genes=genes, **arrays)

    def conclude(self, comparison: Comparison, options: TestOptions, table: Table, part: Statistics) -> None:
        """Test, and write what came out to ``table`` and to the block's ``part`` of it."""
        tested = test_sums(self, comparison, options)
        sizes = np.maximum(comparison.sizes, 1)
        means = self.means if self.expm1 is None else self.expm1 / sizes
        columns: dict[str, NDArray[Any]] = {
            "scores": tested.scores,
            "statistics": tested.statistics,
            "pvals": tested.pvals,
            "means": means,
        }
        if not options.as_measured:
            log_scale = options.log_scale if self.expm1 is None else None
            change = log2_fold_change(means[:, : comparison.n_groups], _others(means, comparison), log_scale)
            columns["logfoldchanges"] = change

        genes = slice(self.genes.start, self.genes.stop)
        table.not_finite[genes] = self.not_finite
        table.are_counts[genes] = self.are_counts
        if not options.as_measured:
            table.undefined[genes] = np.isnan(change).sum(axis=1)
        if table.reference_means is not None:
            table.reference_means[genes] = means[:, comparison.reference_code]
        if table.fractions is not None:
            table.fractions[:, genes] = (self.nonzero / sizes).T
        if table.rest_fractions is not None:
            rest = self.nonzero.sum(axis=1, keepdims=True) - self.nonzero[:, : comparison.n_groups]
            table.rest_fractions[:, genes] = _divide(rest, comparison.other_sizes).T

        genes = slice(self.genes.start - part.genes.start, self.genes.stop - part.genes.start)
        for name, written in part.columns.items():
            written[:, genes] = columns[name][:, : comparison.n_groups].T


def tie_sums_dtype(comparison: Comparison) -> type[np.int64 | np.float64]:
    """Give the dtype of sums over ties: whole numbers as long as these fit."""
    return np.int64 if comparison.sizes.sum() < EXACT_TIE_SUMS_BELOW else np.float64


def _others(means: NDArray[np.float64], comparison: Comparison) -> NDArray[np.float64]:
    """Mean of the cells that each group is compared with, genes x groups or genes x 1.

    The rest of a group is added up from the groups before it and those after it, never by subtraction.
    """
    n_groups = comparison.n_groups
    if not comparison.against_rest:
        return means[:, n_groups:]
    sums = means * comparison.sizes
    rest = np.zeros_like(sums)
    np.cumsum(sums[:, :-1], axis=1, out=rest[:, 1:])
    rest[:, :-1] += np.cumsum(sums[:, :0:-1], axis=1)[:, ::-1]
    return _divide(rest[:, :n_groups], comparison.other_sizes)


def _divide(a: NDArray[Any], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide, giving NaN without a warning where there are no cells."""
    with np.errstate(invalid="ignore"):
        return np.asarray(a / n)
