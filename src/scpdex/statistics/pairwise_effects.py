"""Pairwise effects: how much higher the values of one group are than those of another, in units of four kinds.

Of a gene with the values X in group i and Y in group j, the effects of i over j are

``auc``
    P(X > Y) + P(X = Y) / 2, which is Mann and Whitney's U by the number of pairs of cells;
``delta_mean``
    the difference of the means;
``cohens_d``
    that difference by the square root of the mean of the two variances (Cohen 1988, "Statistical power analysis for
    the behavioral sciences"), each with one degree of freedom less than cells;
``delta_detected``
    the difference of the fractions of cells with a value other than 0;

as ``scoreMarkers`` of scran and scranpy define them (Lun, McCarthy and Marioni 2016). Over blocks of cells, an effect
is the mean of those in the blocks with the weights w(n1) w(n2), where w(n) = min(n, 1000) / 1000.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels._compile import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.marker_options import Effect

# From here on further cells of a group give a block no more weight.
_MOST_CELLS_OF_WEIGHT = 1000


@dataclass(frozen=True)
class GroupMoments:
    """What effects need of the groups of a block, genes x groups."""

    means: NDArray[np.float64]
    variances: NDArray[np.float64]
    """Variance, 0 for a group of one cell, which has none."""
    fractions: NDArray[np.float64]
    """Fraction of cells with a value other than 0."""


@dataclass(frozen=True)
class PairBlock:
    """The cells of both sides of some pairs of groups, in a block of cells; the same for all genes."""

    first: NDArray[np.int64]
    """First group of each pair, the one whose values are asked to be higher."""
    second: NDArray[np.int64]
    """Second group of each pair."""
    sizes: NDArray[np.int64]
    """Cells of each group."""
    is_only_block: bool

    @cached_property
    def first_sizes(self) -> NDArray[np.int64]:
        """Cells of the first group of each pair."""
        return np.asarray(self.sizes[self.first])

    @cached_property
    def second_sizes(self) -> NDArray[np.int64]:
        """Cells of the second group of each pair."""
        return np.asarray(self.sizes[self.second])

    @cached_property
    def twice_n_cell_pairs(self) -> NDArray[np.int64]:
        """Twice the number of pairs of cells, and 1 without any."""
        return np.asarray(np.maximum(2 * self.first_sizes * self.second_sizes, 1))

    @cached_property
    def n_variances(self) -> NDArray[np.float64]:
        """Number of groups of each pair that have a variance."""
        return np.add(self.first_sizes > 1, self.second_sizes > 1, dtype=np.float64)

    def weights(self, effect: Effect) -> NDArray[np.float64]:
        """Give the weight of the block for each pair, 0 if it has no such effect."""
        return self._weights_of_ds if effect == "cohens_d" else self._weights

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        has_effect = (self.first_sizes > 0) & (self.second_sizes > 0) & (self.first != self.second)
        weights = np.asarray(has_effect, dtype=np.float64)
        if not self.is_only_block:
            for sizes in (self.first_sizes, self.second_sizes):
                weights *= np.minimum(sizes, _MOST_CELLS_OF_WEIGHT) / _MOST_CELLS_OF_WEIGHT
        return weights

    @cached_property
    def _weights_of_ds(self) -> NDArray[np.float64]:
        return np.where(self.n_variances > 0, self._weights, 0)


class BlockMean:
    """The mean of an effect over blocks, for some pairs of groups: genes x pairs."""

    def __init__(self, effect: Effect) -> None:
        """Begin without blocks."""
        self.effect = effect
        self._totals: list[NDArray[np.float64]] = []
        self._weights: list[NDArray[np.float64]] = []

    def add(self, block: PairBlock, moments: GroupMoments, twice_u: NDArray[np.int64] | None = None) -> None:
        """Add a block: moments of its groups and, for AUCs, 2 U of each gene and pair."""
        weights = block.weights(self.effect)
        self._weights.append(weights)
        if not self._totals:
            self._totals.append(np.zeros((moments.means.shape[0], weights.size)))
        (totals,) = self._totals
        if twice_u is not None:
            _add_aucs(twice_u, block.twice_n_cell_pairs, weights, totals)
        elif self.effect == "cohens_d":
            variances, sides = moments.variances, (block.first, block.second)
            _add_cohens_ds(moments.means, variances, *sides, block.n_variances, weights, totals)
        else:
            values = moments.means if self.effect == "delta_mean" else moments.fractions
            _add_differences(values, block.first, block.second, weights, totals)

    @np.errstate(divide="ignore", invalid="ignore")
    def mean(self) -> NDArray[np.float64]:
        """Compute the mean once, in place; NaN for pairs that no block has the effect of."""
        (totals,) = self._totals
        first, *others = self._weights
        return np.divide(totals, sum(others, first), out=totals)


@kernel
def _add_aucs(twice_u: NDArray[Any], twice_n_pairs: NDArray[Any], weights: NDArray[Any], totals: NDArray[Any]) -> None:
    for g in range(totals.shape[0]):
        for pair in range(totals.shape[1]):
            totals[g, pair] += weights[pair] * (np.float64(twice_u[g, pair]) / np.float64(twice_n_pairs[pair]))


@kernel
def _add_differences(
    values: NDArray[Any], first: NDArray[Any], second: NDArray[Any], weights: NDArray[Any], totals: NDArray[Any]
) -> None:
    for g in range(totals.shape[0]):
        for pair in range(totals.shape[1]):
            difference = values[g, np.uint64(first[pair])] - values[g, np.uint64(second[pair])]
            totals[g, pair] += weights[pair] * difference


@kernel
def _add_cohens_ds(
    means: NDArray[Any],
    variances: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    n_variances: NDArray[Any],
    weights: NDArray[Any],
    totals: NDArray[Any],
) -> None:
    """Add Cohen's d, weighted.

    A group of one cell takes the variance of the other. Without any variance d is infinite, or 0 where means are equal.
    """
    for g in range(totals.shape[0]):
        for pair in range(totals.shape[1]):
            if weights[pair] > 0:
                i, j = np.uint64(first[pair]), np.uint64(second[pair])
                difference = means[g, i] - means[g, j]
                variance = (variances[g, i] + variances[g, j]) / n_variances[pair]
                if difference != 0 or variance != 0:
                    totals[g, pair] += weights[pair] * (difference / np.sqrt(variance))
