"""Combined: sums of parts of the cells that are made apart, wherever these are, and added up in any order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.comparisons.design import Sides
from scpdex.matrix import block_of
from scpdex.run._block_statistics import Summary
from scpdex.run._tallies import NotCountsError, Tallies
from scpdex.statistics.options import TestOptions

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix import DaskSource, Part, Piece
    from scpdex.plan.plan import Plan
    from scpdex.run._sufficient_statistics import SufficientStatistics


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
        # Moments are all that a summary gives of cells that are not all.
        moments = Summary([Sides(sizes, sizes.size, True)], _for_moments(options), 0, piece.keys.dtype)
        (sums,) = moments.sums(block)
        sums.genes = genes
        tallies = None
        if not options.is_t_test:
            tallies = Tallies.of(len(genes), design.ranked[0], tie_correct=options.tie_correct, of_each=True)
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
            if design.ranked[0].against_rest:
                sums.twice_u -= sizes * sizes
            sums.tie_sums = self.tallies.tie_sums(zeros)
            sums.means = self.tallies.sums() / np.maximum(sizes, 1)
        return sums


def _for_moments(options: TestOptions) -> TestOptions:
    """Give the options of a test that takes moments only, with the same means."""
    return TestOptions("t-test", mean_in_log_space=options.mean_in_log_space, log_base=options.log_base)


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


def combined_sums(
    source: DaskSource, design: Design, options: TestOptions, plan: Plan, pool: Executor, bar: Any
) -> Generator[SufficientStatistics, None, None]:
    """Add up the parts of a dask array on this machine; give the sums of all cells, stripe by stripe.

    Raises
    ------
    NotCountsError
        A rank test was to be done by tallies, which these values have none of.
    RuntimeError
        A chunk could not be computed.
    """

    def add_up(piece: Piece, part: Part) -> PartialSums:
        return PartialSums.of(piece, part.genes, source.codes[part.cells], design, options, plan.kept)

    total: PartialSums | None = None
    with closing(source.each_part(add_up, plan.piece, pool, plan.n_threads)) as partial_sums:
        for partial in partial_sums:
            bar.update(int(partial.sizes.sum()))
            if total is not None and total.sums.genes != partial.sums.genes:
                yield total.whole(design)
                total = None
            total = partial if total is None else PartialSums.sum_of([total, partial])
    if total is not None:
        yield total.whole(design)
