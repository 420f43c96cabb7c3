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

as ``scoreMarkers`` of scran and scranpy define them (Lun, McCarthy and Marioni 2016). Arrays may have any shape: groups
i and j are told by what is broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.marker_options import Effect

# From here on further cells of a group give a block no more weight.
_MOST_CELLS_OF_WEIGHT = 1000


@dataclass(frozen=True)
class GroupMoments:
    """What effects need of one side: cells, and of each gene the mean, the variance and the detected fraction."""

    sizes: NDArray[np.int64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]
    """0 for a group of one cell, which has none."""
    fractions: NDArray[np.float64]
    """Fraction of cells with a value other than 0."""

    def rows(self, codes: NDArray[np.int64]) -> GroupMoments:
        """Take some groups where these are the first axis."""
        return GroupMoments(self.sizes[codes], self.means[codes], self.variances[codes], self.fractions[codes])

    def take(self, groups: Any) -> GroupMoments:
        """Take some groups, along the last axis, or give them further axes there."""
        index = (..., *groups)
        return GroupMoments(self.sizes[groups], self.means[index], self.variances[index], self.fractions[index])


@np.errstate(invalid="ignore", over="ignore")
def estimate_effect(effect: Effect, auc: Any, first: GroupMoments, second: GroupMoments) -> NDArray[np.float64]:
    """Compute one effect of the first groups over the second ones; ``auc`` is what AUC is known to be."""
    if effect == "auc":
        return np.asarray(auc)
    if effect == "delta_mean":
        return first.means - second.means
    if effect == "delta_detected":
        return first.fractions - second.fractions
    return cohens_d(first, second)


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def cohens_d(first: GroupMoments, second: GroupMoments) -> NDArray[np.float64]:
    """Compute Cohen's d.

    A group of one cell takes the variance of the other; two such groups have no d (NaN). Without any variance d is
    infinite, or 0 where means are equal.
    """
    n_with_variance = np.add(first.sizes > 1, second.sizes > 1, dtype=np.float64)
    difference = first.means - second.means
    pooled = (first.variances + second.variances) / n_with_variance
    effect = difference / np.sqrt(pooled)
    effect[(difference == 0) & (pooled == 0)] = 0
    return np.asarray(effect)


def weigh_pairs(
    first_sizes: NDArray[np.int64], second_sizes: NDArray[np.int64], effect: Effect, *, is_only_block: bool
) -> NDArray[np.float64]:
    """Compute the weight of a block for each pair of groups; 0 where they have no such effect in it.

    The weight is w(n1) w(n2) with w(n) = min(n, 1000) / 1000; it is 1 in the only block.
    """
    weights = [
        np.minimum(sizes, _MOST_CELLS_OF_WEIGHT) / _MOST_CELLS_OF_WEIGHT for sizes in (first_sizes, second_sizes)
    ]
    weight = weights[0] * weights[1]
    if effect == "cohens_d":
        weight[(first_sizes < 2) & (second_sizes < 2)] = 0
    return np.asarray(weight > 0, dtype=np.float64) if is_only_block else np.asarray(weight)


@dataclass
class BlockMean:
    """The weighted mean of an effect over blocks of cells, which are added one by one."""

    totals: NDArray[np.float64] | float = 0.0
    weights: NDArray[np.float64] | float = 0.0

    @np.errstate(invalid="ignore", over="ignore")
    def add(self, effect: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
        """Add a block; effects of pairs whose weight is 0 may be anything."""
        self.totals = self.totals + np.where(weights > 0, effect * weights, 0)
        self.weights = self.weights + weights

    @np.errstate(divide="ignore", invalid="ignore")
    def mean(self) -> NDArray[np.float64]:
        """Compute the mean; NaN for pairs whose weights are all 0."""
        return np.asarray(np.true_divide(self.totals, self.weights))
