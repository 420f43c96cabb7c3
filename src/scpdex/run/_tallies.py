"""Tallies: how often each whole number occurs in each gene, which is all that ranks of counts need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scpdex.kernels.accumulate import add_worths, tally_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scpdex.comparisons.design import GroupSizes
    from scpdex.matrix import Piece, RowStream

_LEAST_WIDTH = 4


class NotCountsError(Exception):
    """Values turned out not to be counts, or to be too high to be tallied within the budget."""


@dataclass
class Tallies:
    """Counts of values, gene by gene, place by place, value by value.

    Where rows pass twice, all cells share one place against the rest; against a reference its cells have the last one,
    and each group one of its own where ties are corrected for. Where they pass once, every group has a place.
    """

    places: NDArray[np.int64]
    """Where the cells of each code are counted; -1 where they need not be."""
    n_places: int
    against_rest: bool
    widths: NDArray[np.int64]
    """For each gene, how many values there is room for, 0 being the first."""
    starts: NDArray[np.int64]
    tallies: NDArray[np.uint32]

    @classmethod
    def of(cls, n_genes: int, sides: GroupSizes, *, tie_correct: bool, of_each: bool = False) -> Tallies:
        """Begin without any value; ``of_each`` gives each group a place of its own."""
        n_codes = sides.sizes.size
        if of_each:
            places = np.arange(n_codes)
        elif sides.against_rest:
            places = np.zeros(n_codes, dtype=np.int64)
        elif tie_correct:
            places = np.arange(n_codes)
        else:
            places = np.where(np.arange(n_codes) == sides.reference_code, 0, -1)
        widths = np.zeros(n_genes, dtype=np.int64)
        starts = np.zeros(n_genes + 1, dtype=np.int64)
        return cls(places, int(places.max()) + 1, sides.against_rest, widths, starts, np.empty(0, dtype=np.uint32))

    def make_room(self, highest: NDArray[np.float64], most_bytes: int) -> bool:
        """Make room for the highest value of each gene; tell whether that fits so many bytes."""
        if (highest < self.widths).all():
            return True
        exponents = np.ceil(np.log2(np.maximum(highest + 1, _LEAST_WIDTH)))
        needed = np.maximum(self.widths, np.where(highest < self.widths, 0, 2**exponents))
        # The old ones and the new ones are held together for a moment; what each value is worth comes later.
        of_value = 2 * self.n_places * self.tallies.itemsize + np.dtype(np.int64).itemsize
        # In floats still, which neither wrap nor have an end.
        if not needed.sum() * of_value <= most_bytes:
            return False
        widths = needed.astype(np.int64)
        starts = np.r_[0, np.cumsum(widths * self.n_places)]
        tallies = np.zeros(int(starts[-1]), dtype=np.uint32)
        for g in np.flatnonzero(self.widths).tolist():
            tallies[starts[g] : starts[g + 1]].reshape(self.n_places, -1)[:, : self.widths[g]] = self.of_gene(g)
        self.widths, self.starts, self.tallies = widths, starts, tallies
        return True

    def of_gene(self, g: int) -> NDArray[np.uint32]:
        """Give the tallies of a gene, places x values."""
        return self.tallies[self.starts[g] : self.starts[g + 1]].reshape(self.n_places, -1)

    def add(self, piece: Piece, some: slice) -> None:
        """Count the values of some genes of a piece."""
        starts = self.starts[some.start : some.stop + 1]
        tally_values(
            piece.keys, piece.codes, piece.indptr, some.start, self.places, self.n_places, starts, self.tallies
        )

    def worths(self, zeros: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Say what each value of each gene is worth: where genes start, the worths, and those of zeros.

        ``zeros`` are those of each code, genes x codes. A value is worth twice the counting cells below and those tied.
        """
        n_zeros = zeros.sum(axis=1) if self.against_rest else zeros[:, -1]
        starts = np.r_[0, np.cumsum(self.widths)]
        worths = np.empty(int(starts[-1]), dtype=np.int64)
        for g in range(self.widths.size):
            counting = self._counting(g)
            worths[starts[g] : starts[g + 1]] = 2 * (n_zeros[g] + np.cumsum(counting)) - counting
        return starts, worths, n_zeros

    def _counting(self, g: int) -> NDArray[np.int64]:
        """How often each value of a gene occurs in the cells that groups are compared with."""
        of_places = self.of_gene(g)
        return np.asarray(
            of_places.sum(axis=0, dtype=np.int64) if self.against_rest else of_places[-1].astype(np.int64)
        )

    @classmethod
    def sum_of(cls, parts: Sequence[Tallies], most_bytes: int) -> Tallies | None:
        """Add up those of cells that were tallied apart; None if that does not fit so many bytes."""
        first = parts[0]
        total = replace(first, widths=np.zeros_like(first.widths), starts=np.zeros_like(first.starts))
        highest = np.max([part.widths for part in parts], axis=0).astype(np.float64) - 1
        if not total.make_room(highest, most_bytes):
            return None
        for part in parts:
            for g in range(part.widths.size):
                total.of_gene(g)[:, : part.widths[g]] += part.of_gene(g)
        return total

    def sums(self) -> NDArray[np.float64]:
        """Add up the values of each group, where each has a place: whole numbers, which float64 holds exactly."""
        return np.stack(
            [self.of_gene(g) @ np.arange(self.widths[g], dtype=np.float64) for g in range(self.widths.size)]
        )

    def twice_u(self, zeros: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add up what the values of each group are worth, zeros included, where each group has a place."""
        starts, worths, of_zeros = self.worths(zeros)
        worth = [self.of_gene(g).astype(np.int64) @ worths[starts[g] : starts[g + 1]] for g in range(self.widths.size)]
        return np.asarray(np.stack(worth) + zeros * of_zeros[:, None])

    def add_worths(
        self,
        piece: Piece,
        starts: NDArray[np.int64],
        worths: NDArray[np.int64],
        twice_u: NDArray[np.int64],
        stream: RowStream,
        some: slice,
    ) -> None:
        """Add what the values of some genes of a piece are worth."""
        starts = starts[some.start : some.stop + 1]
        if not add_worths(piece.keys, piece.codes, piece.indptr, some.start, starts, worths, twice_u[some]):
            stream.refuse("its values were changed while it was read")

    def tie_sums(self, zeros: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sum of t**3 - t over the ties: genes x 1 against the rest, genes x codes or x 0 against a reference."""
        n_genes = self.widths.size
        if self.against_rest:
            all_zeros = zeros.sum(axis=1)
            ties = [_cubed_minus(self._counting(g)).sum() for g in range(n_genes)]
            return np.asarray(_cubed_minus(all_zeros) + ties)[:, None]
        if self.n_places == 1:
            return np.empty((n_genes, 0), dtype=np.int64)
        sums = np.empty(zeros.shape, dtype=np.int64)
        for g in range(n_genes):
            of_codes = self.of_gene(g).astype(np.int64)
            sums[g] = _cubed_minus(of_codes + of_codes[-1]).sum(axis=1)
        return np.asarray(sums + _cubed_minus(zeros + zeros[:, -1:]))


def _cubed_minus(t: NDArray[np.int64]) -> NDArray[np.int64]:
    return t * t * t - t
