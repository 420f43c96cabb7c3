"""Summary: from the keys of a few genes to their sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.anderson_darling import anderson_darling, new_anderson_scratch
from scpdex.kernels.moments import are_counts, count_not_finite, group_expm1_sums, group_moments, highest_values
from scpdex.kernels.rank_sums import new_scratch, rank_sums
from scpdex.run._sufficient_statistics import SufficientStatistics, tie_sums_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scpdex.comparisons.design import Sides
    from scpdex.matrix import GeneBlock
    from scpdex.statistics.options import TestOptions


class Summary:
    """One thread's way from a few genes' keys to their sums, with the scratch that it reuses.

    ``ranked`` are the cells that are ranked together, whose codes follow one another.
    """

    def __init__(self, ranked: Sequence[Sides], options: TestOptions, longest: int, key_dtype: np.dtype[Any]) -> None:
        self.ranked = ranked
        self.options = options
        wide = key_dtype.itemsize > np.dtype(np.uint32).itemsize
        self.scratch: Any = ()
        if not options.is_t_test:
            self.scratch = new_scratch(longest, wide=wide)
        if options.needs_order:
            first, second, _, histograms, _ = self.scratch
            most_codes = max(sides.sizes.size for sides in ranked)
            self.scratch = (first, second, histograms, *new_anderson_scratch(longest, most_codes))
        self.may_be_counts = True

    def sums(self, block: GeneBlock) -> Iterator[SufficientStatistics]:
        """Add up each group's cells for each gene of a block, in turn for each of those that are ranked together."""
        looks_like_counts = self._are_counts(block)
        highest = np.empty(len(block.genes))
        highest_values(block.keys, block.starts, np.ascontiguousarray(block.ends[:, -1]), highest)
        first = 0
        for sides in self.ranked:
            stop = first + sides.sizes.size
            sums = self._sums_of(block.of_codes(first, stop), sides)
            sums.are_counts, sums.highest = looks_like_counts, highest
            yield sums
            first = stop

    def _sums_of(self, block: GeneBlock, sides: Sides) -> SufficientStatistics:
        options = self.options
        nonzero = block.ends.astype(np.int64)
        nonzero[:, 1:] -= block.ends[:, :-1]
        sums = SufficientStatistics(block.genes, nonzero, np.empty(nonzero.shape))
        keys = (block.keys, block.starts, block.ends)
        if options.is_t_test:
            sums.squares = np.empty_like(sums.means)
            group_moments(*keys, sides.sizes, sums.means, sums.squares)
        elif options.needs_order:
            sums.twice_u = np.empty_like(nonzero)
            sums.anderson = np.empty((nonzero.shape[0], sides.n_groups))
            anderson_darling(
                *keys,
                sides.sizes,
                sides.sizes - nonzero,
                sides.reference_code,
                sums.means,
                sums.twice_u,
                sums.anderson,
                *self.scratch,
            )
            sums.means /= np.maximum(sides.sizes, 1)
        else:
            n_tie_sums = 1 if sides.against_rest else sides.sizes.size if options.tie_correct else 0
            sums.tie_sums = np.empty((nonzero.shape[0], n_tie_sums), dtype=tie_sums_dtype(sides))
            sums.twice_u = np.empty_like(nonzero)
            rank_sums(
                *keys,
                sides.sizes,
                sides.sizes - nonzero,
                sides.reference_code,
                sums.means,
                sums.twice_u,
                sums.tie_sums,
                *self.scratch,
            )
            sums.means /= np.maximum(sides.sizes, 1)
        if not options.mean_in_log_space:
            sums.expm1 = np.empty_like(sums.means)
            group_expm1_sums(*keys, options.log_scale, sums.expm1)
        sums.not_finite = np.zeros(len(block.genes), dtype=np.int64)
        # NaN and infinite values show in the means.
        for g in np.flatnonzero(~np.isfinite(sums.means).all(axis=1)).tolist():
            sums.not_finite[g] = count_not_finite(block.keys_of(g))
        return sums

    def _are_counts(self, block: GeneBlock) -> bool:
        """Tell whether all values look like raw counts; no longer asked once some did not."""
        if self.may_be_counts:
            self.may_be_counts = all(are_counts(block.keys_of(g)) for g in range(len(block.genes)))
        return self.may_be_counts
