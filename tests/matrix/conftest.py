"""Fixtures of tests of matrices: dask's schedulers, and clusters of two worker processes."""

from collections.abc import Iterator

import dask
import pytest
from clusters import OPTIONS, PATIENCE, wait_for_tasks_to_go
from distributed import Client, LocalCluster


@pytest.fixture(params=["threads", "synchronous"])
def both_schedulers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Schedulers of dask on this machine."""
    with dask.config.set(scheduler=request.param):
        yield


@pytest.fixture(scope="session")
def _cluster() -> Iterator[LocalCluster]:
    with LocalCluster(processes=True, **OPTIONS) as cluster:
        yield cluster


@pytest.fixture
def client(_cluster: LocalCluster) -> Iterator[Client]:
    """Client in charge; whatever a call leaves on the scheduler is an error."""
    with Client(_cluster) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        yield client
        left = client.run_on_scheduler(wait_for_tasks_to_go)
        assert not left


@pytest.fixture
def mortal() -> Iterator[Client]:
    """Client of a cluster whose workers may be killed: that they are started again cannot be relied upon."""
    with LocalCluster(processes=True, **OPTIONS) as cluster, Client(cluster) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        yield client


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small data make several parts and blocks too."""
    monkeypatch.setattr("scpdex.plan.worker_shares.LEAST_VALUES_PER_PART", 100)
    monkeypatch.setattr("scpdex.plan.worker_shares.LEAST_BYTES_PER_BLOCK", 1000)
