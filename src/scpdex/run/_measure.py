"""Measure: what a call computes of genes whose cells are all together; strategies bring these together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from scpdex.comparisons.design import Design, GroupSizes
    from scpdex.machine.scratch_file import Scratch
    from scpdex.run._block_kernels import BlockKernels
    from scpdex.run._gene_rows import GeneRows
    from scpdex.run._statistics_table import Table
    from scpdex.run._sufficient_statistics import SufficientStatistics
    from scpdex.statistics.value_transform import ValueTransform


class Measure(Protocol):
    """Statistics of each gene and group, from the kernels that add up values to the table."""

    @property
    def transform(self) -> ValueTransform | None:
        """Transform of the values of a second mean; None leaves that out."""

    @property
    def only_moments(self) -> bool:
        """Whether means and squared deviations are all that is needed."""

    @property
    def tie_correct(self) -> bool:
        """Whether tie sums are needed."""

    def make_table(self, design: Design, n_genes: int, rows: GeneRows, scratch: Scratch | None) -> Table:
        """Allocate the table of ``n_genes`` of the source; ``scratch`` holds its columns if it is given."""

    def for_block(self) -> Measure:
        """Give the measure of a block of genes on another machine, whose table is copied into that of the call."""

    def choose_kernels(self, units: Sequence[GroupSizes], longest_gene: int, key_dtype: np.dtype[Any]) -> BlockKernels:
        """Choose the kernels that add up values, for cells that are ranked unit by unit."""

    def write(self, sums_of_units: Iterable[SufficientStatistics], design: Design, table: Table) -> None:
        """Write the statistics of a few genes, given their sums in each ranking unit in turn."""
