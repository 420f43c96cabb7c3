"""Rank in pairs: order the genes of each pair of groups by effect, and keep the best rank of each gene and group."""

from __future__ import annotations

from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from scpdex.machine.threads import run_on_threads
from scpdex.results import cut_groups
from scpdex.run._marker_measure import pair_blocks
from scpdex.statistics.marker_summaries import update_min_ranks
from scpdex.statistics.pairwise_effects import BlockMean, GroupMoments

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.comparisons.cluster_pairs import ClusterPairs
    from scpdex.comparisons.design import Design
    from scpdex.plan.plan import Plan
    from scpdex.run._statistics_table import Table
    from scpdex.statistics.marker_options import MarkerOptions

# Bytes of one effect of the pairs that a thread ranks together, and how many such arrays it holds at once.
_SLICE_BYTES = 1 << 20
_ARRAYS_PER_SLICE = 8


def rank_in_pairs(
    table: Table,
    design: Design,
    options: MarkerOptions,
    pairs: ClusterPairs,
    pool: Executor,
    plan: Plan,
) -> dict[str, NDArray[np.int32]]:
    """Find, for each effect, the best rank of each gene in any pair of each scored group: groups x tested genes.

    Ranks count from 1, the largest effect. Those beyond the limit of the options become the number of tested genes.
    """
    if not options.ranks_genes:
        return {}
    _, _, kept, moments = (part.columns for part in table.comparisons)
    n_genes = table.rows.tested.size
    of_codes = {name: np.ascontiguousarray(moments.read(name, slice(None)).T) for name in options.moment_columns}
    units = []
    if of_codes:
        units = [_moments_of_unit(of_codes, i, unit.sizes) for i, unit in enumerate(design.ranking_units)]
    ranks = _BestRanks(list(options.effects), pairs.scored.size, n_genes, plan.n_threads)

    def work(run: slice) -> None:
        first, second = pairs.first[pairs.kept[run]], pairs.second[pairs.kept[run]]
        blocks = pair_blocks(design, first, second)
        with ranks.borrow() as min_ranks:
            for effect in options.effects:
                if effect == "auc":
                    effects = kept.read(effect, run)
                else:
                    mean = BlockMean(effect)
                    for block, moments_of_block in zip(blocks, units, strict=True):
                        mean.add(block, moments_of_block)
                    effects = np.ascontiguousarray(mean.mean().T)
                is_undefined = np.isnan(effects)
                is_left_out = is_undefined.all(axis=1)
                for sign, groups in ((1, first), (-1, second)):
                    # Undefined effects are last.
                    ranked = np.where(is_undefined, -np.inf, sign * effects)
                    rows = np.where(is_left_out, -1, pairs.rows[groups])
                    update_min_ranks(ranked, rows, options.min_rank_limit, min_ranks[effect])

    room = plan.max_memory // (2 * plan.n_threads * _ARRAYS_PER_SLICE)
    length = max(1, min(_SLICE_BYTES, room) // (8 * n_genes))
    run_on_threads(pool, work, cut_groups(pairs.kept.size, length))
    return ranks.best()


def _moments_of_unit(of_codes: dict[str, NDArray[np.float64]], i: int, sizes: NDArray[np.int64]) -> GroupMoments:
    """Give the moments of the ``i``-th ranking unit, tested genes x codes."""
    run = slice(i * sizes.size, (i + 1) * sizes.size)
    return GroupMoments(**{name: np.ascontiguousarray(numbers[:, run]) for name, numbers in of_codes.items()})


class _BestRanks:
    """Best ranks by effect, of the pairs that each thread has ranked: groups x genes."""

    def __init__(self, effects: list[str], n_groups: int, n_genes: int, n_threads: int) -> None:
        self._all = [
            {effect: np.full((n_groups, n_genes), n_genes, dtype=np.int32) for effect in effects}
            for _ in range(n_threads)
        ]
        self._idle: SimpleQueue[dict[str, NDArray[np.int32]]] = SimpleQueue()
        for ranks in self._all:
            self._idle.put(ranks)

    @contextmanager
    def borrow(self) -> Generator[dict[str, NDArray[np.int32]], None, None]:
        """Lend the ranks of one thread."""
        ranks = self._idle.get()
        try:
            yield ranks
        finally:
            self._idle.put(ranks)

    def best(self) -> dict[str, NDArray[np.int32]]:
        """Give the best ranks of all threads."""
        first, *others = self._all
        for ranks in others:
            for effect, best in first.items():
                np.minimum(best, ranks[effect], out=best)
        return first
