"""Compared cells: their rows in the matrix, in the order of their groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scpdex.kernels.gather import order_by_group

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design


@dataclass(frozen=True)
class ComparedCells:
    """The compared cells: group by group, and within a group in the order of the object."""

    rows: NDArray[np.int64]
    """Row of each cell in the matrix."""
    group_stops: NDArray[np.int64]
    """For each group, the number of cells in it and in the groups before it."""
    in_row_order: bool
    """Whether the object has the cells in the order of their rows, and none twice: views may have them otherwise."""

    @classmethod
    def of(cls, design: Design, rows: NDArray[np.int64]) -> ComparedCells:
        """Put the compared cells in order; ``rows`` has the row of every cell of the object."""
        compared = design.codes >= 0
        rows = rows[compared]
        order = np.empty(rows.size, dtype=np.int64)
        stops = np.cumsum(design.sizes)
        order_by_group(design.codes[compared], stops - design.sizes, order)
        return cls(rows[order], stops, bool((np.diff(rows) > 0).all()))

    def codes(self) -> NDArray[np.int32]:
        """Give the group of each cell, in the order of the groups."""
        sizes = np.diff(self.group_stops, prepend=0)
        return np.repeat(np.arange(sizes.size, dtype=np.int32), sizes)
