"""Row passes: sums of each gene and group are kept while all rows pass, twice or a few times more."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.accumulate import add_deviations, add_expm1, add_values
from scpdex.kernels.moments import HIDDEN, MOST_PASSES
from scpdex.machine.threads import run_on_threads
from scpdex.plan.gene_blocks import cut
from scpdex.run._batches import batches_of
from scpdex.run._sufficient_statistics import SufficientStatistics
from scpdex.run._tallies import NotCountsError, Tallies

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from scpdex.matrix import ChunkedSource, Piece, RowStream
    from scpdex.run._batches import Batch
    from scpdex.run._job import Job


def run(source: ChunkedSource, job: Job) -> Generator[Batch, None, None]:
    """Add up all rows, then test.

    Raises
    ------
    NotCountsError
        A rank test was to be done by tallies, which these values have none of.
    """
    with job.count(job.plan.passes * source.rows.n_steps, "cell") as bar:
        sums = _RowPasses(source.rows, job, bar).sums()
    yield from batches_of(job, sums)


@dataclass(frozen=True)
class _RowPasses:
    """Passes over the rows of a stream."""

    stream: RowStream
    job: Job
    bar: Any

    @np.errstate(over="ignore", invalid="ignore")
    def sums(self) -> SufficientStatistics:
        """Add up what the test needs.

        Raises
        ------
        NotCountsError
            A rank test was to be done by tallies, which these values have none of.
        """
        n_genes, sizes = self.stream.columns.size, self.job.design.sizes
        shape = (n_genes, sizes.size)
        sums = SufficientStatistics(range(n_genes), np.zeros(shape, dtype=np.int64), np.zeros(shape))
        sums.not_finite = np.zeros(n_genes, dtype=np.int64)
        counts, highest = np.ones(n_genes, dtype=np.bool_), np.zeros(n_genes)
        if not self.job.options.mean_in_log_space:
            sums.expm1 = np.zeros(shape)
        tallies = None
        if not self.job.options.is_t_test:
            tallies = Tallies.of(n_genes, self.job.design.ranking_units[0], tie_correct=self.job.options.tie_correct)

        def add(piece: Piece) -> None:
            self._on_genes(
                partial(_add_values, piece, sums, counts, highest, self.job.options.log_scale),
            )
            if tallies is None:
                return
            if not (counts.all() and tallies.make_room(highest, self.job.plan.max_kept_bytes)):
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
        with closing(
            self.stream.pieces(self.job.plan.values_per_piece, self.job.pool, self.job.plan.n_threads)
        ) as pieces:
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
        # Means of what is not settled yet, NaN elsewhere.
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
            for genes in cut(range(means.shape[0]), self.job.plan.genes_per_tile):
                some = slice(genes.start, genes.stop)
                mean, residual = means[some], residuals[some] - n_zeros[some] * means[some]
                square = sums.squares[some] + n_zeros[some] * mean * mean
                excess = residual * residual / n
                settled = unsettled[some]
                sums.means[some] = np.where(settled, mean + residual / n, sums.means[some])
                sums.squares[some] = np.where(settled, square - excess, sums.squares[some])
                means[some] = np.where(excess <= HIDDEN * (square - excess), np.nan, sums.means[some])
                means[some][~settled] = np.nan

    def _rank(self, sums: SufficientStatistics, tallies: Tallies) -> None:
        """Add up what the values of each group are worth."""
        sizes = self.job.design.sizes
        zeros = sizes - sums.nonzero
        starts, worths, of_zeros = tallies.worths(zeros)
        sums.twice_u = np.zeros(zeros.shape, dtype=np.int64)

        def add(piece: Piece) -> None:
            self._on_genes(partial(tallies.add_worths, piece, starts, worths, sums.twice_u, self.stream))

        self._pass(add)
        sums.twice_u += zeros * of_zeros[:, None]
        if self.job.design.ranking_units[0].against_rest:
            sums.twice_u -= sizes * sizes
        sums.tie_sums = tallies.tie_sums(zeros)
        sums.means /= np.maximum(sizes, 1)


def _add_values(
    piece: Piece,
    sums: SufficientStatistics,
    counts: NDArray[np.bool_],
    highest: NDArray[np.float64],
    log_scale: float,
    some: slice,
) -> None:
    add_values(
        piece.keys,
        piece.codes,
        piece.indptr,
        some.start,
        sums.nonzero[some],
        sums.means[some],
        sums.not_finite[some],
        counts[some],
        highest[some],
    )
    if sums.expm1 is not None:
        add_expm1(piece.keys, piece.codes, piece.indptr, some.start, log_scale, sums.expm1[some])


def _add_deviations(
    piece: Piece, means: NDArray[np.float64], residuals: NDArray[np.float64], squares: NDArray[np.float64], some: slice
) -> None:
    add_deviations(piece.keys, piece.codes, piece.indptr, some.start, means[some], residuals[some], squares[some])
