"""Tasks of a cluster: how many there are, and which of the array's own become part of others."""

from collections.abc import Callable
from typing import Any

import anndata as ad
import dask
import numpy as np
import pytest
from clusters import WAYS
from scipy import sparse
from stored import assert_same_tests, in_chunks, labelled, values_of

import scpdex

pytestmark = [
    pytest.mark.xdist_group("cluster"),
    pytest.mark.usefixtures("client"),
    pytest.mark.usefixtures("small_parts"),
]


def count_tasks(client: Any, adata: ad.AnnData, **arguments: Any) -> int:
    before = len(client.get_task_stream())
    scpdex.tl.rank_genes_parallel(adata, "group", **arguments)
    return len(client.get_task_stream()) - before


@pytest.mark.parametrize(("method", "gene_chunk_size"), [("t-test", None), ("wilcoxon", 15)])
def test_chunks_are_no_tasks_of_their_own(client, method, gene_chunk_size):
    """60 chunks, of which 3 are looked at first."""
    lazy = in_chunks(labelled(values_of("float32")), 5, -1).copy()
    lazy.X = lazy.X.map_blocks(lambda chunk: chunk)
    arguments = {"method": method, "gene_chunk_size": gene_chunk_size}
    n_tasks = count_tasks(client, lazy, **arguments)
    with dask.config.set({"optimization.fuse.active": False}):
        n_separate_tasks = count_tasks(client, lazy, **arguments)
    assert n_separate_tasks - n_tasks == 57


GRAPHS: dict[str, Callable[[Any], Any]] = {
    "kept by the workers": lambda x: x.persist(),
    "chunks of which several parts have rows": lambda x: x.rechunk((70, -1)).rechunk((13, -1)),
    "a sum over all chunks": lambda x: x / x.sum(axis=1).max(),
    "a slice": lambda x: x[::-1][5:],
}

# These have the values of the array, on workers or in other chunks.
MOVED = {"kept by the workers", "chunks of which several parts have rows"}


@pytest.mark.parametrize(("method", "gene_chunk_size"), WAYS)
@pytest.mark.parametrize("rechunk", ["tasks", "p2p"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_graphs(monkeypatch, graph, rechunk, method, gene_chunk_size):
    with dask.config.set({"array.rechunk.method": rechunk}):
        lazy = in_chunks(labelled(values_of("float32")), 20, -1)
        array = lazy.X
        x = GRAPHS[graph](array)
        lazy = ad.AnnData(x, obs=lazy.obs[-x.shape[0] :], var=lazy.var)
        # On this machine: the cluster would know the keys by what dask makes of them when it computes them alone.
        plain = array if graph in MOVED else x
        memory = ad.AnnData(plain.compute(scheduler="synchronous"), obs=lazy.obs, var=lazy.var)
        assert_same_tests(monkeypatch, lazy, memory, method=method, gene_chunk_size=gene_chunk_size)


@pytest.mark.parametrize("around", ["the array", "the call"])
def test_retries(tmp_path, around):
    """Each chunk fails once, whether its own task is tried again or the one that it is part of."""

    def fail_once(place: np.ndarray) -> None:
        failed = tmp_path / f"{place[0]}"
        if not failed.exists():
            failed.touch()
            msg = "not yet"
            raise OSError(msg)

    matrix = labelled(sparse.csr_matrix(values_of("float32")))
    if around == "the array":
        with dask.annotate(retries=1):
            lazy = in_chunks(matrix, 100, -1, seen=fail_once)
    else:
        lazy = in_chunks(matrix, 100, -1, seen=fail_once)
    for path in tmp_path.iterdir():
        path.unlink()
    with dask.annotate(retries=1 if around == "the array" else 3):
        scpdex.tl.rank_genes_parallel(lazy, "group", method="wilcoxon")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]
