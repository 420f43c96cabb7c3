"""Requirements: what a test asks of the plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What a test needs of the values, and the sizes of what it reports."""

    description: str
    """What the kernels do with the values, in two words."""
    n_groups: int
    """Tested groups, of all levels."""
    n_codes: int
    """Groups and references, of all levels and strata."""
    most_numbers_per_gene: int
    """Numbers of a gene that are made together: the codes, or pairs of codes, of the level or stratum with most."""
    ranks_all_cells_together: bool
    """Whether all cells are ranked in one go, rather than those of each level or stratum."""
    only_moments: bool
    """Whether means and squared deviations are all that the test needs."""
    sums_transformed: bool
    """Whether sums of transformed values are needed too."""
    exact_tie_sums: bool
    """Whether tie sums are whole numbers that 64 bits hold, which may be added up in any order."""
    sorts_values: bool
    """Whether the test needs the values of a gene in order, one by one."""
    bytes_per_pair: int
    """Bytes of the statistics of a gene and group beyond the result, until genes are ordered."""
    bytes_per_pair_to_order: int
    """Bytes of the statistics of a gene and group that are read when genes are ordered; 0 where they are not."""
    bytes_per_pair_to_adjust: int
    """Bytes per gene and group, beyond the result, that adjusting all p-values together takes."""
    normalizes: bool
    """Whether values are divided by library sizes, or logged, while they are read."""
    takes_median: bool = False
    """Whether values are divided by library sizes that have the median of all cells, which takes a pass before."""
    numbers_values: bool = False
    """Whether the test numbers the distinct values of a gene, which takes buffers beyond those of a sort."""
    bytes_per_row_to_write: int = 0
    """Bytes of a row of the long table on its way to a file; 0 where the result stays in memory."""

    def can_use_tallies(self, *, are_counts: bool) -> bool:
        """Tell whether ranks follow from how often each whole number occurs in each gene."""
        can_be_tallied = self.ranks_all_cells_together and self.exact_tie_sums
        return are_counts and can_be_tallied and not self.normalizes and not self.sorts_values
