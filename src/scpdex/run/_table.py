"""The one table that all threads write to: statistics of each tested group and gene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.comparisons import Comparison
    from scpdex.statistics.options import TestOptions


@dataclass(frozen=True)
class Table:
    """Statistics of each tested group and gene, groups x genes, genes in the source's order."""

    scores: NDArray[np.float64]
    pvals: NDArray[np.float64]
    logfoldchanges: NDArray[np.float32]
    fractions: NDArray[np.float64] | None
    """Fraction of non-zero cells of each code; None unless asked for."""
    rest_fractions: NDArray[np.float64] | None
    not_finite: NDArray[np.int64]
    """NaN and infinite values of each gene among the compared cells."""
    are_counts: NDArray[np.bool_]
    """For each gene, whether its values are whole and none is negative; not looked at once one gene was otherwise."""

    @classmethod
    def empty(cls, comparison: Comparison, options: TestOptions, n_genes: int) -> Table:
        """Make room for the statistics."""
        shape = (comparison.n_groups, n_genes)
        with_rest = options.pts and comparison.against_rest
        return cls(
            np.empty(shape),
            np.empty(shape),
            np.empty(shape, dtype=np.float32),
            np.empty((comparison.sizes.size, n_genes)) if options.pts else None,
            np.empty(shape) if with_rest else None,
            np.zeros(n_genes, dtype=np.int64),
            np.zeros(n_genes, dtype=bool),
        )
