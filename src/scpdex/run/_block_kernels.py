"""Block statistics: the kernels that turn the keys of a few genes into sufficient statistics, one object per thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.anderson_darling_sums import anderson_darling, new_anderson_scratch
from scpdex.kernels.moments import are_counts, count_not_finite, group_expm1_sums, group_moments, highest_values
from scpdex.kernels.rank_sums import new_scratch, rank_sums
from scpdex.run._sufficient_statistics import SufficientStatistics, tie_sums_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from scpdex.comparisons.design import GroupSizes
    from scpdex.matrix import GeneBlock
    from scpdex.statistics.options import TestOptions

Keys = tuple["NDArray[Any]", "NDArray[np.int64]", "NDArray[np.uint32]"]


class BlockKernels(ABC):
    """Adds up the cells of each group, for each gene of a block.

    ``sizes`` are the cells of each code, an array for each ranking unit, whose codes follow one another. Values are
    multiplied by ``log_scale`` before ``expm1``; None leaves ``expm1`` out.
    """

    def __init__(self, sizes: Sequence[NDArray[np.int64]], log_scale: float | None) -> None:
        self._sizes = sizes
        self._log_scale = log_scale
        self._may_be_counts = True

    def add_up(self, block: GeneBlock) -> Iterator[SufficientStatistics]:
        """Give the sufficient statistics of each ranking unit in turn."""
        are_counts = self._are_counts(block)
        highest = np.empty(len(block.genes))
        highest_values(block.keys, block.starts, np.ascontiguousarray(block.ends[:, -1]), highest)
        first_code = 0
        for i, sizes in enumerate(self._sizes):
            stop = first_code + sizes.size
            yield self._add_up_unit(block.select_codes(first_code, stop), i, are_counts, highest)
            first_code = stop

    def _add_up_unit(
        self, block: GeneBlock, i: int, are_counts: bool, highest: NDArray[np.float64]
    ) -> SufficientStatistics:
        """Add up the ``i``-th ranking unit."""
        nonzero = block.ends.astype(np.int64)
        nonzero[:, 1:] -= block.ends[:, :-1]
        sums = SufficientStatistics(block.genes, nonzero, np.empty(nonzero.shape), are_counts=are_counts)
        keys = (block.keys, block.starts, block.ends)
        self._fill(sums, keys, i)
        if self._log_scale is not None:
            sums.expm1 = np.empty_like(sums.means)
            group_expm1_sums(*keys, self._log_scale, sums.expm1)
        sums.highest = highest
        sums.not_finite = np.zeros(len(block.genes), dtype=np.int64)
        # NaN and infinite values show in the means.
        for g in np.flatnonzero(~np.isfinite(sums.means).all(axis=1)).tolist():
            sums.not_finite[g] = count_not_finite(block.gene_keys(g))
        return sums

    @abstractmethod
    def _fill(self, sums: SufficientStatistics, keys: Keys, i: int) -> None:
        """Fill in what the test needs of the ``i``-th ranking unit, the means at least."""

    def _are_counts(self, block: GeneBlock) -> bool:
        """Tell whether all values look like raw counts; the answer stays False once it is."""
        if self._may_be_counts:
            self._may_be_counts = all(are_counts(block.gene_keys(g)) for g in range(len(block.genes)))
        return self._may_be_counts


class Moments(BlockKernels):
    """Means and squared deviations, for t-tests."""

    def _fill(self, sums: SufficientStatistics, keys: Keys, i: int) -> None:
        sums.squares = np.empty_like(sums.means)
        group_moments(*keys, self._sizes[i], sums.means, sums.squares)


class Ranks(BlockKernels):
    """Rank sums and tie sums, for the Wilcoxon test; ``longest_gene`` is the number of its keys."""

    def __init__(
        self,
        units: Sequence[GroupSizes],
        log_scale: float | None,
        longest_gene: int,
        key_dtype: np.dtype[Any],
        *,
        tie_correct: bool,
    ) -> None:
        super().__init__([unit.sizes for unit in units], log_scale)
        self._units = units
        self._tie_correct = tie_correct
        self._buffers = new_scratch(longest_gene, wide=_are_wide(key_dtype))

    def _fill(self, sums: SufficientStatistics, keys: Keys, i: int) -> None:
        unit = self._units[i]
        n_tie_sums = 1 if unit.against_rest else unit.sizes.size if self._tie_correct else 0
        sums.tie_sums = np.empty((len(sums.genes), n_tie_sums), dtype=tie_sums_dtype(unit))
        sums.twice_u = np.empty_like(sums.nonzero)
        rank_sums(
            *keys,
            unit.sizes,
            unit.sizes - sums.nonzero,
            unit.reference_code,
            sums.means,
            sums.twice_u,
            sums.tie_sums,
            *self._buffers,
        )
        sums.means /= np.maximum(unit.sizes, 1)


class SortedValues(BlockKernels):
    """Rank sums and A squared, for the Anderson-Darling test, which takes values in order."""

    def __init__(
        self, units: Sequence[GroupSizes], log_scale: float | None, longest_gene: int, key_dtype: np.dtype[Any]
    ) -> None:
        super().__init__([unit.sizes for unit in units], log_scale)
        self._units = units
        first, second, _, histograms, _ = new_scratch(longest_gene, wide=_are_wide(key_dtype))
        most_codes = max(unit.sizes.size for unit in units)
        self._buffers = (first, second, histograms, *new_anderson_scratch(longest_gene, most_codes))

    def _fill(self, sums: SufficientStatistics, keys: Keys, i: int) -> None:
        unit = self._units[i]
        sums.twice_u = np.empty_like(sums.nonzero)
        sums.anderson = np.empty((len(sums.genes), unit.n_groups))
        anderson_darling(
            *keys,
            unit.sizes,
            unit.sizes - sums.nonzero,
            unit.reference_code,
            sums.means,
            sums.twice_u,
            sums.anderson,
            *self._buffers,
        )
        sums.means /= np.maximum(unit.sizes, 1)


def choose_kernels(
    options: TestOptions, units: Sequence[GroupSizes], longest_gene: int, key_dtype: np.dtype[Any]
) -> BlockKernels:
    """Choose the kernels that a test needs, for cells that are ranked unit by unit."""
    log_scale = None if options.mean_in_log_space else options.log_scale
    if options.is_t_test:
        return Moments([unit.sizes for unit in units], log_scale)
    if options.needs_order:
        return SortedValues(units, log_scale, longest_gene, key_dtype)
    return Ranks(units, log_scale, longest_gene, key_dtype, tie_correct=options.tie_correct)


def _are_wide(key_dtype: np.dtype[Any]) -> bool:
    return key_dtype.itemsize > np.dtype(np.uint32).itemsize
