"""Strategies: one file for each way through the data says when it fits, what it would take, and in which words.

Each has a function ``propose(matrix, requirements, limits) -> Candidate | None``, and a file of the same name in
``run/strategies`` that carries it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from scpdex.plan.strategies import (
    column_blocks,
    combined_sums,
    gene_shuffle,
    loaded_rows,
    row_buckets,
    row_passes,
    shared_buffers,
)

if TYPE_CHECKING:
    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.plan import Candidate
    from scpdex.plan.requirements import Requirements


class Strategy(Protocol):
    """A file of this folder."""

    def propose(self, matrix: MatrixInfo, requirements: Requirements, limits: Limits) -> Candidate | None:
        """Say what the strategy would take; None where it does not fit the matrix, the test or the limits."""
        ...


# Of candidates that take as much work, the first is chosen.
STRATEGIES: tuple[Strategy, ...] = (
    shared_buffers,
    column_blocks,
    loaded_rows,
    combined_sums,
    row_buckets,
    row_passes,
    gene_shuffle,
)
