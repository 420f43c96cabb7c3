"""The one table that all threads write to: statistics of each tested group and gene, in memory or in scratch."""

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
    """Statistics of each tested group, of one comparison after the other, and some genes, groups x genes."""

    genes: range
    columns: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class _Spilled:
    """Statistics that lie in scratch, one field after the other."""

    genes: range
    places: dict[str, int]


@dataclass(frozen=True)
class Table:
    """Statistics of each tested group and gene, block by block, genes in the source's order."""

    n_groups: int
    dtypes: dict[str, type[np.floating[Any]]]
    """Of what is reported of each group and gene, by name."""
    fractions: NDArray[np.float64] | None
    """Fraction of non-zero cells of each code of each comparison; None unless asked for."""
    rest_fractions: NDArray[np.float64] | None
    not_finite: NDArray[np.int64]
    """NaN and infinite values of each gene among the compared cells."""
    are_counts: NDArray[np.bool_]
    """For each gene, whether its values are whole and none is negative; not looked at once one gene was otherwise."""
    reference_means: NDArray[np.float64] | None
    """Mean of each gene in the reference, where statistics are reported as they are measured."""
    highest: NDArray[np.float64]
    """Highest value of each gene; 0 where none is above."""
    undefined: NDArray[np.int64]
    """Log fold changes of each gene that are NaN, but for those that overflow."""
    overflows: NDArray[np.int64]
    """Log fold changes of each gene that have a mean count beyond float64."""
    scratch: Scratch | None
    """Where statistics go; None keeps them in memory."""
    parts: list[Statistics | _Spilled] = field(default_factory=list)

    @classmethod
    def empty(cls, design: Design, options: TestOptions, n_genes: int, scratch: Scratch | None) -> Table:
        """Make room for what is known of each gene."""
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

    def room_for(self, genes: range) -> Statistics:
        """Make room for the statistics of the next block."""
        shape = (self.n_groups, len(genes))
        return Statistics(genes, {name: np.empty(shape, dtype=dtype) for name, dtype in self.dtypes.items()})

    def keep(self, part: Statistics) -> None:
        """Keep the statistics of a block."""
        if self.scratch is None:
            self.parts.append(part)
        else:
            places = {name: self.scratch.write(values) for name, values in part.columns.items()}
            self.parts.append(_Spilled(part.genes, places))

    def place(self, genes: range, other: Table) -> None:
        """Take over some genes, which are all that another table has."""
        some = slice(genes.start, genes.stop)
        for name in ("not_finite", "are_counts", "highest", "undefined", "overflows"):
            getattr(self, name)[some] = getattr(other, name)
        for ours, theirs in ((self.fractions, other.fractions), (self.rest_fractions, other.rest_fractions)):
            if ours is not None and theirs is not None:
                ours[:, some] = theirs
        if self.reference_means is not None:
            self.reference_means[some] = other.reference_means
        for part in other.parts:
            assert isinstance(part, Statistics), "other tables are in memory"  # noqa: S101
            self.keep(replace(part, genes=genes))

    def of_groups(self, some: slice) -> dict[str, NDArray[Any]]:
        """Give the statistics of some neighbouring groups, groups x genes."""
        return {name: self.column(name, some) for name in self.dtypes}

    def column(self, name: str, some: slice) -> NDArray[Any]:
        """Give one statistic of some neighbouring groups, groups x genes."""
        # They may come in another order from elsewhere.
        parts = [self._part(part, name, some) for part in sorted(self.parts, key=lambda part: part.genes.start)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _part(self, part: Statistics | _Spilled, name: str, some: slice) -> NDArray[Any]:
        if isinstance(part, Statistics):
            return part.columns[name][some]
        assert self.scratch is not None, "parts are spilled to scratch only"  # noqa: S101
        found = np.empty((len(range(*some.indices(self.n_groups))), len(part.genes)), dtype=self.dtypes[name])
        self.scratch.read(part.places[name] + some.start * len(part.genes) * found.itemsize, found)
        return found
