"""Sufficient statistics: all that a test needs of the values of a few genes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.statistics.brunner_munzel import EXACT_SQUARES_BELOW
from scpdex.statistics.tie_correction import EXACT_TIE_SUMS_BELOW

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from scpdex.comparisons.design import GroupSizes


@dataclass
class SufficientStatistics:
    """Sums of neighbouring genes, genes x codes of the groups; those that a test does not need are empty."""

    genes: range
    nonzero: NDArray[np.int64]
    """Cells with a value other than 0."""
    means: NDArray[np.float64]
    squares: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    """Sums of squared deviations from the mean."""
    twice_u: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    tie_sums: NDArray[Any] = field(default_factory=lambda: np.empty((0, 0)))
    """Sums of t**3 - t: genes x 1 against the rest, genes x codes against a reference; of tie correction only."""
    anderson: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    """A squared of the Anderson-Darling test, genes x tested groups."""
    group_squares: NDArray[Any] = field(default_factory=lambda: np.empty((0, 0)))
    """Sums of squares of twice the placements of each group's cells, see :mod:`scpdex.kernels.placements`."""
    other_squares: NDArray[Any] = field(default_factory=lambda: np.empty((0, 0)))
    """The same of the cells that each group is compared with."""
    transformed: NDArray[np.float64] | None = None
    """Sums of the transformed values; None without a transform."""
    not_finite: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Number of NaN and infinite values of each gene."""
    highest: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """Highest value of each gene, and at least 0."""
    are_counts: bool | NDArray[np.bool_] = False
    """Whether values look like counts: of all genes, or of each."""

    def part(self, genes: range) -> SufficientStatistics:
        """Give the sums of some of these genes, on the same arrays."""
        run = slice(genes.start - self.genes.start, genes.stop - self.genes.start)
        arrays = {name: value[run] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, genes=genes, **arrays)

    def zeros_like(self) -> SufficientStatistics:
        """Give zeros that strata of the same genes and groups can be added to; ``means`` are sums at first."""
        return replace(
            self,
            nonzero=np.zeros_like(self.nonzero),
            means=np.zeros_like(self.means),
            twice_u=np.zeros_like(self.twice_u),
            transformed=None if self.transformed is None else np.zeros_like(self.transformed),
            not_finite=np.zeros_like(self.not_finite),
        )

    def add_stratum(self, other: SufficientStatistics, sizes: NDArray[np.int64]) -> None:
        """Add the sums of a stratum; ``sizes`` are its cells of each code."""
        self.nonzero += other.nonzero
        self.means += other.means * sizes
        self.twice_u += other.twice_u
        self.not_finite += other.not_finite
        if self.transformed is not None and other.transformed is not None:
            self.transformed += other.transformed

    def split_into_units(self, units: Sequence[GroupSizes]) -> Iterator[SufficientStatistics]:
        """Give the sums of each ranking unit, whose codes follow one another; the first has what is counted of all."""
        if len(units) == 1:
            yield self
            return
        first = 0
        for unit in units:
            run = slice(first, first + unit.sizes.size)
            yield replace(
                self,
                nonzero=self.nonzero[:, run],
                means=np.ascontiguousarray(self.means[:, run]),
                squares=np.ascontiguousarray(self.squares[:, run]),
                transformed=None if self.transformed is None else self.transformed[:, run],
                not_finite=self.not_finite if first == 0 else np.zeros_like(self.not_finite),
            )
            first = run.stop


def tie_sums_dtype(unit: GroupSizes) -> type[np.int64 | np.float64]:
    """Give the dtype of the tie sums of a ranking unit: whole numbers as long as 64 bits hold them."""
    return np.int64 if unit.sizes.sum() < EXACT_TIE_SUMS_BELOW else np.float64


def squares_dtype(unit: GroupSizes) -> type[np.int64 | np.float64]:
    """Give the dtype of the squared placements of a ranking unit: whole numbers as long as 64 bits hold variances."""
    return np.int64 if unit.sizes.sum() < EXACT_SQUARES_BELOW else np.float64
