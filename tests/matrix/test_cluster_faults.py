"""Workers that die, chunks that raise and errors that are kept: the cluster ends each call in one clear way."""

import os
import signal
import threading

import anndata as ad
import numpy as np
import pytest
from clusters import WAYS, wait_for_tasks_to_go
from stored import EVERYTHING, RAGGED, assert_same_tests, in_chunks, labelled, values_of

import scpdex

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.usefixtures("client")]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.usefixtures("mortal")
@pytest.mark.parametrize(("method", "gene_chunk_size"), WAYS)
def test_worker_that_dies_while_chunks_are_computed(tmp_path, monkeypatch, method, gene_chunk_size):
    died = tmp_path / "died"

    def die_once(place: np.ndarray) -> None:
        if place[0] == 5 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    memory = labelled(values_of("float32"))
    lazy = in_chunks(memory, 20, -1, seen=die_once)
    died.unlink(missing_ok=True)
    assert_same_tests(monkeypatch, lazy, memory, method=method, gene_chunk_size=gene_chunk_size)
    assert died.exists()


@pytest.mark.usefixtures("small_parts")
def test_worker_that_dies_while_genes_are_ranked(mortal, monkeypatch):
    """With all pieces that it held, which are made again from their chunks."""
    from scpdex.run._statistics_table import Table

    memory = labelled(values_of("float32"))
    place, killed = Table.copy_block, []

    def kill_a_worker(self: Table, genes: range, other: Table) -> None:
        if not killed:
            address, process = next(iter(mortal.run(os.getpid).items()))
            killed.append(address)
            os.kill(process, signal.SIGKILL)
        place(self, genes, other)

    monkeypatch.setattr(Table, "copy_block", kill_a_worker)
    assert_same_tests(
        monkeypatch, in_chunks(memory, RAGGED, -1), memory, method="wilcoxon", gene_chunk_size=1, **EVERYTHING
    )
    assert killed


def assert_fails(adata: ad.AnnData, message: str, **arguments: object) -> None:
    adata.uns = {"rank_genes_groups": "as before"}
    with pytest.raises(RuntimeError, match=message):
        scpdex.tl.rank_genes_parallel(adata, "group", **arguments)
    assert adata.uns == {"rank_genes_groups": "as before"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scpdex")]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("method", "gene_chunk_size"), WAYS)
def test_chunk_that_raises(method, gene_chunk_size):
    def fail(place: np.ndarray) -> None:
        if place[0] == 5:
            msg = "the disk is gone"
            raise OSError(msg)

    lazy = in_chunks(labelled(values_of("float32")), 20, -1, seen=fail)
    message = r"^adata.X is a dask array that could not be computed: OSError: the disk is gone"
    assert_fails(lazy, message, method=method, gene_chunk_size=gene_chunk_size)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("odd", "error"), [(np.nan, "NaN or infinite"), (np.inf, "NaN or infinite")])
@pytest.mark.parametrize(("method", "gene_chunk_size"), [*WAYS, ("wilcoxon", None)])
def test_not_finite(odd, error, method, gene_chunk_size):
    values = values_of("int16").astype(np.float32)
    values[77, 3] = odd
    lazy = in_chunks(labelled(values), 10, -1)
    with pytest.raises(ValueError, match=rf"1 {error} values .* in gene 'gene3'"):
        scpdex.tl.rank_genes_parallel(lazy, "group", method=method, gene_chunk_size=gene_chunk_size)


def test_chunks_that_cannot_be_ranked():
    """The same errors as on one machine, and nothing stays with the workers while they are kept."""
    values = values_of("float32")
    lazy = in_chunks(labelled(values), 100, -1)
    lazy.X = lazy.X.map_blocks(lambda x: x[:-1], meta=values[:0])
    with pytest.raises(TypeError, match="has a chunk of 99 x 30"):
        scpdex.tl.rank_genes_parallel(lazy, "group")
    large = labelled(values.astype(np.int64))
    large.X[77, 3] = 2**60
    with pytest.raises(ValueError, match=r"holds integers beyond 2\*\*53"):
        scpdex.tl.rank_genes_parallel(in_chunks(large, 20, -1), "group")
    with pytest.raises(ValueError, match="is too little"):
        scpdex.tl.rank_genes_parallel(in_chunks(labelled(values), 20, -1), "group", max_memory=1000)


@pytest.mark.usefixtures("small_parts")
def test_workers_that_keep_dying(mortal):
    """As often as dask's policy allows, then one error."""

    def die(place: np.ndarray) -> None:
        if place[0] == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    def allow_one(dask_scheduler) -> None:
        dask_scheduler.allowed_failures = 1

    mortal.run_on_scheduler(allow_one)
    lazy = in_chunks(labelled(values_of("float32")), 20, -1, seen=die)
    assert_fails(lazy, r"could not be computed: KilledWorker", method="wilcoxon")


def test_chunks_beyond_a_worker():
    large = labelled(values_of("float32"))
    lazy = in_chunks(large, -1, -1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scpdex.matrix.dask._on_cluster.ClusterChunks.workers", property(lambda _: _few_bytes()))
        with pytest.raises(ValueError, match=r"a chunk of about 9,000 values takes .*: rechunk to fewer rows"):
            scpdex.tl.rank_genes_parallel(lazy, "group")


def _few_bytes() -> object:
    from scpdex.plan.matrix_info import Workers

    return Workers(2, 2, 1000)


@pytest.mark.parametrize(
    "stage", ["matrix.dask._dask_source._estimate", "work.make_plan", "matrix.dask._on_cluster.Workers"]
)
def test_a_kept_error_keeps_no_chunk_of_the_workers(client, monkeypatch, stage):
    """Whatever fails once chunks were looked at: what the workers keep for the call goes while its error stays."""

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(f"scpdex.{stage}", fail)
    lazy = in_chunks(labelled(values_of("float32")), 20, -1)
    with pytest.raises(MemoryError) as kept:
        scpdex.tl.rank_genes_parallel(lazy, "group", method="wilcoxon")
    assert not client.run_on_scheduler(wait_for_tasks_to_go)
    assert kept.value
