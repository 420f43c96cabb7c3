"""Source: a matrix that was opened for the compared cells and the tested genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.plan import Plan


class Source:
    """Members of every source. Strategies call further methods of the sources that they fit."""

    info: MatrixInfo
    """Description of the matrix for the plan."""

    def prepare(self, plan: Plan) -> None:
        """Apply the plan's limits, such as bytes for values that several chunks share."""

    def close(self) -> None:
        """Release chunks, futures and threads."""
