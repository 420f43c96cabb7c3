"""Execute a task: open the matrix, plan, and compute the table of statistics of every group and gene."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from tempfile import gettempdir
from typing import TYPE_CHECKING

import numpy as np
from scanpy import logging as logg

from scpdex.machine.scratch_file import Scratch
from scpdex.messages.counts_or_logs import warn_of_fractional_counts
from scpdex.plan.make_plan import make_plan
from scpdex.run import GeneRows, Job, NotCountsError, run_plan

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from concurrent.futures import Executor

    from scpdex.plan.plan import Plan
    from scpdex.results import ResultLayout
    from scpdex.run import Table
    from scpdex.task import Task


@dataclass(frozen=True)
class Executed:
    """Statistics of a task, before genes are ordered."""

    table: Table
    pool: Executor
    """Threads that order the genes."""
    plan: Plan


@contextmanager
def execute(task: Task, targets: Sequence[ResultLayout] = ()) -> Generator[Executed, None, None]:
    """Compute the statistics. Leaving the context deletes the scratch file that may hold them.

    Parameters
    ----------
    task
        What is to be computed.
    targets
        Results of the comparisons, whose matrices hold the statistics until genes are ordered, if they have a row for
        each tested gene.

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
        task.open(pool) as (source, position, first_plan),
    ):
        logg.info(f"    {first_plan}{f' in {gettempdir()}' if first_plan.scratch else ''}")
        if expression.normalization is not None and not source.info.are_counts:
            warn_of_fractional_counts(expression.normalization, expression.matrix_name)
        n_tested = expression.genes.size
        if task.storage.has_row_of_each_variable:
            rows = GeneRows.of(expression.var_positions, task.adata.n_vars, position)
        else:
            rows = GeneRows.of(np.arange(n_tested), n_tested, position)
        job = Job(first_plan, design, options, pool, scratch, resources.show_progress)
        in_results = targets if task.holds_statistics_in_results else ()
        plan, table = first_plan, None
        with suppress(NotCountsError):
            table = run_plan(source, job, rows, in_results)
        if table is None:
            plan = make_plan(source.info.without_counts(), task.requirements, resources.limits)
            logg.info(f"    values cannot be tallied; {plan}")
            table = run_plan(source, replace(job, plan=plan), rows, in_results)
        expression.refuse_not_finite(rows.in_order(table.not_finite))
        yield Executed(table, pool, plan)
