"""Clusters: how the tests start them, wait for them, and what fails on them."""

import multiprocessing

import dask
from distributed.utils import get_mp_context

# Workers are forked from a process that has imported all they need, which takes them seconds otherwise; whoever is
# idle is not profiled.
dask.config.set(
    {"distributed.worker.multiprocessing-method": "forkserver", "distributed.worker.profile.enabled": False}
)
get_mp_context()
multiprocessing.get_context("forkserver").set_forkserver_preload(["distributed.nanny", "distributed.worker", "scpdex"])

# Each strategy once.
WAYS = [("t-test", None), ("wilcoxon", 7)]
OPTIONS = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "1GB", "dashboard_address": None}
# Rather an error than a test run that does not end, where a worker is not started again.
PATIENCE = 120


async def wait_for_tasks_to_go(dask_scheduler) -> list[str]:
    import asyncio

    for _ in range(200):
        if not dask_scheduler.tasks:
            break
        await asyncio.sleep(0.05)
    return list(map(str, dask_scheduler.tasks))
