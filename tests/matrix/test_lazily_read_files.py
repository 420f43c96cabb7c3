"""Files that were opened lazily and are read without dask: which arrays these are, and that no file stays open."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anndata as ad
import dask
import dask.array as da
import h5py
import numpy as np
import pytest
import zarr
from anndata.experimental import read_elem_lazy
from oracles import assert_same_bits, by_scpdex
from routes import open_files
from stored import EVERYTHING, FORMS, TESTS, labelled, values_of

import scpdex
from scpdex.plan.matrix_info import ChunkedMatrix, LocalDaskMatrix

# For each form, chunks that anndata can read lazily.
CHUNKS = {"dense": [None, (50, 10), (70, -1)], "CSR": [None, (50, 30), (70, -1)], "CSC": [None, (300, 4), (-1, 7)]}
PLACES = {"h5ad": "in an HDF5 file", "zarr": "in a zarr store"}


def write(memory: ad.AnnData, path: Path, **options: Any) -> None:
    getattr(memory, f"write_{path.suffix[1:]}")(path, **options)


def read_lazily(memory: ad.AnnData, path: Path, elem: str = "X", chunks: Any = None) -> ad.AnnData:
    """Take one matrix of a file lazily; the file is closed again."""
    if path.suffix == ".zarr":
        return with_x(memory, read_elem_lazy(zarr.open_group(path, mode="r")[elem], chunks=chunks))
    with h5py.File(path) as file:
        return with_x(memory, read_elem_lazy(file[elem], chunks=chunks))


def with_x(memory: ad.AnnData, x: Any) -> ad.AnnData:
    return ad.AnnData(x, obs=memory.obs, var=memory.var)


def info_of(adata: ad.AnnData, **arguments: Any) -> Any:
    return scpdex.get.plan(adata, "group", **arguments).matrix


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("elem", ["X", "layers/l", "raw/X"])
@pytest.mark.parametrize("store", PLACES)
@pytest.mark.parametrize("form", FORMS)
def test_the_file_is_read(tmp_path, form, store, elem, method):
    """Results are those of the same data in memory in every bit, moments included, whatever the chunks."""
    memory = labelled(FORMS[form](values_of("float32")))
    memory.layers["l"] = memory.X
    memory.raw = memory
    path = tmp_path / f"x.{store}"
    write(memory, path)
    del memory.raw
    expected = by_scpdex(memory, "group", method=method, **EVERYTHING)
    for chunks in CHUNKS[form]:
        lazy = read_lazily(memory, path, elem, chunks)
        info = info_of(lazy, method=method)
        assert (type(info), info.format, info.place) == (ChunkedMatrix, form, PLACES[store])
        assert_same_bits(by_scpdex(lazy, "group", method=method, **EVERYTHING), expected)
        assert not open_files(tmp_path)


@pytest.mark.parametrize("form", ["dense", "CSR"])
def test_gzip(tmp_path, form):
    memory = labelled(FORMS[form](values_of("float32", 3000)))
    write(memory, tmp_path / "x.h5ad", compression="gzip")
    lazy = read_lazily(memory, tmp_path / "x.h5ad")
    assert isinstance(info_of(lazy), ChunkedMatrix)
    assert_same_bits(by_scpdex(lazy, "group", method="wilcoxon"), by_scpdex(memory, "group", method="wilcoxon"))


@pytest.mark.parametrize("scheduler", ["threads", "synchronous", "processes"])
def test_schedulers_of_this_machine(tmp_path, scheduler):
    memory = labelled(FORMS["CSR"](values_of("float32")))
    write(memory, tmp_path / "x.h5ad")
    with dask.config.set(scheduler=scheduler):
        assert isinstance(info_of(read_lazily(memory, tmp_path / "x.h5ad")), ChunkedMatrix)


def test_schedulers_that_the_user_brings(tmp_path):
    """dask computes what it was told to compute in a certain way."""
    memory = labelled(FORMS["CSR"](values_of("float32")))
    write(memory, tmp_path / "x.h5ad")
    lazy, calls = read_lazily(memory, tmp_path / "x.h5ad"), []

    def schedule(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return dask.local.get_sync(*arguments, **options)

    with dask.config.set(scheduler=schedule):
        assert isinstance(info_of(lazy), LocalDaskMatrix)
    assert calls
    with ThreadPoolExecutor(2) as pool, dask.config.set(scheduler=pool):
        assert isinstance(info_of(lazy), LocalDaskMatrix)


GRAPHS: dict[str, Callable[[Any], Any]] = {
    "a function": lambda x: x.map_blocks(lambda chunk: chunk),
    "arithmetic": lambda x: x * 2,
    "another dtype": lambda x: x.astype(np.float64),
    "rows": lambda x: x[::-1],
    "all rows, cut": lambda x: x[np.arange(300)],
    "other chunks": lambda x: x.rechunk((30, -1)),
    "itself below itself": lambda x: da.concatenate([x[:200], x[200:]]),
    "optimized": lambda x: dask.optimize(x.map_blocks(lambda chunk: 2 * chunk))[0],
}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("store", PLACES)
@pytest.mark.parametrize("form", ["dense", "CSR"])
def test_graphs_that_do_more(tmp_path, form, store, graph):
    """dask computes these, even if they give the very same values."""
    memory = labelled(FORMS[form](values_of("float32")))
    path = tmp_path / f"x.{store}"
    write(memory, path)
    lazy = read_lazily(memory, path)
    lazy.X = GRAPHS[graph](lazy.X)
    memory.X = FORMS[form](np.asarray(lazy.X.compute() if form == "dense" else lazy.X.compute().toarray()))
    assert isinstance(info_of(lazy), LocalDaskMatrix)
    assert_same_bits(by_scpdex(lazy, "group", method="wilcoxon"), by_scpdex(memory, "group", method="wilcoxon"))
    assert not open_files(tmp_path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stage", ["matrix._open_source.ChunkedSource.open", "work.make_plan", "execute.run_plan"])
def test_a_failed_call_leaves_no_file_open(tmp_path, monkeypatch, stage, form):
    """While its error is kept."""
    memory = labelled(FORMS[form](values_of("float32")))
    write(memory, tmp_path / "x.h5ad")
    lazy = read_lazily(memory, tmp_path / "x.h5ad")

    def fail(*_: Any, **__: Any) -> None:
        assert open_files(tmp_path)
        raise MemoryError

    monkeypatch.setattr(f"scpdex.{stage}", fail)
    with pytest.raises(MemoryError) as kept:
        scpdex.tl.rank_genes_parallel(lazy, "group")
    assert not open_files(tmp_path)
    assert kept.value


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_gone(tmp_path, form):
    memory = labelled(FORMS[form](values_of("float32")))
    write(memory, tmp_path / "x.h5ad")
    lazy = read_lazily(memory, tmp_path / "x.h5ad")
    (tmp_path / "x.h5ad").unlink()
    with pytest.raises(
        RuntimeError, match=r"^adata\.X is a dask array that could not .*: FileNotFoundError: .*x\.h5ad"
    ):
        scpdex.tl.rank_genes_parallel(lazy, "group")


@pytest.mark.parametrize("form", ["dense", "CSR"])
def test_a_file_that_has_another_shape_by_now(tmp_path, form):
    memory = labelled(FORMS[form](values_of("float32")))
    write(memory, tmp_path / "x.h5ad")
    lazy = read_lazily(memory, tmp_path / "x.h5ad")
    write(memory[:200].copy(), tmp_path / "x.h5ad")
    with pytest.raises(TypeError, match="has a chunk of 200 x 30 where its chunks say 300 x 30"):
        scpdex.tl.rank_genes_parallel(lazy, "group")


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    memory = labelled(FORMS["CSR"](values_of("float32")))
    write(memory, tmp_path / "x.h5ad")
    lazy = read_lazily(memory, tmp_path / "x.h5ad")
    states = iter([(1, 1), (1, 2)])
    monkeypatch.setattr("scpdex.matrix.chunked._stored_matrix.StoredMatrix.read_file_state", lambda _: next(states))
    with pytest.raises(ValueError, match=r"adata\.X in an HDF5 file cannot be right: it was changed while it was read"):
        scpdex.tl.rank_genes_parallel(lazy, "group")
    assert not open_files(tmp_path)
