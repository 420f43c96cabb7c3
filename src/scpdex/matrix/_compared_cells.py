"""Cells: the rows that are compared, brought into the order of their groups."""

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
    """The compared cells in the order of their groups, and within a group as they are."""

    rows: NDArray[np.int64]
    """Row of the matrix that each cell is."""
    group_stops: NDArray[np.int64]
    """Cells in each group and those before it."""
    ascend: bool
    """Whether the cells were in the order of their rows, and none twice: views may have them otherwise."""

    @classmethod
    def of(cls, design: Design, rows: NDArray[np.int64]) -> ComparedCells:
        """Order the cells; ``rows`` are those of all cells."""
        compared = design.codes >= 0
        rows = rows[compared]
        order = np.empty(rows.size, dtype=np.int64)
        order_by_group(design.codes[compared], design.sizes, order)
        return cls(rows[order], np.cumsum(design.sizes), bool((np.diff(rows) > 0).all()))

    def codes(self) -> NDArray[np.int32]:
        """Give the group of each cell in the order of the groups."""
        sizes = np.diff(self.group_stops, prepend=0)
        return np.repeat(np.arange(sizes.size, dtype=np.int32), sizes)
