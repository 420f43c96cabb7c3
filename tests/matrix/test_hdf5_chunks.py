"""Chunks of HDF5 files: what is decoded here is what h5py reads, and what cannot be is left to h5py."""

import h5py
import numpy as np
import pytest

from scpdex.matrix.chunked import _hdf5_chunks
from scpdex.matrix.chunked._hdf5_chunks import RawRun, raw_reader

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
