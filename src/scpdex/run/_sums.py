"""Sums: what was added up of a few genes, and the statistics that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.moments import moments_of_rest
from scpdex.statistics.fold_change import log2_fold_change
from scpdex.statistics.rank_sum import EXACT_TIE_SUMS_BELOW, rank_sum_test
from scpdex.statistics.welch import welch_test

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
        scores, pvals = self._t_test(comparison, options) if options.is_t_test else self._rank_test(comparison, options)
        sizes = np.maximum(comparison.sizes, 1)
        means, log_scale = self.means, options.log_scale if self.expm1 is None else None
        if self.expm1 is not None:
            means = self.expm1 / sizes
        change = log2_fold_change(means[:, : comparison.n_groups], _others(means, comparison), log_scale)

        genes = slice(self.genes.start, self.genes.stop)
        table.not_finite[genes] = self.not_finite
        table.are_counts[genes] = self.are_counts
        table.undefined[genes] = np.isnan(change).sum(axis=1)
        if table.fractions is not None:
            table.fractions[:, genes] = (self.nonzero / sizes).T
        if table.rest_fractions is not None:
            rest = self.nonzero.sum(axis=1, keepdims=True) - self.nonzero[:, : comparison.n_groups]
            table.rest_fractions[:, genes] = _divide(rest, comparison.other_sizes).T

        genes = slice(self.genes.start - part.genes.start, self.genes.stop - part.genes.start)
        part.scores[:, genes] = scores.T
        part.pvals[:, genes] = pvals.T
        part.logfoldchanges[:, genes] = change.T

    def _rank_test(
        self, comparison: Comparison, options: TestOptions
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return rank_sum_test(
            self.twice_u[:, : comparison.n_groups],
            self.tie_sums[:, : comparison.n_groups] if options.tie_correct else None,
            comparison.group_sizes,
            comparison.other_sizes,
            use_continuity=options.use_continuity,
        )

    def _t_test(self, comparison: Comparison, options: TestOptions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        n_groups = comparison.n_groups
        if comparison.against_rest:
            other_means, other_squares = np.empty_like(self.means), np.empty_like(self.squares)
            scratch = np.empty((comparison.sizes.size, 3))
            moments_of_rest(comparison.sizes, self.means, self.squares, scratch, other_means, other_squares)
            others = slice(n_groups)
        else:
            other_means, other_squares = self.means, self.squares
            others = slice(n_groups, None)
        return welch_test(
            self.means[:, :n_groups],
            self.squares[:, :n_groups],
            comparison.group_sizes,
            other_means[:, others],
            other_squares[:, others],
            comparison.other_sizes,
            overestimate_variance=options.method == "t-test_overestim_var",
        )


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
