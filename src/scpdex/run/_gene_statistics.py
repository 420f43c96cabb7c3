"""Conclude: from the sums of a few genes to what is reported of each group, written to the table."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.run._tests import test_strata, test_sums
from scpdex.statistics.fold_change import log2_fold_change

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Comparison, Design
    from scpdex.run._statistics_table import Statistics, Table
    from scpdex.run._sufficient_statistics import SufficientStatistics
    from scpdex.run._tests import TestResult
    from scpdex.statistics.options import TestOptions


# Sums of the largest values are infinite, and so are means: what follows from these is undefined, and told as NaN.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def write_statistics(
    of_ranked: Iterable[SufficientStatistics], design: Design, options: TestOptions, table: Table, part: Statistics
) -> None:
    """Test, and write what came out to ``table`` and to the block's ``part`` of it.

    ``of_ranked`` are the sums of the cells that are ranked together, in the order of the design; each is taken when its
    turn comes, so that no more than one need be there.
    """
    in_turn = iter(of_ranked)
    for comparison, groups, codes in design.comparison_slices():
        if comparison.stratum_sizes:
            tested, sums = test_strata(islice(in_turn, len(comparison.stratum_sizes)), comparison, options)
        else:
            sums = next(in_turn)
            tested = test_sums(sums, comparison, options)
        genes = slice(sums.genes.start, sums.genes.stop)
        of_part = slice(genes.start - part.genes.start, genes.stop - part.genes.start)
        table.not_finite[genes] += sums.not_finite
        table.are_counts[genes], table.highest[genes] = sums.are_counts, sums.highest
        found = GeneStatistics(tested, sums, comparison, options)
        columns = found.columns()
        if "logfoldchanges" in columns:
            overflows, undefined = found.count_missing_fold_changes(columns["logfoldchanges"])
            table.overflows[genes] += overflows
            table.undefined[genes] += undefined
        if options.filters:
            columns = found.filtered(columns)
        if table.reference_means is not None:
            table.reference_means[genes] = found.means[:, comparison.reference_code]
        if table.fractions is not None:
            table.fractions[codes, genes] = found.fractions.T
        if table.rest_fractions is not None:
            table.rest_fractions[groups, genes] = found.other_fractions.T
        for name, written in part.columns.items():
            written[groups, of_part] = columns[name].T


class GeneStatistics:
    """What follows from the sums of the cells of a comparison, and from what was tested of them."""

    def __init__(
        self, tested: TestResult, sums: SufficientStatistics, comparison: Comparison, options: TestOptions
    ) -> None:
        self.tested = tested
        self.sums = sums
        self.comparison = comparison
        self.options = options
        sizes = np.maximum(comparison.sizes, 1)
        self.means = sums.means if sums.expm1 is None else sums.expm1 / sizes
        self.log_scale = options.log_scale if sums.expm1 is None else None
        self.fractions = sums.nonzero / sizes

    @property
    def other_fractions(self) -> NDArray[np.float64]:
        """Give the fraction of non-zero cells in what each group is compared with, genes x groups or genes x 1."""
        if not self.comparison.against_rest:
            return self.fractions[:, self.comparison.n_groups :]
        rest = self.sums.nonzero.sum(axis=1, keepdims=True) - self.sums.nonzero[:, : self.comparison.n_groups]
        return np.asarray(rest / self.comparison.other_sizes)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Give what may be reported, genes x groups."""
        comparison, options, tested = self.comparison, self.options, self.tested
        n_groups = comparison.n_groups
        if options.as_measured:
            return {"statistics": tested.statistics, "pvals": tested.pvals, "means": self.means[:, :n_groups]}
        change = log2_fold_change(self.means[:, :n_groups], _others(self.means, comparison), self.log_scale)
        columns: dict[str, NDArray[Any]] = {
            "scores": tested.scores,
            "pvals": tested.pvals,
            "logfoldchanges": change,
        }
        if tested.log10_pvals is not None:
            columns["log10_pvals"] = tested.log10_pvals
        if {"auc", "u"} & set(options.extras):
            u = self.sums.twice_u[:, :n_groups] / 2
            columns |= {"u": u, "auc": u / comparison.n_pairs}
        if "means" in options.extras:
            columns["means"] = self.sums.means[:, :n_groups]
            columns["means_reference"] = np.broadcast_to(_others(self.sums.means, comparison), change.shape)
        return columns

    def count_missing_fold_changes(self, changes: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Count log fold changes of each gene that have a mean count beyond float64, and others that are NaN."""
        if np.isfinite(changes).all():
            none = np.zeros(changes.shape[0], dtype=np.int64)
            return none, none
        infinite = [
            np.isposinf(means if self.log_scale is None else np.expm1(means * self.log_scale))
            for means in (self.means[:, : self.comparison.n_groups], _others(self.means, self.comparison))
        ]
        overflow = infinite[0] | infinite[1]
        return overflow.sum(axis=1), (np.isnan(changes) & ~overflow).sum(axis=1)

    def filtered(self, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Make NaN of the numbers of genes that are left untested in a group, as Seurat does before it tests."""
        options, change = self.options, columns["logfoldchanges"]
        passing = np.ones(change.shape, dtype=np.bool_)
        if options.min_pct is not None:
            # Without a rest there is only the group's own fraction.
            highest = np.fmax(self.fractions[:, : self.comparison.n_groups], self.other_fractions)
            passing &= highest >= options.min_pct
        if options.min_logfc is not None:
            passing &= np.abs(change) >= options.min_logfc
        return {name: np.where(passing, values, values.dtype.type(np.nan)) for name, values in columns.items()}


def _others(means: NDArray[np.float64], comparison: Comparison) -> NDArray[np.float64]:
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
