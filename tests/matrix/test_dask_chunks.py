"""Chunks of dask arrays: each is computed once, none is changed, and those that do not fit are refused."""

import threading
from collections import Counter

import anndata as ad
import dask
import dask.array as da
import numpy as np
import pytest
from scipy import sparse
from stored import (
    FORMS,
    RAGGED,
    TESTS,
    assert_same_tests,
    in_chunks,
    labelled,
    values_of,
)

import scpdex
from scpdex.matrix.dask._chunk_grid import refuse_unknown_chunks


@pytest.mark.usefixtures("both_schedulers")
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("chunks", [(50, -1), (RAGGED, (7, 1, 22))])
def test_each_chunk_is_computed_once(method, dtype, chunks):
    times = Counter()
    lazy = in_chunks(labelled(values_of(dtype)), *chunks, seen=lambda place: times.update([tuple(place)]))
    scpdex.tl.rank_genes_parallel(lazy, "group", method=method)
    assert set(times) == set(np.ndindex(lazy.X.numblocks))
    assert set(times.values()) == {1}


@pytest.mark.usefixtures("both_schedulers")
@pytest.mark.parametrize("method", TESTS)
def test_what_all_chunks_need(monkeypatch, method):
    """A mean over all cells is computed once, for which each chunk is computed once more."""
    times = Counter()
    memory = labelled(values_of("float32"))
    lazy = in_chunks(memory, 20, -1, seen=lambda place: times.update([tuple(place)]))
    lazy.X = lazy.X + lazy.X.mean()
    memory.X = lazy.X.compute()
    monkeypatch.setattr("scpdex.plan.memory_model.LEAST_VALUES_PER_PIECE", 100)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 100)
    times.clear()
    scpdex.tl.rank_genes_parallel(lazy, "group", method=method)
    assert max(times.values()) == 2
    assert_same_tests(monkeypatch, lazy, memory, method=method)


@pytest.mark.usefixtures("both_schedulers")
def test_rechunked(monkeypatch):
    """Chunks that were cut and merged upstream are computed once as well, and kept no longer than needed."""
    times = Counter()
    memory = labelled(values_of("float32"))
    lazy = in_chunks(memory, 100, -1, seen=lambda place: times.update([tuple(place)]))
    lazy.X = lazy.X.rechunk({0: 50}).map_blocks(np.abs).rechunk({0: 30})
    memory.X = np.abs(memory.X)
    monkeypatch.setattr("scpdex.plan.memory_model.LEAST_VALUES_PER_PIECE", 100)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 100)
    assert_same_tests(monkeypatch, lazy, memory, method="wilcoxon")
    assert set(times.values()) == {1}


def failing(adata: ad.AnnData, error: BaseException) -> ad.AnnData:
    """Make the chunk in the sixth row of chunks raise."""

    def fail(place: np.ndarray) -> None:
        if place[0] == 5:
            raise error

    return in_chunks(adata, 20, -1, seen=fail)


