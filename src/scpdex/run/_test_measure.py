"""Test measure: each group is tested against the rest or a reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scpdex.run._block_kernels import choose_kernels
from scpdex.run._gene_statistics import write_statistics
from scpdex.run._statistics_table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from scpdex.comparisons.design import Design, GroupSizes
    from scpdex.machine.scratch_file import Scratch
    from scpdex.results import ResultLayout
    from scpdex.run._block_kernels import BlockKernels
    from scpdex.run._gene_rows import GeneRows
    from scpdex.run._sufficient_statistics import SufficientStatistics
    from scpdex.statistics.options import TestOptions
    from scpdex.statistics.value_transform import ValueTransform


@dataclass(frozen=True)
class TestMeasure:
    """The test of the options, and the columns that they report."""

    options: TestOptions
    targets: Sequence[ResultLayout] = ()
    """Results of the comparisons, whose matrices are the table's unless that is in scratch."""

    @property
    def transform(self) -> ValueTransform | None:
        """Transform of the values of a second mean; None leaves that out."""
        return self.options.transform

    @property
    def only_moments(self) -> bool:
        """Whether means and squared deviations are all that is needed."""
        return self.options.is_t_test

    @property
    def tie_correct(self) -> bool:
        """Whether tie sums are needed."""
        return self.options.tie_correct

    def make_table(self, design: Design, n_genes: int, rows: GeneRows, scratch: Scratch | None) -> Table:
        """Allocate the table of ``n_genes`` of the source; ``scratch`` holds its columns if it is given."""
        return Table.empty(design, self.options, n_genes, rows, targets=self.targets, scratch=scratch)

    def for_block(self) -> TestMeasure:
        """Give the measure of a block of genes on another machine, whose table is copied into that of the call."""
        return replace(self, targets=())

    def choose_kernels(self, units: Sequence[GroupSizes], longest_gene: int, key_dtype: np.dtype[Any]) -> BlockKernels:
        """Choose the kernels that the test needs."""
        return choose_kernels(self.options, units, longest_gene, key_dtype)

    def write(self, sums_of_units: Iterable[SufficientStatistics], design: Design, table: Table) -> None:
        """Test a few genes, and write their statistics."""
        write_statistics(sums_of_units, design, self.options, table)
