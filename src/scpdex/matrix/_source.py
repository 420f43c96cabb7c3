"""Source: a matrix that was opened for the compared cells and the tested genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.plan import Plan


class Source:
    """What every storage offers; how its values are read is between its class and the strategies that fit it."""

    info: MatrixInfo
    """What the plan needs to know."""

    def prepare(self, plan: Plan) -> None:
        """Keep to what the plan grants beside the work, such as memory for what several chunks need."""

    def close(self) -> None:
        """Let go of all that is kept: chunks, futures, threads."""
