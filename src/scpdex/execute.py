"""Execute: open the matrix, plan, and compute the table of statistics of every group and gene."""

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
    from collections.abc import Generator
    from concurrent.futures import Executor

    from scpdex.plan.plan import Plan
    from scpdex.run import Measure, Table
    from scpdex.work import Work


@dataclass(frozen=True)
class Executed:
    """Statistics, before genes are ordered."""

    table: Table
    pool: Executor
    """Threads that order the genes."""
    plan: Plan


@contextmanager
def execute(work: Work, measure: Measure) -> Generator[Executed, None, None]:
    """Compute the statistics of a measure. Leaving the context deletes the scratch file that may hold them.

    Raises
    ------
    OSError
        A file cannot be read, or the temporary folder cannot hold what exceeds the budget.
    RuntimeError
        A chunk of a dask array cannot be computed.
    ValueError
        There are NaN or infinite values, or a file was changed while it was read.
    """
    expression, limits = work.expression, work.resources.limits
    with (
        Scratch() as scratch,
        ThreadPoolExecutor(limits.n_threads, thread_name_prefix="scpdex") as pool,
        work.open(pool) as (source, position, first_plan),
    ):
        logg.info(f"    {first_plan}{f' in {gettempdir()}' if first_plan.scratch else ''}")
        if expression.normalization is not None and not source.info.are_counts:
            warn_of_fractional_counts(expression.normalization, expression.matrix_name)
        if work.n_rows is None:
            n_tested = expression.genes.size
            rows = GeneRows.of(np.arange(n_tested), n_tested, position)
        else:
            rows = GeneRows.of(expression.var_positions, work.n_rows, position)
        job = Job(first_plan, work.design, measure, pool, scratch, work.resources.show_progress)
        plan, table = first_plan, None
        with suppress(NotCountsError):
            table = run_plan(source, job, rows)
        if table is None:
            plan = make_plan(source.info.without_counts(), work.requirements, limits)
            logg.info(f"    values cannot be tallied; {plan}")
            table = run_plan(source, replace(job, plan=plan), rows)
        expression.refuse_not_finite(rows.in_order(table.not_finite))
        yield Executed(table, pool, plan)
