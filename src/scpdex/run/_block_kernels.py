"""Block statistics: the kernels that turn the keys of a few genes into sufficient statistics, one object per thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scpdex.kernels.anderson_darling_sums import anderson_darling, new_anderson_scratch
from scpdex.kernels.key_ranges import measure_keys
from scpdex.kernels.moments import are_counts, count_not_finite, group_moments, group_transformed_sums
from scpdex.kernels.pairwise_ranks import rank_pairs
from scpdex.kernels.placements import square_placements
from scpdex.kernels.rank_sums import new_scratch, rank_sums
from scpdex.run._sufficient_statistics import SufficientStatistics, squares_dtype, tie_sums_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from scpdex.comparisons.design import GroupSizes
    from scpdex.kernels.key_ranges import KeyRanges
    from scpdex.matrix import GeneBlock
    from scpdex.statistics.options import TestOptions
    from scpdex.statistics.value_transform import ValueTransform


class UnitKeys(NamedTuple):
    """The keys of a ranking unit in a block of genes."""

    block: tuple[NDArray[Any], NDArray[np.int64], NDArray[np.uint32]]
    """Keys, where each gene's start, and where each group's end."""
    ranges: KeyRanges


class BlockKernels(ABC):
    """Adds up the cells of each group, for each gene of a block.

    ``sizes`` are the cells of each code, an array for each ranking unit, whose codes follow one another. ``transform``
    is that of a second mean; None leaves that out.
    """

    def __init__(self, sizes: Sequence[NDArray[np.int64]], transform: ValueTransform | None) -> None:
        self._sizes = sizes
        self._transform = transform
        self._may_be_counts = True

    def add_up(self, block: GeneBlock) -> Iterator[SufficientStatistics]:
        """Give the sufficient statistics of each ranking unit in turn."""
        are_counts = self._are_counts(block)
        ranges, highest = measure_keys(block.keys, block.starts, np.ascontiguousarray(block.ends[:, -1]))
        first_code = 0
        for i, sizes in enumerate(self._sizes):
            stop = first_code + sizes.size
            sums = self._add_up_unit(block.select_codes(first_code, stop), i, ranges)
            sums.are_counts, sums.highest = are_counts, highest
            yield sums
            first_code = stop

    def _add_up_unit(self, block: GeneBlock, i: int, ranges: KeyRanges) -> SufficientStatistics:
        """Add up the ``i``-th ranking unit."""
        nonzero = block.ends.astype(np.int64)
        nonzero[:, 1:] -= block.ends[:, :-1]
        sums = SufficientStatistics(block.genes, nonzero, np.empty(nonzero.shape))
        unit = UnitKeys((block.keys, block.starts, block.ends), ranges)
        self._fill(sums, unit, i)
        if self._transform is not None:
            sums.transformed = np.empty_like(sums.means)
            group_transformed_sums(*unit.block, self._transform.log_scale, sums.transformed)
        sums.not_finite = np.zeros(len(block.genes), dtype=np.int64)
        # NaN and infinite values show in the means.
        for g in np.flatnonzero(~np.isfinite(sums.means).all(axis=1)).tolist():
            sums.not_finite[g] = count_not_finite(block.gene_keys(g))
        return sums

    @abstractmethod
    def _fill(self, sums: SufficientStatistics, unit: UnitKeys, i: int) -> None:
        """Fill in what the test needs of the ``i``-th ranking unit, the means at least."""

    def _are_counts(self, block: GeneBlock) -> bool:
        """Tell whether all values look like raw counts; the answer stays False once it is."""
        if self._may_be_counts:
            self._may_be_counts = all(are_counts(block.gene_keys(g)) for g in range(len(block.genes)))
        return self._may_be_counts


class Moments(BlockKernels):
    """Means and squared deviations, for t-tests."""

    def _fill(self, sums: SufficientStatistics, unit: UnitKeys, i: int) -> None:
        sums.squares = np.empty_like(sums.means)
        group_moments(*unit.block, self._sizes[i], sums.means, sums.squares)


class Ranks(BlockKernels):
    """Rank sums and tie sums, for the Wilcoxon test; ``longest_gene`` is the number of its keys."""

    def __init__(
        self,
        units: Sequence[GroupSizes],
        transform: ValueTransform | None,
        longest_gene: int,
        key_dtype: np.dtype[Any],
        *,
        tie_correct: bool,
    ) -> None:
        super().__init__([unit.sizes for unit in units], transform)
        self._units = units
        self._tie_correct = tie_correct
        self._scratch = new_scratch(longest_gene, wide=_are_wide(key_dtype))

    def _fill(self, sums: SufficientStatistics, unit: UnitKeys, i: int) -> None:
        sizes = self._units[i]
        sums.twice_u = np.empty_like(sums.nonzero)
        if self._tie_correct:
            n_tie_sums = 1 if sizes.against_rest else sizes.sizes.size
            sums.tie_sums = np.empty((len(sums.genes), n_tie_sums), dtype=tie_sums_dtype(sizes))
        self._rank(sums, unit, sizes, sums.tie_sums if self._tie_correct else None)
        sums.means /= np.maximum(sizes.sizes, 1)

    def _rank(
        self, sums: SufficientStatistics, unit: UnitKeys, sizes: GroupSizes, tie_sums: NDArray[Any] | None
    ) -> None:
        rank_sums(*_ranking_arguments(sums, unit, sizes), tie_sums, self._scratch)


class Placements(Ranks):
    """Rank sums, tie sums and squared placements, for the Brunner-Munzel test and standard errors of the AUC."""

    def _rank(
        self, sums: SufficientStatistics, unit: UnitKeys, sizes: GroupSizes, tie_sums: NDArray[Any] | None
    ) -> None:
        first, second, _, histograms, _ = self._scratch
        sums.group_squares = np.empty(sums.nonzero.shape, dtype=squares_dtype(sizes))
        sums.other_squares = np.empty_like(sums.group_squares)
        squares = (sums.group_squares, sums.other_squares)
        square_placements(*_ranking_arguments(sums, unit, sizes), tie_sums, *squares, (first, second, histograms))


class SortedValues(BlockKernels):
    """Rank sums and A squared, for the Anderson-Darling test, which takes values in order."""

    def __init__(
        self, units: Sequence[GroupSizes], transform: ValueTransform | None, longest_gene: int, key_dtype: np.dtype[Any]
    ) -> None:
        super().__init__([unit.sizes for unit in units], transform)
        self._units = units
        first, second, _, histograms, _ = new_scratch(longest_gene, wide=_are_wide(key_dtype))
        most_codes = max(unit.sizes.size for unit in units)
        self._buffers = (first, second, histograms, *new_anderson_scratch(longest_gene, most_codes))

    def _fill(self, sums: SufficientStatistics, unit: UnitKeys, i: int) -> None:
        sizes = self._units[i]
        sums.twice_u = np.empty_like(sums.nonzero)
        sums.anderson = np.empty((len(sums.genes), sizes.n_groups))
        anderson_darling(*_ranking_arguments(sums, unit, sizes), sums.anderson, self._buffers)
        sums.means /= np.maximum(sizes.sizes, 1)


class PairwiseRanks(BlockKernels):
    """Means, squared deviations, and U and tie sums of every pair: of each group that has a row with every group."""

    def __init__(
        self,
        units: Sequence[GroupSizes],
        rows: NDArray[np.int64],
        longest_gene: int,
        key_dtype: np.dtype[Any],
        *,
        tie_correct: bool,
    ) -> None:
        super().__init__([unit.sizes for unit in units], None)
        self._units = units
        self._rows = rows
        self._tie_correct = tie_correct
        first, second, _, histograms, _ = new_scratch(longest_gene, wide=_are_wide(key_dtype))
        self._buffers = (first, second, histograms)

    def _fill(self, sums: SufficientStatistics, unit: UnitKeys, i: int) -> None:
        sizes = self._units[i]
        sums.squares = np.empty_like(sums.means)
        group_moments(*unit.block, sizes.sizes, sums.means, sums.squares)
        shape = (len(sums.genes), np.count_nonzero(self._rows >= 0), self._rows.size)
        twice_u = np.empty(shape, dtype=np.int64)
        tie_sums = np.empty(shape, dtype=tie_sums_dtype(sizes)) if self._tie_correct else None
        zeros = sizes.sizes - sums.nonzero
        rank_pairs(*unit.block, unit.ranges, zeros, self._rows, twice_u, tie_sums, self._buffers)
        sums.twice_u = twice_u.reshape(len(sums.genes), -1)
        if tie_sums is not None:
            sums.tie_sums = tie_sums.reshape(len(sums.genes), -1)


def _ranking_arguments(
    sums: SufficientStatistics, unit: UnitKeys, sizes: GroupSizes
) -> tuple[
    NDArray[Any],
    NDArray[np.int64],
    NDArray[np.uint32],
    KeyRanges,
    NDArray[np.int64],
    NDArray[np.int64],
    int | None,
    NDArray[np.float64],
    NDArray[np.int64],
]:
    """List the arguments that all kernels of ranks begin with; sums of values are written to the means."""
    zeros = sizes.sizes - sums.nonzero
    return *unit.block, unit.ranges, sizes.sizes, zeros, sizes.reference_code, sums.means, sums.twice_u


def choose_kernels(
    options: TestOptions, units: Sequence[GroupSizes], longest_gene: int, key_dtype: np.dtype[Any]
) -> BlockKernels:
    """Choose the kernels that a test needs, for cells that are ranked unit by unit."""
    transform = options.transform
    if options.is_t_test:
        return Moments([unit.sizes for unit in units], transform)
    if options.method == "anderson":
        return SortedValues(units, transform, longest_gene, key_dtype)
    kernels = Placements if options.needs_placements else Ranks
    return kernels(units, transform, longest_gene, key_dtype, tie_correct=options.tie_correct)


def _are_wide(key_dtype: np.dtype[Any]) -> bool:
    return key_dtype.itemsize > np.dtype(np.uint32).itemsize
