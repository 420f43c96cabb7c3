"""Marker measure: the effects of each scored group over each other one, summarized gene by gene."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.run._block_kernels import PairwiseRanks
from scpdex.run._columns import MatrixColumns, SpilledColumns
from scpdex.run._statistics_table import ComparisonTable, Table
from scpdex.statistics.marker_summaries import combine_pvals, summarize_effects
from scpdex.statistics.pairwise_effects import BlockMean, GroupMoments, PairBlock
from scpdex.statistics.pairwise_tests import PairwiseTest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from scpdex.comparisons.cluster_pairs import ClusterPairs
    from scpdex.comparisons.design import Design, GroupSizes
    from scpdex.machine.scratch_file import Scratch
    from scpdex.run._block_kernels import BlockKernels
    from scpdex.run._columns import Columns
    from scpdex.run._gene_rows import GeneRows
    from scpdex.run._sufficient_statistics import SufficientStatistics
    from scpdex.statistics.marker_options import MarkerOptions


@dataclass(frozen=True)
class MarkerMeasure:
    """Effects of the scored groups, and their summaries.

    The table has four parts: summaries, genes x scored groups; effects, genes x pairs of a scored group and any; the
    AUC of each kept pair; and means, variances and detected fractions of each code. Ranks of genes follow from the last
    two, which are empty where genes are not ranked, as the effects are unless pairs are reported.
    """

    options: MarkerOptions
    pairs: ClusterPairs
    blocks: tuple[PairBlock, ...]
    """Cells of the pairs in each ranking unit."""
    summaries: Mapping[str, NDArray[Any]] | None = None
    """Matrices of the result, variables x scored groups; None on another machine."""
    effects: Mapping[str, NDArray[Any]] | None = None
    """Arrays of the result, variables x pairs; None on another machine."""

    @classmethod
    def of(
        cls,
        design: Design,
        options: MarkerOptions,
        pairs: ClusterPairs,
        summaries: Mapping[str, NDArray[Any]],
        effects: Mapping[str, NDArray[Any]],
    ) -> MarkerMeasure:
        """Measure all pairs of a design."""
        units = design.ranking_units
        blocks = tuple(PairBlock(pairs.first, pairs.second, unit.sizes, len(units) == 1) for unit in units)
        return cls(options, pairs, blocks, summaries, effects)

    transform = None
    only_moments = False

    @property
    def tie_correct(self) -> bool:
        """Whether tie sums are needed."""
        return self.options.pvals

    @property
    def summary_columns(self) -> list[str]:
        """Columns that are computed gene by gene."""
        return [*self.options.summary_columns, *(["pvals_any", "pvals_all"] if self.options.pvals else [])]

    def make_table(self, design: Design, n_genes: int, rows: GeneRows, scratch: Scratch | None) -> Table:
        """Allocate the table of ``n_genes`` of the source; ``scratch`` holds what ranks follow from if it is given."""
        pairs = self.pairs
        parts = [
            _in_result(rows, pairs.scored.size, self.summary_columns, self.summaries),
            _in_result(rows, pairs.first.size, self.options.pairwise_columns, self.effects),
            _until_ranked(rows, pairs.kept.size, self.options.kept_columns, scratch),
            _until_ranked(rows, design.sizes.size, self.options.moment_columns, scratch),
        ]
        return Table.of(parts, n_genes, rows)

    def for_block(self) -> MarkerMeasure:
        """Give the measure of a block of genes on another machine, whose table is copied into that of the call."""
        return replace(self, summaries=None, effects=None)

    def choose_kernels(self, units: Sequence[GroupSizes], longest_gene: int, key_dtype: np.dtype[Any]) -> BlockKernels:
        """Choose the kernels that rank the cells of every pair."""
        return PairwiseRanks(units, self.pairs.rows, longest_gene, key_dtype, tie_correct=self.tie_correct)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def write(
        self,
        sums_of_units: Iterable[SufficientStatistics],
        design: Design,  # noqa: ARG002
        table: Table,
    ) -> None:
        """Write the statistics of a few genes, given their sums in each ranking unit in turn."""
        options, pairs = self.options, self.pairs
        means = [BlockMean(effect) for effect in options.effects]
        test: PairwiseTest | None = None
        moments = []
        for sums, block in zip(sums_of_units, self.blocks, strict=True):
            genes = sums.genes
            run = slice(genes.start, genes.stop)
            table.not_finite[run] += sums.not_finite
            table.are_counts[run], table.highest[run] = sums.are_counts, sums.highest
            moments.append(_moments_of(sums, block.sizes))
            for mean in means:
                mean.add(block, moments[-1], sums.twice_u if mean.effect == "auc" else None)
            if options.pvals:
                test = test or PairwiseTest(len(genes), pairs.first.size)
                test.add(sums.twice_u, sums.tie_sums, block.first_sizes, block.second_sizes)
        effects: dict[str, NDArray[np.float64]] = {mean.effect: mean.mean() for mean in means}
        by_other = (len(genes), pairs.scored.size, pairs.n_groups)
        summaries: dict[str, NDArray[np.float64]] = {}
        with_median = "median" in options.summaries
        for effect, numbers in effects.items():
            of_effect = summarize_effects(numbers.reshape(by_other), with_median=with_median)
            summaries |= {f"{effect}_{summary}": of_genes for summary, of_genes in of_effect.items()}
        if test is not None:
            effects["pvals"] = test.pvals()
            effects["pvals"][:, pairs.first == pairs.second] = np.nan
            combined = combine_pvals(effects["pvals"].reshape(by_other))
            summaries |= {f"pvals_{name}": of_genes for name, of_genes in combined.items()}
        kept = {name: effects[name][:, pairs.kept] for name in options.kept_columns}
        of_codes = {
            name: np.concatenate([getattr(of_unit, name) for of_unit in moments], axis=1)
            for name in options.moment_columns
        }
        for part, columns in zip(table.comparisons, (summaries, effects, kept, of_codes), strict=True):
            part.columns.write(genes, columns)


def _moments_of(sums: SufficientStatistics, sizes: NDArray[np.int64]) -> GroupMoments:
    """Give the moments of all codes of a ranking unit."""
    # One cell has no spread.
    variances = sums.squares / np.maximum(sizes - 1, 1)
    return GroupMoments(sums.means, variances, sums.nonzero / np.maximum(sizes, 1))


def _in_result(
    rows: GeneRows, n_columns: int, names: Iterable[str], matrices: Mapping[str, NDArray[Any]] | None
) -> ComparisonTable:
    """Make a part of the table whose columns are matrices of the result, or others on another machine."""
    if matrices is None:
        columns = MatrixColumns.empty(rows, n_columns, dict.fromkeys(names, np.float64))
    else:
        columns = MatrixColumns({name: matrices[name] for name in names}, rows)
    return ComparisonTable(n_columns, columns, None, None)


def _until_ranked(rows: GeneRows, n_columns: int, names: Iterable[str], scratch: Scratch | None) -> ComparisonTable:
    """Make a part of the table that is kept until genes are ranked, in scratch if that is given."""
    dtypes = dict.fromkeys(names, np.float64)
    columns: Columns = MatrixColumns.empty(rows, n_columns, dtypes)
    if scratch is not None:
        columns = SpilledColumns(scratch, rows, n_columns, dtypes)
    return ComparisonTable(n_columns, columns, None, None)
