"""Marker measure: the effects of each scored group over each other one, summarized gene by gene."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.run._block_kernels import PairwiseRanks
from scpdex.run._columns import MatrixColumns, SpilledColumns
from scpdex.run._statistics_table import ComparisonTable, Table
from scpdex.statistics.marker_summaries import combine_pvals, summarize_effects
from scpdex.statistics.pairwise_effects import BlockMean, GroupMoments, estimate_effect, weigh_pairs
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

Numbers = dict[str, "NDArray[Any]"]


@dataclass(frozen=True)
class MarkerMeasure:
    """Effects of the scored groups, and their summaries.

    The table has four parts: summaries, genes x scored groups; effects, genes x pairs of a scored group and any; the
    AUC of each kept pair; and means, variances and detected fractions of each code. Ranks of genes follow from the last
    two, which are empty where genes are not ranked, as the effects are unless pairs are reported.
    """

    options: MarkerOptions
    pairs: ClusterPairs
    summaries: Mapping[str, NDArray[Any]] | None = None
    """Matrices of the result, variables x scored groups; None on another machine."""
    effects: Mapping[str, NDArray[Any]] | None = None
    """Arrays of the result, variables x pairs; None on another machine."""

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

    @property
    def effect_columns(self) -> list[str]:
        """Columns of each pair that are reported."""
        return self.options.pairwise_columns

    def make_table(self, design: Design, n_genes: int, rows: GeneRows, scratch: Scratch | None) -> Table:
        """Allocate the table of ``n_genes`` of the source; ``scratch`` holds what ranks follow from if it is given."""
        n_scored = self.pairs.scored.size
        parts = [
            _in_result(rows, n_scored, self.summary_columns, self.summaries),
            _in_result(rows, n_scored * self.pairs.n_groups, self.effect_columns, self.effects),
            _until_ranked(rows, self.pairs.first_rows.size, self.options.kept_columns, scratch),
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
    def write(self, sums_of_units: Iterable[SufficientStatistics], design: Design, table: Table) -> None:
        """Write the statistics of a few genes, given their sums in each ranking unit in turn."""
        options, units = self.options, design.ranking_units
        means = {effect: BlockMean() for effect in options.effects}
        test: PairwiseTest | None = None
        moments = []
        for sums, unit in zip(sums_of_units, units, strict=True):
            genes = sums.genes
            run = slice(genes.start, genes.stop)
            table.not_finite[run] += sums.not_finite
            table.are_counts[run], table.highest[run] = sums.are_counts, sums.highest
            of_unit = _moments_of(sums, unit.sizes)
            moments.append(of_unit)
            first = of_unit.take(np.s_[self.pairs.scored, None])
            second = of_unit.take(np.s_[None, :])
            auc = sums.twice_u / np.maximum(2 * first.sizes * second.sizes, 1)
            for effect, mean in means.items():
                weights = weigh_pairs(first.sizes, second.sizes, effect, is_only_block=len(units) == 1)
                weights[self.pairs.is_self] = 0
                mean.add(estimate_effect(effect, auc, first, second), weights)
            if options.pvals and test is None:
                test = PairwiseTest(*sums.twice_u.shape)
            if test is not None:
                test.add(sums.twice_u, sums.tie_sums, first.sizes, second.sizes)
        effects: Numbers = {effect: mean.mean() for effect, mean in means.items()}
        summaries: Numbers = {}
        with_median = "median" in options.summaries
        for effect in options.effects:
            for summary, numbers in summarize_effects(effects[effect], with_median=with_median).items():
                summaries[f"{effect}_{summary}"] = numbers
        if test is not None:
            pvals = test.pvals()
            pvals[:, self.pairs.is_self] = np.nan
            effects["pvals"] = pvals
            summaries |= {f"pvals_{name}": combined for name, combined in combine_pvals(pvals).items()}
        by_pair = {name: effect.reshape(len(genes), -1) for name, effect in effects.items()}
        kept = {name: effect[:, self.pairs.first_rows, self.pairs.second_codes] for name, effect in effects.items()}
        of_codes = {
            name: np.concatenate([getattr(of_unit, name) for of_unit in moments], axis=1)
            for name in options.moment_columns
        }
        for part, columns in zip(table.comparisons, (summaries, by_pair, kept, of_codes), strict=True):
            part.columns.write(genes, columns)


def _moments_of(sums: SufficientStatistics, sizes: NDArray[np.int64]) -> GroupMoments:
    """Give the moments of all codes of a ranking unit."""
    # One cell has no spread.
    variances = sums.squares / np.maximum(sizes - 1, 1)
    return GroupMoments(sizes, sums.means, variances, sums.nonzero / np.maximum(sizes, 1))


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
