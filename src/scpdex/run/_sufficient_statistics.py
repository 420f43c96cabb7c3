"""Sufficient statistics: what was added up of a few genes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.statistics.rank_sum import EXACT_TIE_SUMS_BELOW

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from scpdex.comparisons.design import GroupSizes


@dataclass
class SufficientStatistics:
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
    highest: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """Highest value of each gene; 0 where none is above."""
    are_counts: bool | NDArray[np.bool_] = False
    """Whether values look like counts."""

    def part(self, genes: range) -> SufficientStatistics:
        """Give the sums of some of these genes."""
        some = slice(genes.start - self.genes.start, genes.stop - self.genes.start)
        arrays = {name: value[some] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, genes=genes, **arrays)

    def of_no_cells(self) -> SufficientStatistics:
        """Give what sums of strata, of the same genes and groups, can be added to; ``means`` are sums at first."""
        return replace(
            self,
            nonzero=np.zeros_like(self.nonzero),
            means=np.zeros_like(self.means),
            twice_u=np.zeros_like(self.twice_u),
            expm1=None if self.expm1 is None else np.zeros_like(self.expm1),
            not_finite=np.zeros_like(self.not_finite),
        )

    def add(self, other: SufficientStatistics, sizes: NDArray[np.int64]) -> None:
        """Add the sums of a stratum, of which there are so many cells of each code."""
        self.nonzero += other.nonzero
        self.means += other.means * sizes
        self.twice_u += other.twice_u
        self.not_finite += other.not_finite
        if self.expm1 is not None and other.expm1 is not None:
            self.expm1 += other.expm1

    def of_ranked(self, ranked: Sequence[GroupSizes]) -> Iterator[SufficientStatistics]:
        """Give the sums of the cells of each of these, whose codes follow one another; the first has what is of all."""
        if len(ranked) == 1:
            yield self
            return
        first = 0
        for sides in ranked:
            run = slice(first, first + sides.sizes.size)
            yield replace(
                self,
                nonzero=self.nonzero[:, run],
                means=np.ascontiguousarray(self.means[:, run]),
                squares=np.ascontiguousarray(self.squares[:, run]),
                expm1=None if self.expm1 is None else self.expm1[:, run],
                not_finite=self.not_finite if first == 0 else np.zeros_like(self.not_finite),
            )
            first = run.stop


def tie_sums_dtype(sides: GroupSizes) -> type[np.int64 | np.float64]:
    """Give the dtype of sums over ties: whole numbers as long as these fit."""
    return np.int64 if sides.sizes.sum() < EXACT_TIE_SUMS_BELOW else np.float64
