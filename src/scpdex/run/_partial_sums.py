"""Partial sums: what a test needs of some of the cells, added up with those of others in any order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.matrix import gather_pieces
from scpdex.run._block_kernels import Moments
from scpdex.run._tallies import NotCountsError, Tallies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix import Piece
    from scpdex.run._measure import Measure
    from scpdex.run._sufficient_statistics import SufficientStatistics


@dataclass(frozen=True)
class PartialSums:
    """What a test needs of some cells and neighbouring genes: moments and, for ranks of counts, tallies."""

    sizes: NDArray[np.int64]
    """Cells of each code among these."""
    sums: SufficientStatistics
    tallies: Tallies | None
    max_bytes: int
    """Bytes that tallies may take."""

    def __sizeof__(self) -> int:
        # dask's workers ask for it to know how much memory the object takes.
        arrays = [value for value in vars(self.sums).values() if isinstance(value, np.ndarray)]
        arrays += [] if self.tallies is None else [self.tallies.counts]
        return object.__sizeof__(self) + sum(array.nbytes for array in arrays)

    @classmethod
    def of(
        cls,
        piece: Piece,
        genes: range,
        cell_codes: NDArray[Any],
        design: Design,
        measure: Measure,
        max_bytes: int,
    ) -> PartialSums:
        """Add up some genes of a piece; ``cell_codes`` are those of its cells.

        Raises
        ------
        NotCountsError
            Values are not counts, or are too high to be tallied.
        """
        sizes = np.bincount(cell_codes, minlength=design.sizes.size)
        block = gather_pieces([piece.part(genes)], sizes.size)
        # Ranks of some of the cells say nothing of all of them.
        (sums,) = Moments([sizes], measure.transform).add_up(block)
        sums.genes = genes
        tallies = None
        if not measure.only_moments:
            tallies = Tallies.empty(len(genes), design.ranking_units[0], tie_correct=measure.tie_correct, by_group=True)
            if not (sums.are_counts and not sums.not_finite.any() and tallies.make_room(sums.highest, max_bytes)):
                raise NotCountsError
            tallies.add(piece.part(genes), slice(0, len(genes)))
        sums.are_counts = np.full(len(genes), sums.are_counts)
        return cls(sizes, sums, tallies, max_bytes)

    @classmethod
    def sum_of(cls, parts: Sequence[PartialSums]) -> PartialSums:
        """Add up the sums of several sets of cells.

        Raises
        ------
        NotCountsError
            Tallies would take more than ``max_bytes``.
        """
        total, max_bytes = reduce(_pool_moments, parts), parts[0].max_bytes
        tallies = [part.tallies for part in parts if part.tallies is not None]
        if not tallies:
            return total
        total_tallies = Tallies.sum_of(tallies, max_bytes)
        if total_tallies is None:
            raise NotCountsError
        return replace(total, tallies=total_tallies)

    def to_statistics(self, design: Design) -> SufficientStatistics:
        """Give the sufficient statistics of all cells, once their sums are added up."""
        sums = replace(self.sums)
        if self.tallies is not None:
            sizes = design.sizes
            zeros = sizes - sums.nonzero
            sums.twice_u = self.tallies.twice_u(zeros)
            if design.ranking_units[0].against_rest:
                sums.twice_u -= sizes * sizes
            sums.tie_sums = self.tallies.tie_sums(zeros)
            sums.means = self.tallies.sum_values() / np.maximum(sizes, 1)
        return sums


def _pool_moments(first: PartialSums, second: PartialSums) -> PartialSums:
    """Pool moments of two sets of cells by the update of Chan, Golub and LeVeque (1983)."""
    a, b = first.sums, second.sums
    n = first.sizes + second.sizes
    share = second.sizes / np.maximum(n, 1)
    # Infinite values are refused later, and the sums of the largest finite ones may be infinite.
    with np.errstate(invalid="ignore", over="ignore"):
        difference = b.means - a.means
        sums = replace(
            a,
            nonzero=a.nonzero + b.nonzero,
            means=a.means + difference * share,
            squares=a.squares + b.squares + difference * difference * first.sizes * share,
            transformed=None if a.transformed is None or b.transformed is None else a.transformed + b.transformed,
            not_finite=a.not_finite + b.not_finite,
            highest=np.maximum(a.highest, b.highest),
            are_counts=a.are_counts & b.are_counts,
        )
    return replace(first, sizes=n, sums=sums)
