"""Gene statistics: from the sufficient statistics of a few genes to the reported columns of each group."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.run._apply_tests import estimate_auc_of_sums, test_strata, test_sums
from scpdex.statistics.fold_change import log2_fold_changes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Comparison, Design
    from scpdex.run._statistics_table import Table
    from scpdex.run._sufficient_statistics import SufficientStatistics
    from scpdex.statistics.brunner_munzel import AucEstimate
    from scpdex.statistics.options import TestOptions
    from scpdex.statistics.scores import TestResult


# Sums of the largest values are infinite, and so are their means: results that are undefined then are NaN.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def write_statistics(
    sums_of_ranked: Iterable[SufficientStatistics], design: Design, options: TestOptions, table: Table
) -> None:
    """Test a few genes, and write their statistics to ``table``.

    ``sums_of_ranked`` yields the sufficient statistics of each set of cells that are ranked together, in the order of
    the design, so that one set is in memory at a time.
    """
    in_turn = iter(sums_of_ranked)
    for comparison, comparison_table in zip(design.comparisons, table.comparisons, strict=True):
        auc = None
        if comparison.stratum_sizes:
            tested, sums = test_strata(islice(in_turn, len(comparison.stratum_sizes)), comparison, options)
        else:
            sums = next(in_turn)
            auc = estimate_auc_of_sums(sums, comparison, options)
            tested = test_sums(sums, auc, comparison, options)
        genes = slice(sums.genes.start, sums.genes.stop)
        table.not_finite[genes] += sums.not_finite
        table.are_counts[genes], table.highest[genes] = sums.are_counts, sums.highest
        statistics = GeneStatistics(tested, sums, auc, comparison, options)
        columns = statistics.columns()
        if "logfoldchanges" in columns:
            overflows, undefined = statistics.count_missing_fold_changes(columns["logfoldchanges"])
            table.overflows[genes] += overflows
            table.undefined[genes] += undefined
        if options.filters:
            columns = statistics.filtered(columns)
        rows = table.rows.index(sums.genes)
        if comparison_table.fractions is not None:
            comparison_table.fractions[rows] = statistics.fractions[:, list(comparison.selected_codes)]
        if comparison_table.rest_fractions is not None:
            comparison_table.rest_fractions[rows] = statistics.other_fractions
        comparison_table.columns.write(sums.genes, columns)


class GeneStatistics:
    """Statistics of a few genes and the groups of one comparison, genes x groups: the inputs of reported columns."""

    def __init__(
        self,
        tested: TestResult,
        sums: SufficientStatistics,
        auc: AucEstimate | None,
        comparison: Comparison,
        options: TestOptions,
    ) -> None:
        self.tested = tested
        self.sums = sums
        self._auc = auc
        self.comparison = comparison
        self.options = options
        self.log_scale = options.log_scale if options.mean_in_log_space else None

    @cached_property
    def u(self) -> NDArray[np.float64]:
        """Mann and Whitney's U, within strata; of rank tests only."""
        return np.asarray(self.sums.twice_u[:, : self.comparison.n_groups] / 2)

    @property
    def auc_standard_error(self) -> NDArray[np.float64]:
        """Standard error of the AUC."""
        return self._auc_estimate.standard_error

    @cached_property
    def auc_interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends of the confidence interval of the AUC."""
        return self._auc_estimate.interval(self.options.confidence)

    @property
    def _auc_estimate(self) -> AucEstimate:
        assert self._auc is not None, "a column asks for it"  # noqa: S101
        return self._auc

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean of the values as they are."""
        return self.sums.means[:, : self.comparison.n_groups]

    @cached_property
    def other_means(self) -> NDArray[np.float64]:
        """Mean of the values that each group is compared with, genes x groups or genes x 1."""
        return _means_of_others(self.sums.means, self.comparison)

    @property
    def fold_change_means(self) -> NDArray[np.float64]:
        """Mean that fold changes compare: of the values as they are, or of ``expm1`` of them."""
        return self._fold_change_means_of_codes[:, : self.comparison.n_groups]

    @cached_property
    def fold_changes(self) -> NDArray[np.float32]:
        """Log2 fold changes."""
        comparison = self.comparison
        changes = np.empty(self.means.shape, dtype=np.float32)
        log2_fold_changes(
            self._fold_change_means_of_codes,
            self.sums.nonzero,
            comparison.sizes,
            comparison.other_sizes,
            comparison.size_classes,
            comparison.against_rest,
            self.log_scale,
            changes,
            np.empty(comparison.sizes.size),
            np.full((2, comparison.n_groups), -1),
        )
        return changes

    @cached_property
    def other_fold_change_means(self) -> NDArray[np.float64]:
        """The mean that fold changes compare of the cells that each group is compared with."""
        return _means_of_others(self._fold_change_means_of_codes, self.comparison)

    @cached_property
    def _fold_change_means_of_codes(self) -> NDArray[np.float64]:
        """Mean that fold changes compare, genes x codes."""
        return self.sums.means if self.options.mean_in_log_space else self._transformed_means_of_codes

    @property
    def transformed_means(self) -> NDArray[np.float64]:
        """Mean of the transformed values."""
        return self._transformed_means_of_codes[:, : self.comparison.n_groups]

    @cached_property
    def other_transformed_means(self) -> NDArray[np.float64]:
        """Mean of the transformed values that each group is compared with, genes x groups or genes x 1."""
        return _means_of_others(self._transformed_means_of_codes, self.comparison)

    @cached_property
    def _transformed_means_of_codes(self) -> NDArray[np.float64]:
        """Mean of the transformed values, genes x codes."""
        assert self.sums.transformed is not None, "a column asks for them"  # noqa: S101
        return np.asarray(self.sums.transformed / np.maximum(self.comparison.sizes, 1))

    @cached_property
    def fractions(self) -> NDArray[np.float64]:
        """Fraction of non-zero cells, genes x codes."""
        return np.asarray(self.sums.nonzero / np.maximum(self.comparison.sizes, 1))

    @property
    def group_fractions(self) -> NDArray[np.float64]:
        """Fraction of non-zero cells in each group, genes x groups."""
        return self.fractions[:, : self.comparison.n_groups]

    @property
    def other_fractions(self) -> NDArray[np.float64]:
        """Fraction of non-zero cells among those that each group is compared with, genes x groups or genes x 1."""
        if not self.comparison.against_rest:
            return self.fractions[:, self.comparison.n_groups :]
        rest = self.sums.nonzero.sum(axis=1, keepdims=True) - self.sums.nonzero[:, : self.comparison.n_groups]
        return np.asarray(rest / self.comparison.other_sizes)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Compute the reported columns, genes x groups or, where all groups share the number, genes x 1."""
        return {column.name: column.formula(self) for column in self.options.reported if column.formula is not None}

    def count_missing_fold_changes(self, changes: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Count log fold changes of each gene that have a mean count beyond float64, and others that are NaN."""
        if np.isfinite(changes).all():
            none = np.zeros(changes.shape[0], dtype=np.int64)
            return none, none
        infinite = [
            np.isposinf(means if self.log_scale is None else np.expm1(means * self.log_scale))
            for means in (self.fold_change_means, self.other_fold_change_means)
        ]
        overflow = infinite[0] | infinite[1]
        return overflow.sum(axis=1), (np.isnan(changes) & ~overflow).sum(axis=1)

    def filtered(self, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Replace the numbers of genes that a group leaves untested by NaN, as Seurat filters before it tests."""
        options, change = self.options, columns["logfoldchanges"]
        passing = np.ones(change.shape, dtype=np.bool_)
        if options.min_pct is not None:
            # A rest without cells has NaN: fmax takes the group's own fraction.
            highest = np.fmax(self.group_fractions, self.other_fractions)
            passing &= highest >= options.min_pct
        if options.min_logfc is not None:
            passing &= np.abs(change) >= options.min_logfc
        return {name: np.where(passing, values, values.dtype.type(np.nan)) for name, values in columns.items()}


def _means_of_others(means: NDArray[np.float64], comparison: Comparison) -> NDArray[np.float64]:
    """Mean of the cells that each group is compared with, genes x groups or genes x 1.

    The rest of a group is added up from the groups before it and those after it, never by subtraction.
    """
    n_groups = comparison.n_groups
    if not comparison.against_rest:
        return means[:, n_groups:]
    sums = means * comparison.sizes
    rest = np.zeros_like(sums)
    np.cumsum(sums[:, :-1], axis=1, out=rest[:, 1:])
    rest[:, :-1] += np.cumsum(sums[:, :0:-1], axis=1)[:, ::-1]
    return np.asarray(rest[:, :n_groups] / comparison.other_sizes)
