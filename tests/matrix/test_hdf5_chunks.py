"""Chunks of HDF5 files: what is decoded here is what h5py reads, and what cannot be is left to h5py."""

import zlib
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
from oracles import by_scpdex
from stored import FORMS, budget_for, labelled, on_disk, values_of, without_slack

import scpdex
from scpdex.matrix.chunked import _hdf5_chunks
from scpdex.matrix.chunked._hdf5_chunks import RawRun, raw_reader

# 144 values in chunks of 10, gzipped but for the last, which HDF5 was asked to leave as it is.
PARTIAL = Path(__file__).parents[1] / "data" / "unfiltered_partial_chunks.h5ad"

DECODED = {
    "plain": {},
    "gzip": {"compression": "gzip"},
    "gzip 9, shuffled": {"compression": "gzip", "compression_opts": 9, "shuffle": True},
    "shuffled": {"shuffle": True},
}


@pytest.fixture(params=DECODED.values(), ids=DECODED.keys())
def file(request: pytest.FixtureRequest, tmp_path_factory) -> h5py.File:
    path = tmp_path_factory.mktemp("chunks") / "x.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for dtype in ("float32", "float64", "int32", "int64", "uint16", "int8", ">f4"):
            values = (rng.random(1003) * 100).astype(dtype)
            file.create_dataset(dtype, data=values, chunks=(100,), maxshape=(None,), **request.param)
    with h5py.File(path) as file:
        yield file


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint16", "int8", ">f4"])
def test_decoded(file, dtype, monkeypatch):
    monkeypatch.setattr("scpdex.matrix.chunked._hdf5_chunks._MIN_CHUNKS", 0)
    for start, stop in ((0, 1003), (0, 1), (99, 101), (100, 200), (250, 1003), (1000, 1003), (1002, 1003)):
        values = raw_reader(file[dtype])(start, stop).decode(None)
        np.testing.assert_array_equal(values, file[dtype][start:stop], strict=True)


def test_short_runs(file):
    """Chunks are held whole, which is too much for a few values."""
    read = raw_reader(file["float32"])
    assert isinstance(read(0, 500), RawRun)
    np.testing.assert_array_equal(read(150, 260), file["float32"][150:260], strict=True)


def test_left_to_h5py(tmp_path):
    """Other filters, types and layouts."""
    values = np.arange(1000, dtype=np.float32)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        create = file.create_dataset
        others = [
            create("contiguous", data=values),
            create("lzf", data=values, chunks=(100,), compression="lzf"),
            create("checksums", data=values, chunks=(100,), fletcher32=True),
            create("scaled", data=values.astype(int), chunks=(100,), scaleoffset=0),
            create("complex", data=values.astype(np.complex64), chunks=(100,)),
            create("bool", data=values > 3, chunks=(100,)),
            create("half written", shape=(1000,), dtype="f4", chunks=(100,)),
            create("two-dimensional", data=values.reshape(10, 100), chunks=(10, 10)),
        ]
        file["half written"][:100] = 1
        assert [raw_reader(dataset) for dataset in others] == [None] * len(others)
        assert raw_reader(values) is None


def test_a_further_filter_is_one_line(tmp_path, monkeypatch):
    """Checksums, which HDF5 puts behind the bytes of a chunk, as if someone had added them to the table."""
    values = np.arange(1000, dtype=np.float32)
    monkeypatch.setitem(_hdf5_chunks._UNDO_FILTER, h5py.h5z.FILTER_FLETCHER32, lambda chunk, *_: chunk[:-4])
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("x", data=values, chunks=(100,), fletcher32=True, compression="gzip")
        read = raw_reader(dataset)
        assert isinstance(read(0, 1000), RawRun)
        np.testing.assert_array_equal(read(0, 1000).decode(None), values, strict=True)


def test_partial_chunks_that_are_not_filtered(monkeypatch):
    """The file does not mark them: their filter mask is 0, as if they were compressed."""
    monkeypatch.setattr("scpdex.matrix.chunked._hdf5_chunks._MIN_CHUNKS", 0)
    with h5py.File(PARTIAL) as file:
        for name in ("data", "indices"):
            dataset = file["X"][name]
            for start, stop in ((0, 144), (0, 140), (135, 144), (141, 143), (60, 70)):
                run = raw_reader(dataset)(start, stop)
                assert isinstance(run, RawRun)
                np.testing.assert_array_equal(run.decode(None), dataset[start:stop], strict=True)
    ranked = by_scpdex(ad.read_h5ad(PARTIAL, backed="r"), "group", method="wilcoxon")
    expected = by_scpdex(ad.read_h5ad(PARTIAL), "group", method="wilcoxon")
    assert all((ranked[name] == expected[name]).all() for name in ("names", "scores", "pvals"))


