"""Work: the cells that are compared, the matrix that is read, and what may be used; not what is computed of them."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scpdex.machine.tracebacks import release_locals
from scpdex.matrix import open_source
from scpdex.plan.make_plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.machine.resources import Resources
    from scpdex.matrix import Expression, Source
    from scpdex.plan.plan import Plan
    from scpdex.plan.requirements import Requirements


@dataclass(frozen=True, kw_only=True)
class Work:
    """A matrix and the comparisons of its cells, with what is asked of the plan and the limits of the call."""

    design: Design
    expression: Expression
    requirements: Requirements
    resources: Resources
    n_rows: int | None
    """Rows of the matrices of statistics: the number of variables; None for a row for each tested gene."""

    @contextmanager
    def open(self, pool: Executor) -> Generator[tuple[Source, NDArray[np.int64] | None, Plan], None, None]:
        """Look at the matrix and make a plan; the array is :func:`scpdex.matrix.open_source`'s."""
        try:
            source, position = open_source(self.expression, self.design, pool, self.resources.limits.n_threads)
            with closing(source):
                plan = make_plan(source.info, self.requirements, self.resources.limits)
                yield source, position, plan
        except BaseException as error:
            release_locals(error)
            raise
