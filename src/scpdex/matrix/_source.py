"""Source: a matrix that was opened for the compared cells and the tested genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.plan import Plan


class Source:
    """Members of every source. Strategies call further methods of the sources that they fit."""

    info: MatrixInfo
    """Description of the matrix for the plan."""

    def prepare(self, plan: Plan) -> None:
        """Apply the plan's limits, such as bytes for values that several chunks share."""

    def find_median(self, plan: Plan, pool: Executor, bar: Any) -> Self:
        """Read the matrix, and give the source whose counts are scaled to the median library size of all cells.

        ``bar`` counts cells. Sources whose values are not normalized are not asked for it.

        Raises
        ------
        ValueError
            Cells of the object, compared or not, have values that cannot be counts.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Release chunks, futures and threads."""
