"""Gene rows: the row that each gene of the source has in matrices of genes x groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class GeneRows:
    """Rows of matrices in the layout of the results, which may have the genes in another order than the source."""

    n_rows: int
    tested: NDArray[np.int64]
    """Row of each tested gene, in the order of the results."""
    positions: NDArray[np.int64] | None = None
    """Position in the source of each tested gene; None if the orders are equal."""
    _of_source: NDArray[np.int64] | None = None
    """Row of each gene of the source, the first of a gene that is tested more than once; None: its position."""

    @classmethod
    def of(cls, tested: NDArray[np.int64], n_rows: int, positions: NDArray[np.int64] | None) -> GeneRows:
        """Find the row of each gene of the source."""
        if positions is None:
            is_same = np.array_equal(tested, np.arange(n_rows))
            return cls(n_rows, tested, None, None if is_same else tested)
        of_source = np.empty(int(positions.max()) + 1, dtype=np.int64)
        of_source[positions[::-1]] = tested[::-1]
        return cls(n_rows, tested, positions, of_source)

    @classmethod
    def of_block(cls, n_genes: int) -> GeneRows:
        """Give each gene the row of its position."""
        return cls(n_genes, np.arange(n_genes))

    def index(self, genes: range) -> slice | NDArray[np.int64]:
        """Index the rows of neighbouring genes of the source."""
        run = slice(genes.start, genes.stop)
        return run if self._of_source is None else self._of_source[run]

    def in_order(self, of_source: NDArray[Any]) -> NDArray[Any]:
        """Put numbers of the source's genes, along the last axis, in the order of the results."""
        return of_source if self.positions is None else of_source[..., self.positions]

    def repeat(self, matrix: NDArray[Any]) -> None:
        """Copy the row of each gene that is tested more than once to its other rows."""
        if self.positions is not None and self._of_source is not None:
            first = self._of_source[self.positions]
            repeated = first != self.tested
            if repeated.any():
                matrix[self.tested[repeated]] = matrix[first[repeated]]
