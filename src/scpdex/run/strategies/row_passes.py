"""Row passes: sums of each gene and group are kept while all rows pass, twice or a few times more."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.accumulate import add_deviations, add_transformed, add_values
from scpdex.kernels.moments import HIDDEN, MOST_PASSES
from scpdex.machine.threads import run_on_threads
from scpdex.plan.gene_blocks import cut_range
from scpdex.plan.strategies.row_passes import PASSES
from scpdex.run._batches import cut_into_batches
from scpdex.run._sufficient_statistics import SufficientStatistics
from scpdex.run._tallies import NotCountsError, Tallies

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from scpdex.matrix import ChunkedSource, JoinedCells, JoinedSource, Piece, RowStream
    from scpdex.run._batches import Batch
    from scpdex.run._job import Job
    from scpdex.statistics.value_transform import ValueTransform


def run(source: ChunkedSource | JoinedSource, job: Job) -> Generator[Batch, None, None]:
    """Add up all rows, then test.

    Raises
    ------
    NotCountsError
        Values are not counts, or are too high to be tallied.
    """
    with job.open_progress_bar(PASSES * source.rows.n_steps, "cell") as bar:
        yield from cut_into_batches(job, _RowPasses(source.rows, job, bar).add_up())


@dataclass(frozen=True)
class _RowPasses:
    """Adds up what the test needs while the rows of a stream pass."""

    stream: RowStream | JoinedCells
    job: Job
    bar: Any

    @np.errstate(over="ignore", invalid="ignore")
    def add_up(self) -> SufficientStatistics:
        """Let all rows pass as often as the test needs it."""
        design, measure = self.job.design, self.job.measure
        n_genes, sizes = self.stream.columns.size, design.sizes
        shape = (n_genes, sizes.size)
        sums = SufficientStatistics(range(n_genes), np.zeros(shape, dtype=np.int64), np.zeros(shape))
        sums.not_finite = np.zeros(n_genes, dtype=np.int64)
        counts, highest = np.ones(n_genes, dtype=np.bool_), np.zeros(n_genes)
        transform = measure.transform
        if transform is not None:
            sums.transformed = np.zeros(shape)
        tallies = None
        if not measure.only_moments:
            tallies = Tallies.empty(n_genes, design.ranking_units[0], tie_correct=measure.tie_correct)

        def add(piece: Piece) -> None:
            self._on_genes(partial(_add_values, piece, sums, counts, highest, transform))
            if tallies is None:
                return
            if not (counts.all() and tallies.make_room(highest, self.job.plan.max_tally_bytes)):
                raise NotCountsError
            self._on_genes(partial(tallies.add, piece))

        self._pass(add)
        sums.are_counts, sums.highest = counts, highest
        if tallies is None:
            self._add_spreads(sums)
        else:
            self._rank(sums, tallies)
        self.stream.refuse_changed()
        return sums

    def _pass(self, add: Callable[[Piece], None]) -> None:
        """Let all rows pass by."""
        plan = self.job.plan
        with closing(self.stream.pieces(plan.values_per_piece, self.job.pool, plan.n_threads)) as pieces:
            for piece in pieces:
                add(piece)
                self.bar.update(piece.n_cells)

    def _on_genes(self, work: Callable[[slice], None]) -> None:
        """Share the genes among the threads."""
        edges = np.linspace(0, self.stream.columns.size, self.job.plan.n_threads + 1).astype(int).tolist()
        run_on_threads(self.job.pool, work, map(slice, edges[:-1], edges[1:]))

    def _add_spreads(self, sums: SufficientStatistics) -> None:
        """Turn sums into means, and add up squared deviations as the kernel of a gene block does."""
        sizes = self.job.design.sizes
        n, n_zeros = np.maximum(sizes, 1), sizes - sums.nonzero
        sums.means /= n
        sums.squares = np.zeros_like(sums.means)
        # NaN once the squared deviations of a gene and group are settled.
        means = sums.means.copy()
        residuals = np.empty_like(means)
        for _ in range(MOST_PASSES):
            unsettled = ~np.isnan(means)
            if not unsettled.any():
                break
            residuals[unsettled] = sums.squares[unsettled] = 0

            def add(piece: Piece) -> None:
                self._on_genes(partial(_add_deviations, piece, means, residuals, sums.squares))

            self._pass(add)
            for genes in cut_range(range(means.shape[0]), self.job.plan.genes_per_tile):
                tile = slice(genes.start, genes.stop)
                mean, residual = means[tile], residuals[tile] - n_zeros[tile] * means[tile]
                square = sums.squares[tile] + n_zeros[tile] * mean * mean
                excess = residual * residual / n
                added_up = unsettled[tile]
                sums.means[tile] = np.where(added_up, mean + residual / n, sums.means[tile])
                sums.squares[tile] = np.where(added_up, square - excess, sums.squares[tile])
                means[tile] = np.where(excess <= HIDDEN * (square - excess), np.nan, sums.means[tile])
                means[tile][~added_up] = np.nan

    def _rank(self, sums: SufficientStatistics, tallies: Tallies) -> None:
        """Add up twice the midranks of the values of each group."""
        sizes = self.job.design.sizes
        zeros = sizes - sums.nonzero
        starts, twice_midranks, twice_midranks_of_zero = tallies.twice_midranks(zeros)
        sums.twice_u = np.zeros(zeros.shape, dtype=np.int64)

        def add(piece: Piece) -> None:
            self._on_genes(partial(self._add_midranks, tallies, piece, starts, twice_midranks, sums.twice_u))

        self._pass(add)
        sums.twice_u += zeros * twice_midranks_of_zero[:, None]
        if self.job.design.ranking_units[0].against_rest:
            sums.twice_u -= sizes * sizes
        sums.tie_sums = tallies.tie_sums(zeros)
        sums.means /= np.maximum(sizes, 1)

    def _add_midranks(
        self,
        tallies: Tallies,
        piece: Piece,
        starts: NDArray[np.int64],
        twice_midranks: NDArray[np.int64],
        twice_u: NDArray[np.int64],
        genes: slice,
    ) -> None:
        if not tallies.add_midranks(piece, starts, twice_midranks, twice_u, genes):
            self.stream.refuse("its values were changed while it was read")


def _add_values(
    piece: Piece,
    sums: SufficientStatistics,
    counts: NDArray[np.bool_],
    highest: NDArray[np.float64],
    transform: ValueTransform | None,
    genes: slice,
) -> None:
    add_values(
        piece.keys,
        piece.codes,
        piece.indptr,
        genes.start,
        sums.nonzero[genes],
        sums.means[genes],
        sums.not_finite[genes],
        counts[genes],
        highest[genes],
    )
    if transform is not None and sums.transformed is not None:
        scale = transform.log_scale
        add_transformed(piece.keys, piece.codes, piece.indptr, genes.start, scale, sums.transformed[genes])


def _add_deviations(
    piece: Piece, means: NDArray[np.float64], residuals: NDArray[np.float64], squares: NDArray[np.float64], genes: slice
) -> None:
    add_deviations(piece.keys, piece.codes, piece.indptr, genes.start, means[genes], residuals[genes], squares[genes])
