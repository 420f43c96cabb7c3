"""Rank in pairs: order the genes of each pair of groups by effect, and keep the best rank of each gene and group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scpdex.machine.threads import Lender, run_on_threads
from scpdex.results import cut_groups
from scpdex.statistics.marker_summaries import update_min_ranks
from scpdex.statistics.pairwise_effects import BlockMean, GroupMoments, PairBlock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.comparisons.cluster_pairs import ClusterPairs
    from scpdex.comparisons.design import Design
    from scpdex.plan.plan import Plan
    from scpdex.run._columns import Columns
    from scpdex.run._statistics_table import Table
    from scpdex.statistics.marker_options import Effect, MarkerOptions

# Bytes of one effect of the pairs that a thread ranks together, and how many such arrays it holds at once.
_SLICE_BYTES = 1 << 20
_ARRAYS_PER_SLICE = 12


def rank_in_pairs(
    table: Table, design: Design, options: MarkerOptions, pairs: ClusterPairs, pool: Executor, plan: Plan
) -> dict[Effect, NDArray[np.int32]]:
    """Find, for each effect, the best rank of each gene in any pair of each scored group: groups x tested genes.

    Ranks count from 1, the largest effect. Those beyond the limit of the options become the number of tested genes.
    """
    if not options.ranks_genes:
        return {}
    _, _, kept, moments = (part.columns for part in table.comparisons)
    n_genes = table.rows.tested.size
    ranks_of_threads = _allocate_ranks(options.effects, (pairs.scored.size, n_genes), plan)
    lender = Lender(ranks_of_threads)

    def measure(effect: Effect, run: slice, sides: _PairSides, of_blocks: list[GroupMoments]) -> NDArray[np.float64]:
        """Give an effect of some pairs, pairs x tested genes."""
        if effect in options.kept_columns:
            return kept.read(effect, run)
        mean = BlockMean(effect)
        for block, of_block in zip(sides.blocks, of_blocks, strict=True):
            mean.add(block, of_block)
        return np.ascontiguousarray(mean.mean().T)

    def work(run: slice) -> None:
        first, second = pairs.first[pairs.kept[run]], pairs.second[pairs.kept[run]]
        sides = _PairSides.of(design, first, second)
        of_blocks = [_read_moments(moments, options.moment_columns, codes) for codes in sides.codes_of_blocks]
        with lender.borrow() as best:
            for effect in options.effects:
                effects = measure(effect, run, sides, of_blocks)
                is_undefined = np.isnan(effects)
                is_left_out = is_undefined.all(axis=1)
                for sign, groups in ((1, first), (-1, second)):
                    # Undefined effects are last.
                    ranked = np.where(is_undefined, -np.inf, sign * effects)
                    rows = np.where(is_left_out, -1, pairs.rows[groups])
                    update_min_ranks(ranked, rows, options.min_rank_limit, best[effect])

    room = plan.max_memory // (2 * plan.n_threads * _ARRAYS_PER_SLICE)
    length = max(1, min(_SLICE_BYTES, room) // (8 * n_genes))
    run_on_threads(pool, work, cut_groups(pairs.kept.size, length))
    best, *others = ranks_of_threads
    for ranks in others:
        for effect, best_ranks in best.items():
            np.minimum(best_ranks, ranks[effect], out=best_ranks)
    return best


@dataclass(frozen=True)
class _PairSides:
    """The groups of some pairs, numbered among themselves, in each ranking unit."""

    blocks: tuple[PairBlock, ...]
    codes_of_blocks: tuple[NDArray[np.int64], ...]
    """Codes of these groups in the design, ascending."""

    @classmethod
    def of(cls, design: Design, first: NDArray[np.int64], second: NDArray[np.int64]) -> _PairSides:
        """Give the groups of pairs numbers of their own; pairs are given by their codes in each ranking unit."""
        groups, positions = np.unique(np.concatenate([first, second]), return_inverse=True)
        sides = (positions[: first.size], positions[first.size :])
        units = design.ranking_units
        blocks = tuple(PairBlock(*sides, unit.sizes[groups], len(units) == 1) for unit in units)
        return cls(blocks, tuple(i * unit.sizes.size + groups for i, unit in enumerate(units)))


def _read_moments(moments: Columns, names: list[str], codes: NDArray[np.int64]) -> GroupMoments:
    """Read the moments of some codes, tested genes x codes; those that are not kept are empty."""
    runs = np.split(codes, np.flatnonzero(np.diff(codes) > 1) + 1)
    read: dict[str, NDArray[np.float64]] = dict.fromkeys(("means", "variances", "fractions"), np.empty((0, 0)))
    for name in names:
        parts = [moments.read(name, slice(int(run[0]), int(run[-1]) + 1)) for run in runs]
        read[name] = np.ascontiguousarray(np.concatenate(parts).T)
    return GroupMoments(**read)


def _allocate_ranks(
    effects: Iterable[Effect], shape: tuple[int, int], plan: Plan
) -> list[dict[Effect, NDArray[np.int32]]]:
    """Allocate best ranks, groups x genes, for as many threads as an eighth of the budget holds, at least for one."""
    effects = tuple(effects)
    n_bytes = len(effects) * shape[0] * shape[1] * np.dtype(np.int32).itemsize
    n_threads = max(1, min(plan.n_threads, plan.max_memory // 8 // n_bytes))
    return [{effect: np.full(shape, shape[1], dtype=np.int32) for effect in effects} for _ in range(n_threads)]
