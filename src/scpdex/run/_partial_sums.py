"""Combined: sums of parts of the cells that are made apart, wherever these are, and added up in any order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.matrix import block_of
from scpdex.run._block_statistics import Moments
from scpdex.run._tallies import NotCountsError, Tallies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix import Piece
    from scpdex.run._sufficient_statistics import SufficientStatistics
    from scpdex.statistics.options import TestOptions


@dataclass(frozen=True)
class PartialSums:
    """What a test needs of some cells and neighbouring genes: moments and, for ranks of counts, tallies."""

    sizes: NDArray[np.int64]
    """Cells of each code among these."""
    sums: SufficientStatistics
    tallies: Tallies | None
    most_bytes: int
    """What tallies may take."""

    def __sizeof__(self) -> int:
        # What dask's workers take it to weigh.
        arrays = [value for value in vars(self.sums).values() if isinstance(value, np.ndarray)]
        arrays += [] if self.tallies is None else [self.tallies.tallies]
        return object.__sizeof__(self) + sum(array.nbytes for array in arrays)

    @classmethod
    def of(
        cls,
        piece: Piece,
        genes: range,
        cell_codes: NDArray[Any],
        design: Design,
        options: TestOptions,
        most_bytes: int,
    ) -> PartialSums:
        """Add up some genes of a piece; ``cell_codes`` are those of its cells.

        Raises
        ------
        NotCountsError
            A rank test was to be done by tallies, which these values have none of.
        """
        sizes = np.bincount(cell_codes, minlength=design.sizes.size)
        block = block_of([piece.part(genes)], sizes.size)
        # Ranks of some of the cells say nothing of all of them.
        (sums,) = Moments([sizes], None if options.mean_in_log_space else options.log_scale).add_up(block)
        sums.genes = genes
        tallies = None
        if not options.is_t_test:
            tallies = Tallies.of(len(genes), design.ranking_units[0], tie_correct=options.tie_correct, of_each=True)
            if not (sums.are_counts and not sums.not_finite.any() and tallies.make_room(sums.highest, most_bytes)):
                raise NotCountsError
            tallies.add(piece.part(genes), slice(0, len(genes)))
        sums.are_counts = np.full(len(genes), sums.are_counts)
        return cls(sizes, sums, tallies, most_bytes)

    @classmethod
    def sum_of(cls, parts: Sequence[PartialSums]) -> PartialSums:
        """Add up those of cells that were added up apart.

        Raises
        ------
        NotCountsError
            Tallies would take too much.
        """
        total, most_bytes = reduce(_plus, parts), parts[0].most_bytes
        tallies = [part.tallies for part in parts if part.tallies is not None]
        if not tallies:
            return total
        together = Tallies.sum_of(tallies, most_bytes)
        if together is None:
            raise NotCountsError
        return replace(total, tallies=together)

    def whole(self, design: Design) -> SufficientStatistics:
        """Give the sums of all cells, now that these are together."""
        sums = replace(self.sums)
        if self.tallies is not None:
            sizes = design.sizes
            zeros = sizes - sums.nonzero
            sums.twice_u = self.tallies.twice_u(zeros)
            if design.ranking_units[0].against_rest:
                sums.twice_u -= sizes * sizes
            sums.tie_sums = self.tallies.tie_sums(zeros)
            sums.means = self.tallies.sums() / np.maximum(sizes, 1)
        return sums


def _plus(some: PartialSums, other: PartialSums) -> PartialSums:
    """Pool moments by the update of Chan, Golub and LeVeque (1983)."""
    a, b = some.sums, other.sums
    n = some.sizes + other.sizes
    share = other.sizes / np.maximum(n, 1)
    # Infinite values are refused later; sums of the largest are infinite too.
    with np.errstate(invalid="ignore", over="ignore"):
        difference = b.means - a.means
        sums = replace(
            a,
            nonzero=a.nonzero + b.nonzero,
            means=a.means + difference * share,
            squares=a.squares + b.squares + difference * difference * some.sizes * share,
            expm1=None if a.expm1 is None or b.expm1 is None else a.expm1 + b.expm1,
            not_finite=a.not_finite + b.not_finite,
            highest=np.maximum(a.highest, b.highest),
            are_counts=a.are_counts & b.are_counts,
        )
    return replace(some, sizes=n, sums=sums)
