"""Statistics table, which all threads write to: each tested group and gene, in memory or in the scratch file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.machine.scratch_file import Scratch
    from scpdex.statistics.options import TestOptions


@dataclass(frozen=True)
class Statistics:
    """Statistics of a run of genes, groups x genes; the groups of each comparison follow those of the one before."""

    genes: range
    columns: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class _Spilled:
    """Statistics of a run of genes in the scratch file, one field after the other."""

    genes: range
    offsets: dict[str, int]
    """Position of each field in the file, in bytes."""


@dataclass(frozen=True)
class Table:
    """Statistics of each tested group and gene, block by block, genes in the source's order."""

    n_groups: int
    dtypes: dict[str, type[np.floating[Any]]]
    """Dtype of each column that is computed gene by gene, by name."""
    fractions: NDArray[np.float64] | None
    """Fraction of non-zero cells, codes of each comparison x genes; None unless the result has fractions."""
    rest_fractions: NDArray[np.float64] | None
    """Fraction of non-zero cells in the rest of each group, groups x genes; None without fractions or a rest."""
    not_finite: NDArray[np.int64]
    """NaN and infinite values of each gene among the compared cells."""
    are_counts: NDArray[np.bool_]
    """Whether a gene's values are whole and none is negative; False without a check after the first gene that fails."""
    reference_means: NDArray[np.float64] | None
    """Mean of each gene in the reference, for pdex's table; None elsewhere."""
    highest: NDArray[np.float64]
    """Highest value of each gene, or 0 if that is higher."""
    undefined: NDArray[np.int64]
    """Number of log fold changes of each gene that are NaN without an overflow."""
    overflows: NDArray[np.int64]
    """Number of log fold changes of each gene that have a mean count beyond float64."""
    scratch: Scratch | None
    """File that statistics are written to; None keeps them in memory."""
    parts: list[Statistics | _Spilled] = field(default_factory=list)

    @classmethod
    def empty(cls, design: Design, options: TestOptions, n_genes: int, scratch: Scratch | None) -> Table:
        """Allocate the arrays that have a number for each gene; parts are added block by block."""
        n_groups = design.n_groups
        n_codes = sum(comparison.sizes.size for comparison in design.comparisons)
        with_rest = options.pts and design.comparisons[0].against_rest
        return cls(
            n_groups,
            options.columns,
            np.empty((n_codes, n_genes)) if options.pts else None,
            np.empty((n_groups, n_genes)) if with_rest else None,
            np.zeros(n_genes, dtype=np.int64),
            np.zeros(n_genes, dtype=bool),
            np.empty(n_genes) if options.as_measured else None,
            np.zeros(n_genes),
            np.zeros(n_genes, dtype=np.int64),
            np.zeros(n_genes, dtype=np.int64),
            scratch,
        )

    def allocate_block(self, genes: range) -> Statistics:
        """Allocate the statistics of a block."""
        shape = (self.n_groups, len(genes))
        return Statistics(genes, {name: np.empty(shape, dtype=dtype) for name, dtype in self.dtypes.items()})

    def keep(self, part: Statistics) -> None:
        """Add the statistics of a block, in memory or in the scratch file."""
        if self.scratch is None:
            self.parts.append(part)
        else:
            offsets = {name: self.scratch.write(values) for name, values in part.columns.items()}
            self.parts.append(_Spilled(part.genes, offsets))

    def copy_genes(self, genes: range, other: Table) -> None:
        """Copy another table, in memory, whose genes are ``genes`` of this one."""
        copied = slice(genes.start, genes.stop)
        for name in ("not_finite", "are_counts", "highest", "undefined", "overflows"):
            getattr(self, name)[copied] = getattr(other, name)
        for ours, theirs in ((self.fractions, other.fractions), (self.rest_fractions, other.rest_fractions)):
            if ours is not None and theirs is not None:
                ours[:, copied] = theirs
        if self.reference_means is not None:
            self.reference_means[copied] = other.reference_means
        for part in other.parts:
            assert isinstance(part, Statistics), "other tables are in memory"  # noqa: S101
            self.keep(replace(part, genes=genes))

    def of_groups(self, groups: slice) -> dict[str, NDArray[Any]]:
        """Read all columns of neighbouring groups, each groups x genes."""
        return {name: self.column(name, groups) for name in self.dtypes}

    def column(self, name: str, groups: slice) -> NDArray[Any]:
        """Read one column of neighbouring groups, groups x genes."""
        # Parts from the workers of a cluster arrive in any order.
        parts = [self._part(part, name, groups) for part in sorted(self.parts, key=lambda part: part.genes.start)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _part(self, part: Statistics | _Spilled, name: str, groups: slice) -> NDArray[Any]:
        if isinstance(part, Statistics):
            return part.columns[name][groups]
        assert self.scratch is not None, "parts are spilled to scratch only"  # noqa: S101
        values = np.empty((len(range(*groups.indices(self.n_groups))), len(part.genes)), dtype=self.dtypes[name])
        self.scratch.read(part.offsets[name] + groups.start * len(part.genes) * values.itemsize, values)
        return values
