"""Tallies: how often each whole number occurs in each gene, which is all that ranks of counts need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scpdex.kernels.accumulate import add_twice_midranks, tally_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scpdex.comparisons.design import GroupSizes
    from scpdex.matrix import Piece

_LEAST_WIDTH = 4


class NotCountsError(Exception):
    """Values turned out not to be counts, or to be too high to be tallied within the budget."""


@dataclass
class Tallies:
    """Counts of values, gene by gene, row by row, value by value.

    Where cells pass twice, all share one row against the rest. Against a reference, its cells have the last row, and
    each group has one of its own where ties are corrected for. Where cells pass once, every group has a row.
    """

    row_of_code: NDArray[np.int64]
    """Row in which the cells of each code are counted; -1 for cells that need not be."""
    n_rows: int
    against_rest: bool
    n_values: NDArray[np.int64]
    """For each gene, the number of values from 0 up that have a count."""
    starts: NDArray[np.int64]
    """Where the counts of each gene start, and the last one's end."""
    counts: NDArray[np.uint32]

    @classmethod
    def empty(cls, n_genes: int, sizes: GroupSizes, *, tie_correct: bool, by_group: bool = False) -> Tallies:
        """Begin without any value; ``by_group`` gives each group a row of its own."""
        codes = np.arange(sizes.sizes.size)
        if by_group or (tie_correct and not sizes.against_rest):
            row_of_code = codes
        elif sizes.against_rest:
            row_of_code = np.zeros_like(codes)
        else:
            row_of_code = np.where(codes == sizes.reference_code, 0, -1)
        n_values, starts = np.zeros(n_genes, dtype=np.int64), np.zeros(n_genes + 1, dtype=np.int64)
        no_counts = np.empty(0, dtype=np.uint32)
        return cls(row_of_code, int(row_of_code.max()) + 1, sizes.against_rest, n_values, starts, no_counts)

    def make_room(self, highest: NDArray[np.float64], max_bytes: int) -> bool:
        """Make room for the highest value of each gene; tell whether that fits ``max_bytes``."""
        if (highest < self.n_values).all():
            return True
        exponents = np.ceil(np.log2(np.maximum(highest + 1, _LEAST_WIDTH)))
        needed = np.maximum(self.n_values, np.where(highest < self.n_values, 0, 2**exponents))
        # The old counts and the new ones are held together for a moment; the midranks of the values come later.
        bytes_per_value = 2 * self.n_rows * self.counts.itemsize + np.dtype(np.int64).itemsize
        # In floats still, which neither wrap nor have an end.
        if not needed.sum() * bytes_per_value <= max_bytes:
            return False
        n_values = needed.astype(np.int64)
        starts = np.r_[0, np.cumsum(n_values * self.n_rows)]
        counts = np.zeros(int(starts[-1]), dtype=np.uint32)
        for g in np.flatnonzero(self.n_values).tolist():
            counts[starts[g] : starts[g + 1]].reshape(self.n_rows, -1)[:, : self.n_values[g]] = self.counts_of(g)
        self.n_values, self.starts, self.counts = n_values, starts, counts
        return True

    def counts_of(self, g: int) -> NDArray[np.uint32]:
        """Give the counts of gene ``g``, rows x values."""
        return self.counts[self.starts[g] : self.starts[g + 1]].reshape(self.n_rows, -1)

    def add(self, piece: Piece, genes: slice) -> None:
        """Count the values of some genes of a piece."""
        starts = self.starts[genes.start : genes.stop + 1]
        tally_values(
            piece.keys, piece.codes, piece.indptr, genes.start, self.row_of_code, self.n_rows, starts, self.counts
        )

    def twice_midranks(
        self, zeros: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Give twice the midrank of each value of each gene: where genes start, the values', and those of zeros.

        ``zeros`` are the zeros of each code, genes x codes. Twice the midrank of a value is twice the number of cells
        below it, among those that groups are compared with, plus the number of those that are tied with it.
        """
        n_zeros = zeros.sum(axis=1) if self.against_rest else zeros[:, -1]
        starts = np.r_[0, np.cumsum(self.n_values)]
        twice_midranks = np.empty(int(starts[-1]), dtype=np.int64)
        for g in range(self.n_values.size):
            counts = self._counts_of_others(g)
            twice_midranks[starts[g] : starts[g + 1]] = 2 * (n_zeros[g] + np.cumsum(counts)) - counts
        return starts, twice_midranks, n_zeros

    def _counts_of_others(self, g: int) -> NDArray[np.int64]:
        """Count each value of gene ``g`` in the cells that groups are compared with."""
        counts = self.counts_of(g)
        return np.asarray(counts.sum(axis=0, dtype=np.int64) if self.against_rest else counts[-1].astype(np.int64))

    @classmethod
    def sum_of(cls, parts: Sequence[Tallies], max_bytes: int) -> Tallies | None:
        """Add up the tallies of several sets of cells; None if their sum does not fit ``max_bytes``."""
        first = parts[0]
        total = replace(first, n_values=np.zeros_like(first.n_values), starts=np.zeros_like(first.starts))
        highest = np.max([part.n_values for part in parts], axis=0).astype(np.float64) - 1
        if not total.make_room(highest, max_bytes):
            return None
        for part in parts:
            for g in range(part.n_values.size):
                total.counts_of(g)[:, : part.n_values[g]] += part.counts_of(g)
        return total

    def sum_values(self) -> NDArray[np.float64]:
        """Add up the values of each group, each of which has a row: whole numbers, which float64 holds exactly."""
        return np.stack(
            [self.counts_of(g) @ np.arange(n_values, dtype=np.float64) for g, n_values in enumerate(self.n_values)]
        )

    def twice_u(self, zeros: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add up twice the midranks of each group's values, zeros included, where each group has a row."""
        starts, twice_midranks, twice_midranks_of_zero = self.twice_midranks(zeros)
        rank_sums = [
            self.counts_of(g).astype(np.int64) @ twice_midranks[starts[g] : starts[g + 1]]
            for g in range(self.n_values.size)
        ]
        return np.asarray(np.stack(rank_sums) + zeros * twice_midranks_of_zero[:, None])

    def add_midranks(
        self,
        piece: Piece,
        starts: NDArray[np.int64],
        twice_midranks: NDArray[np.int64],
        twice_u: NDArray[np.int64],
        genes: slice,
    ) -> bool:
        """Add twice the midranks of the values of some genes of a piece; False if a value was not tallied."""
        starts = starts[genes.start : genes.stop + 1]
        keys = (piece.keys, piece.codes, piece.indptr)
        return bool(add_twice_midranks(*keys, genes.start, starts, twice_midranks, twice_u[genes]))

    def tie_sums(self, zeros: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sum of t**3 - t over the ties: genes x 1 against the rest, genes x codes or x 0 against a reference."""
        n_genes = self.n_values.size
        if self.against_rest:
            ties = [_cubed_minus(self._counts_of_others(g)).sum() for g in range(n_genes)]
            return np.asarray(_cubed_minus(zeros.sum(axis=1)) + ties)[:, None]
        if self.n_rows == 1:
            return np.empty((n_genes, 0), dtype=np.int64)
        sums = np.empty(zeros.shape, dtype=np.int64)
        for g in range(n_genes):
            counts = self.counts_of(g).astype(np.int64)
            sums[g] = _cubed_minus(counts + counts[-1]).sum(axis=1)
        return np.asarray(sums + _cubed_minus(zeros + zeros[:, -1:]))


def _cubed_minus(t: NDArray[np.int64]) -> NDArray[np.int64]:
    return t * t * t - t
