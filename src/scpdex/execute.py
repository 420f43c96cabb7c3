"""Execute a task: open the matrix, plan, and compute the table of statistics of every group and gene."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from tempfile import gettempdir
from typing import TYPE_CHECKING

from scanpy import logging as logg

from scpdex.machine.scratch_file import Scratch
from scpdex.messages.counts_or_logs import warn_of_fractional_counts
from scpdex.plan.make_plan import make_plan
from scpdex.run import Job, NotCountsError, run_plan

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from scpdex.run import Table
    from scpdex.task import Task


@dataclass(frozen=True)
class Executed:
    """Statistics of a task, before genes are ordered."""

    table: Table
    position: NDArray[np.int64] | None
    """Position in the table of each tested gene; None if the orders are equal."""
    pool: Executor
    """Threads that order the genes."""


@contextmanager
def execute(task: Task) -> Generator[Executed, None, None]:
    """Compute the statistics. Leaving the context deletes the scratch file that may hold them.

    Raises
    ------
    OSError
        A file cannot be read, or the temporary folder cannot hold what exceeds the budget.
    RuntimeError
        A chunk of a dask array cannot be computed.
    ValueError
        There are NaN or infinite values, or a file was changed while it was read.
    """
    design, expression, options, resources = task.design, task.expression, task.options, task.resources
    with (
        Scratch() as scratch,
        ThreadPoolExecutor(resources.limits.n_threads, thread_name_prefix="scpdex") as pool,
        task.open(pool) as (source, position, plan),
    ):
        logg.info(f"    {plan}{f' in {gettempdir()}' if plan.scratch else ''}")
        if expression.target_sum is not None and not source.info.are_counts:
            warn_of_fractional_counts(expression)
        job = Job(plan, design, options, pool, scratch, resources.show_progress)
        table = None
        with suppress(NotCountsError):
            table = run_plan(source, job)
        if table is None:
            plan_without_tallies = make_plan(source.info.without_counts(), task.requirements, resources.limits)
            logg.info(f"    values cannot be tallied; {plan_without_tallies}")
            table = run_plan(source, replace(job, plan=plan_without_tallies))
        expression.refuse_not_finite(table.not_finite if position is None else table.not_finite[position])
        yield Executed(table, position, pool)
