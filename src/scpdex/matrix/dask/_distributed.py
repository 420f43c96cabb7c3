"""distributed's private names: the client behind a scheduler, and the thread of a task that waits for other tasks."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

    from distributed import Client


def client_of(schedule: Any) -> Client | None:
    """Give the client whose ``get`` this scheduler function is; None if dask computes on this machine."""
    # A caller who has a client has imported distributed, which dask works without.
    distributed = sys.modules.get("distributed")
    client = getattr(schedule, "__self__", None)
    return client if distributed is not None and isinstance(client, distributed.Client) else None


@contextmanager
def lend_thread() -> Generator[None, None, None]:
    """While a task waits for other tasks of its cluster, let its thread work on them; needs a client.

    Without that, calls that are tasks themselves, on all threads of the workers, would wait for ever. Nothing is done
    outside of tasks, and if the task's thread has left the worker's pool already.
    """
    distributed = sys.modules["distributed"]
    in_task = getattr(distributed.worker.thread_state, "key", None)
    in_pool = getattr(distributed.threadpoolexecutor.thread_state, "proceed", False)
    if not in_task or not in_pool:
        yield
        return
    distributed.secede()
    try:
        yield
    finally:
        distributed.rejoin()
