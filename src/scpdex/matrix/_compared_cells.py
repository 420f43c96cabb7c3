"""Compared cells: their rows in the matrix, in the order of their groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scpdex.plan.matrix_info import code_dtype

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
        # numpy sorts numbers of 16 bits by their digits, in no more time than it takes to count them.
        order = np.argsort(design.codes[compared].astype(code_dtype(design.sizes.size)), kind="stable")
        return cls(rows[order], np.cumsum(design.sizes), bool((np.diff(rows) > 0).all()))

    def codes(self) -> NDArray[np.int32]:
        """Give the group of each cell, in the order of the groups."""
        sizes = np.diff(self.group_stops, prepend=0)
        return np.repeat(np.arange(sizes.size, dtype=np.int32), sizes)
