"""Rank in pairs: order the genes of each pair of groups by effect, and keep the best rank of each gene and group."""

from __future__ import annotations

from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.machine.threads import run_on_threads
from scpdex.results import cut_groups
from scpdex.statistics.marker_summaries import update_min_ranks
from scpdex.statistics.pairwise_effects import BlockMean, GroupMoments, estimate_effect, weigh_pairs

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
    of_codes = {name: moments.read(name, slice(None)) for name in options.moment_columns}
    units = [_moments_of_unit(of_codes, i, unit.sizes) for i, unit in enumerate(design.ranking_units)]
    ranks = _BestRanks(list(options.effects), pairs.scored.size, n_genes, plan.n_threads)

    def work(run: slice) -> None:
        first_rows, second_codes = pairs.first_rows[run], pairs.second_codes[run]
        first_codes = pairs.scored[first_rows]
        with ranks.borrow() as min_ranks:
            for effect in options.effects:
                if effect == "auc":
                    effects = kept.read(effect, run)
                else:
                    effects = _measure(effect, units, first_codes, second_codes)
                is_undefined = np.isnan(effects).all(axis=1)
                for sign, rows in ((1, first_rows), (-1, pairs.rows[second_codes])):
                    ranked = np.where(np.isnan(effects), -np.inf, sign * effects)
                    update_min_ranks(
                        ranked, np.where(is_undefined, -1, rows), options.min_rank_limit, min_ranks[effect]
                    )

    room = plan.max_memory // (2 * plan.n_threads * _ARRAYS_PER_SLICE)
    length = max(1, min(_SLICE_BYTES, room) // (8 * n_genes))
    run_on_threads(pool, work, cut_groups(pairs.first_rows.size, length))
    return ranks.best()


def _moments_of_unit(of_codes: dict[str, NDArray[np.float64]], i: int, sizes: NDArray[np.int64]) -> GroupMoments:
    """Give the moments of the ``i``-th ranking unit, codes x tested genes."""
    run = slice(i * sizes.size, (i + 1) * sizes.size)
    return GroupMoments(sizes[:, None], **{name: numbers[run] for name, numbers in of_codes.items()})


def _measure(
    effect: Any, units: list[GroupMoments], first_codes: NDArray[np.int64], second_codes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute an effect of some pairs, pairs x tested genes."""
    mean = BlockMean()
    for unit in units:
        first, second = unit.rows(first_codes), unit.rows(second_codes)
        weights = weigh_pairs(first.sizes, second.sizes, effect, is_only_block=len(units) == 1)
        mean.add(estimate_effect(effect, None, first, second), weights)
    return mean.mean()


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