FAULTS = {
    "cut short": lambda chunk: chunk[: len(chunk) // 2],
    "a bit flipped": lambda chunk: bytes([*chunk[:20], chunk[20] ^ 16, *chunk[21:]]),
    "zeros": lambda chunk: bytes(len(chunk)),
    "one byte": lambda chunk: chunk[:1],
    "of fewer values": lambda _: zlib.compress(bytes(396)),
    "of more values": lambda _: zlib.compress(bytes(404)),
}


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("damage", FAULTS.values(), ids=FAULTS)
def test_damaged_chunks(tmp_path, damage, shuffle):
    """No wrong numbers, whichever part of a chunk is damaged."""
    values = np.arange(1000, dtype=np.float32)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("x", data=values, chunks=(100,), compression="gzip", shuffle=shuffle)
        dataset.id.write_direct_chunk((300,), damage(dataset.id.read_direct_chunk((300,))[1]))
        run = raw_reader(dataset)(0, 1000)
        with pytest.raises(ValueError, match=r"a chunk (of|has)"):
            run.decode(None)


@pytest.mark.parametrize("strategy", ["loaded rows", "row buckets"])
@pytest.mark.parametrize("array", ["data", "indices"])
@pytest.mark.parametrize(
    ("damage", "decodes"),
    [
        *((damage, True) for damage in FAULTS.values()),
        # HDF5 does not compare the length of what it has decompressed.
        *((damage, False) for name, damage in FAULTS.items() if "values" not in name),
    ],
    ids=[
        *(f"{name}, decoded here" for name in FAULTS),
        *(f"{name}, by h5py" for name in FAULTS if "values" not in name),
    ],
)
def test_files_with_a_damaged_chunk(tmp_path, monkeypatch, damage, decodes, array, strategy):
    """An error that names the matrix, and no result, also where a view has every other cell."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.matrix.chunked._hdf5_chunks._MIN_CHUNKS", 0)
    if not decodes:
        monkeypatch.setattr("scpdex.matrix.chunked._stored_matrix.raw_reader", lambda _: None)
    path = tmp_path / "x.h5ad"
    labelled(FORMS["CSR"](values_of("float32", 2000))).write_h5ad(path)
    whole = ad.read_h5ad(path, backed="r")
    budget = budget_for(whole, strategy, method="wilcoxon") if strategy == "row buckets" else "1GB"
    arguments = {"max_memory": budget, "method": "wilcoxon"}
    assert scpdex.get.plan(whole, "group", **arguments).strategy == strategy
    whole.file.close()
    with h5py.File(path, "r+") as file:
        content, attributes = file["X"][array][:], dict(file["X"][array].attrs)
        del file["X"][array]
        dataset = file["X"].create_dataset(array, data=content, chunks=(100,), compression="gzip")
        dataset.attrs.update(attributes)
        dataset.id.write_direct_chunk((10_000,), damage(dataset.id.read_direct_chunk((10_000,))[1]))
    adata = ad.read_h5ad(path, backed="r")
    for data in (adata, adata[::2]):
        with pytest.raises(OSError, match=r"adata\.X in an HDF5 file could not be read; is the file whole\?"):
            scpdex.tl.rank_genes_parallel(data, "group", copy=True, **arguments)
    assert not adata.uns


@pytest.mark.parametrize("form", ["CSR", "dense"])
def test_filters_that_h5py_lacks(tmp_path, form):
    """Named before any work, with what to do."""
    adata = on_disk(labelled(FORMS[form](values_of("float32"))), tmp_path, "h5ad")
    path = adata.filename
    adata.file.close()
    with h5py.File(path, "r+") as file:
        group, name = (file, "X") if form == "dense" else (file["X"], "data")
        values, attributes = group[name][:], dict(group[name].attrs)
        del group[name]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(values.shape)
        properties.set_filter(32_001, h5py.h5z.FLAG_OPTIONAL)
        space, kind = h5py.h5s.create_simple(values.shape), h5py.h5t.py_create(values.dtype)
        dataset = h5py.Dataset(h5py.h5d.create(group.id, name.encode(), kind, space, properties))
        dataset.attrs.update(attributes)
        # As if it had been compressed.
        dataset.id.write_direct_chunk((0,) * values.ndim, values.tobytes(), filter_mask=0)
    with pytest.raises(OSError, match=r"adata\.X .* h5py lacks the filter 32001: install hdf5plugin, and import"):
        scpdex.tl.rank_genes_parallel(ad.read_h5ad(path, backed="r"), "group")