@pytest.mark.usefixtures("both_schedulers")
@pytest.mark.parametrize("method", TESTS)
def test_chunk_that_raises(method):
    lazy = failing(labelled(values_of("float32")), OSError("the disk is gone"))
    lazy.uns = {"rank_genes_groups": "as before"}
    with pytest.raises(RuntimeError, match=r"^adata.X is a dask array that could not be computed: OSError: the disk"):
        scpdex.tl.rank_genes_parallel(lazy, "group", method=method)
    assert lazy.uns == {"rank_genes_groups": "as before"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scpdex")]


def test_interruption():
    lazy = failing(labelled(values_of("float32")), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), dask.config.set(scheduler="synchronous"):
        scpdex.tl.rank_genes_parallel(lazy, "group", method="wilcoxon")
    assert not lazy.uns


def test_chunks_stay_as_they_are():
    """Chunks in memory are the user's: neither sorted nor summed up in place."""
    counts = sparse.csr_matrix(values_of("int16").astype(np.float32))
    odd = sparse.csr_matrix((np.repeat(counts.data, 2), np.repeat(counts.indices, 2), 2 * counts.indptr))
    lazy = in_chunks(labelled(counts), 20, -1)
    lazy.X = da.from_array(odd, chunks=(20, -1), asarray=False).map_blocks(lambda x: x, meta=odd[:0]).persist()
    before = [chunk.nnz for chunk in dask.compute(*lazy.X.to_delayed().ravel())]
    for arguments in ({"method": "wilcoxon"}, {"method": "t-test"}, {"method": "t-test", "normalize": 1e4}):
        scpdex.tl.rank_genes_parallel(lazy, "group", **arguments)
    assert [chunk.nnz for chunk in dask.compute(*lazy.X.to_delayed().ravel())] == before


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("change", [lambda x: x[:-1], lambda x: x[:, 1:]], ids=["rows", "columns"])
def test_chunks_of_another_shape(form, change):
    """As map_blocks makes them that was not told."""
    lazy = in_chunks(labelled(FORMS[form](values_of("float32"))), 100, -1)
    lazy.X = lazy.X.map_blocks(change, meta=lazy.X.blocks[0, 0].compute()[:0])
    for method in TESTS:
        with pytest.raises(TypeError, match=r"has a chunk of (99 x 30|100 x 29) where its chunks say 100 x 30: pass"):
            scpdex.tl.rank_genes_parallel(lazy, "group", method=method)


def test_few_cells_of_large_chunks():
    """Chunks are computed whole, and count in the budget whole."""
    adata = ad.AnnData(np.ones((50_000, 50), dtype=np.float32))
    adata.obs["group"] = ["x"] * 50 + ["y"] * 50 + ["z"] * 49_900
    arguments = {"groups": ["x"], "reference": "y", "method": "wilcoxon"}
    plan = scpdex.get.plan(in_chunks(adata, -1, -1), "group", **arguments)
    assert plan.values_per_piece >= adata.X.size
    assert plan.peak_memory > 2 * adata.X.nbytes
    with pytest.raises(ValueError, match="is too little"):
        scpdex.get.plan(in_chunks(adata, -1, -1), "group", max_memory="10MB", **arguments)


def other_kind(chunk: np.ndarray, block_info: dict) -> object:
    return sparse.coo_matrix(chunk) if block_info[0]["chunk-location"][0] == 1 else chunk


def other_dtype(chunk: np.ndarray, block_info: dict) -> np.ndarray:
    return chunk.astype("float64" if block_info[0]["chunk-location"][0] == 1 else "float32")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x.astype(complex), TypeError, "adata.X has dtype complex128"),
        (lambda x: x.map_blocks(other_kind, meta=np.empty((0, 0), "f4")), TypeError, "has chunks of scipy.*coo_matrix"),
        (
            lambda x: x.map_blocks(other_dtype, meta=np.empty((0, 0), "f4")),
            TypeError,
            "chunks of float32 and of float64",
        ),
        (lambda x: x.map_blocks(lambda c: c + np.nan, dtype="f4"), ValueError, "holds 7,710 NaN or infinite values"),
    ],
    ids=["complex", "COO", "two dtypes", "NaN"],
)
def test_refused(change, error, message):
    lazy = in_chunks(labelled(values_of("float32")), 100, -1)
    lazy.layers["odd"] = change(lazy.X)
    with pytest.raises(error, match=message.replace("adata.X", r"adata.layers\['odd'\]")):
        scpdex.tl.rank_genes_parallel(lazy, "group", reference="b", method="wilcoxon", layer="odd")


def test_unknown_sizes():
    """anndata takes no such array for X or a layer; raw may have one."""
    with pytest.raises(ValueError, match=r"adata.raw.X is a dask array with chunks of unknown size: call its compute_"):
        refuse_unknown_chunks(da.zeros((300, 2))[da.from_array(np.arange(300) % 2 == 0)], "adata.raw.X")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "logreg"}, TypeError, "adata.X is a dask array: pass adata.to_memory()"),
        ({"low_memory": False}, ValueError, "adata.X is a dask array: pass low_memory=None"),
        ({"max_memory": 1000}, ValueError, "max_memory=1 kB is too little"),
    ],
)
def test_arguments_that_do_not_fit(arguments, error, message):
    with pytest.raises(error, match=message):
        scpdex.tl.rank_genes_parallel(in_chunks(labelled(values_of("float32")), 100, -1), "group", **arguments)
