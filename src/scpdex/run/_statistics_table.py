"""Statistics table, which all threads write to: the numbers of each gene, of each comparison's groups and of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scpdex.run._columns import MatrixColumns, SpilledColumns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Comparison, Design
    from scpdex.machine.scratch_file import Scratch
    from scpdex.results import ResultLayout
    from scpdex.run._columns import Columns
    from scpdex.run._gene_rows import GeneRows
    from scpdex.statistics.options import TestOptions

# Until genes are ordered, scores wait in double precision in the place of the adjusted p-values.
_PLACE_OF_COLUMN = {"scores": "pvals_adj"}


@dataclass(frozen=True)
class ComparisonTable:
    """Numbers of each gene and the groups of one comparison."""

    n_groups: int
    columns: Columns
    fractions: NDArray[np.float64] | None
    """Fraction of non-zero cells, rows x the selected codes in scanpy's order; None unless the result has fractions."""
    rest_fractions: NDArray[np.float64] | None
    """Fraction of non-zero cells in the rest of each group, rows x groups; None without fractions or a rest."""

    @classmethod
    def empty(
        cls,
        comparison: Comparison,
        options: TestOptions,
        rows: GeneRows,
        target: ResultLayout | None,
        scratch: Scratch | None,
    ) -> ComparisonTable:
        """Allocate the columns: in ``scratch``, as matrices of the ``target``, or as others."""
        n_groups = comparison.n_groups
        columns: Columns
        if scratch is not None:
            columns = SpilledColumns(scratch, rows, n_groups, options.columns)
        elif target is not None:
            matrices = target.statistics
            columns = MatrixColumns(
                {name: matrices[_PLACE_OF_COLUMN.get(name, name)] for name in options.columns}, rows
            )
        else:
            columns = MatrixColumns.empty(rows, n_groups, options.columns)
        with_rest = options.has_fraction_tables and comparison.against_rest
        return cls(
            n_groups,
            columns,
            _without_numbers(rows, len(comparison.selected_codes)) if options.has_fraction_tables else None,
            _without_numbers(rows, n_groups) if with_rest else None,
        )

    def end(self, rows: GeneRows) -> None:
        """End the last block."""
        self.columns.end()
        for fractions in (self.fractions, self.rest_fractions):
            if fractions is not None:
                rows.repeat(fractions)


@dataclass(frozen=True)
class Table:
    """Statistics of each gene. Arrays with one number for each gene are in the source's order."""

    rows: GeneRows
    comparisons: tuple[ComparisonTable, ...]
    not_finite: NDArray[np.int64]
    """NaN and infinite values of each gene among the compared cells."""
    are_counts: NDArray[np.bool_]
    """Whether a gene's values are whole and none is negative; False without a check after the first gene that fails."""
    highest: NDArray[np.float64]
    """Highest value of each gene, or 0 if that is higher."""
    undefined: NDArray[np.int64]
    """Number of log fold changes of each gene that are NaN without an overflow."""
    overflows: NDArray[np.int64]
    """Number of log fold changes of each gene that have a mean count beyond float64."""

    @classmethod
    def empty(
        cls,
        design: Design,
        options: TestOptions,
        n_genes: int,
        rows: GeneRows,
        *,
        targets: Sequence[ResultLayout] = (),
        scratch: Scratch | None = None,
    ) -> Table:
        """Allocate a table of ``n_genes`` of the source.

        Columns are in the scratch file, if it is given, or else matrices of the ``targets``, if these are given.
        """
        comparisons = tuple(
            ComparisonTable.empty(comparison, options, rows, targets[i] if targets else None, scratch)
            for i, comparison in enumerate(design.comparisons)
        )
        return cls.of(comparisons, n_genes, rows)

    @classmethod
    def of(cls, comparisons: Iterable[ComparisonTable], n_genes: int, rows: GeneRows) -> Table:
        """Make a table of ``n_genes`` of the source that has these parts."""
        return cls(
            rows,
            tuple(comparisons),
            np.zeros(n_genes, dtype=np.int64),
            np.zeros(n_genes, dtype=bool),
            np.zeros(n_genes),
            np.zeros(n_genes, dtype=np.int64),
            np.zeros(n_genes, dtype=np.int64),
        )

    @property
    def n_groups(self) -> int:
        """Tested groups of all comparisons."""
        return sum(comparison.n_groups for comparison in self.comparisons)

    def begin_block(self, genes: range) -> None:
        """Begin to write neighbouring genes of the source."""
        for comparison in self.comparisons:
            comparison.columns.begin_block(genes)

    def end_block(self) -> None:
        """End the block."""
        for comparison in self.comparisons:
            comparison.columns.end_block()

    def end(self) -> None:
        """End the last block, so that columns can be read."""
        for comparison in self.comparisons:
            comparison.end(self.rows)

    def copy_block(self, genes: range, other: Table) -> None:
        """Copy another table, in memory, whose genes are ``genes`` of this one."""
        copied = slice(genes.start, genes.stop)
        for name in ("not_finite", "are_counts", "highest", "undefined", "overflows"):
            getattr(self, name)[copied] = getattr(other, name)
        index = self.rows.index(genes)
        self.begin_block(genes)
        for ours, theirs in zip(self.comparisons, other.comparisons, strict=True):
            ours.columns.write(genes, theirs.columns.matrices)
            for mine, yours in ((ours.fractions, theirs.fractions), (ours.rest_fractions, theirs.rest_fractions)):
                if mine is not None and yours is not None:
                    mine[index] = yours
        self.end_block()


def _without_numbers(rows: GeneRows, n_columns: int) -> NDArray[np.float64]:
    """Allocate rows x columns, NaN in the rows of genes that are not tested."""
    matrix = np.empty((rows.n_rows, n_columns))
    if rows.tested.size < rows.n_rows:
        matrix[np.setdiff1d(np.arange(rows.n_rows), rows.tested)] = np.nan
    return matrix
