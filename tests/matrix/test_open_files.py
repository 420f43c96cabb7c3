"""Writes to an HDF5 file that is open: the user's own before a call are no change while it is read; later ones are."""

import os
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import pytest
from oracles import assert_same_bits, by_scpdex
from stored import FORMS, TESTS, labelled, values_of

import scpdex
from scpdex.matrix.chunked._stored_matrix import StoredMatrix

# Long runs of raw chunks, values of one piece that lies together, and what h5py alone decodes.
LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": True},
    "gzip": {"chunks": True, "compression": "gzip", "shuffle": True},
    "lzf": {"chunks": True, "compression": "lzf"},
    "contiguous": {"chunks": None},
}


def written(folder: Path, form: str, layout: str) -> tuple[Path, ad.AnnData]:
    """Write an object whose X lies so in its file, and give it in memory too."""
    path = folder / "x.h5ad"
    memory = labelled(FORMS[form](values_of("float32", 3000)))
    memory.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        for name in ("X",) if form == "dense" else ("X/data", "X/indices"):
            values, attributes = file[name][:], dict(file[name].attrs)
            options = dict(LAYOUTS[layout])
            if options["chunks"]:
                options["chunks"] = (16, *values.shape[1:])
            del file[name]
            file.create_dataset(name, data=values, **options).attrs.update(attributes)
    return path, memory


def set_back(path: Path) -> None:
    """Make the file older than any write from now on, whatever the resolution of its times."""
    os.utime(path, ns=(10**18, 10**18))


def assert_ranks(backed: ad.AnnData, memory: ad.AnnData, path: Path, dirty: Any) -> None:
    for method in TESTS:
        set_back(path)
        dirty()
        assert_same_bits(by_scpdex(backed, "group", method=method), by_scpdex(memory, "group", method=method))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["r+", "r"])
def test_own_writes_before_a_call(tmp_path, mode, form, layout):
    """Through the object itself, or a handle of the user's beside one that only reads."""
    path, memory = written(tmp_path, form, layout)
    # HDF5 keeps so few chunks that reading makes it write those that wait.
    with h5py.File(path, "r+", rdcc_nbytes=4096) as file:
        backed = ad.read_h5ad(path, backed=mode)
        values = file["X"] if form == "dense" else file["X/data"]
        other = file.create_dataset("other", shape=(1000, 10), chunks=(10, 10), dtype=float)

        def dirty() -> None:
            in_memory = memory.X if form == "dense" else memory.X.data
            last = (-1, 3) if form == "dense" else -1
            values[last] = in_memory[last] = float(in_memory[last]) + 1
            values[:3] = in_memory[:3] = in_memory[:3] * 2
            other[:] = 7

        assert_ranks(backed, memory, path, dirty)
        backed.file.close()


@pytest.mark.parametrize("driver", ["core", "sec2", "stdio"])
def test_a_dataset_that_is_held(tmp_path, driver):
    """An h5py dataset as X; the core driver has no file behind it until it is closed."""
    memory = labelled(values_of("float32", 3000))
    with h5py.File(tmp_path / "x.h5", "w", driver=driver, rdcc_nbytes=4096) as file:
        held = file.create_dataset("x", data=memory.X, chunks=(70, 5))
        backed = ad.AnnData(obs=memory.obs.copy(), var=memory.var.copy())
        backed.X = held

        def dirty() -> None:
            held[0] = memory.X[0] = memory.X[0] + 1

        if not isinstance(backed.X, h5py.Dataset):
            pytest.skip("this anndata brings it to memory")
        if driver == "core":
            dirty()
            assert_same_bits(by_scpdex(backed, "group"), by_scpdex(memory, "group"))
        else:
            assert_ranks(backed, memory, tmp_path / "x.h5", dirty)


@pytest.mark.parametrize("writer", ["own", "own, other dataset, flushed", "another process"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["r+", "r"])
def test_writes_during_a_call(tmp_path, monkeypatch, mode, form, writer):
    """By a thread of the user's, or by who does not share the file's handle."""
    path, _ = written(tmp_path, form, "chunks")
    file = h5py.File(path, "r+") if writer != "another process" else None
    backed = ad.read_h5ad(path, backed=mode)
    other = file.create_dataset("other", shape=10, dtype=float) if file else None
    set_back(path)
    refuse_changed = StoredMatrix.refuse_changed

    def write_and_refuse(matrix: StoredMatrix) -> None:
        if file is None:
            with path.open("r+b") as stream:
                stream.seek(-1, os.SEEK_END)
                stream.write(b"x")
        elif writer == "own":
            (file["X"] if form == "dense" else file["X/data"])[:1] = 5
        else:
            other[:] = 5
            file.flush()
        refuse_changed(matrix)

    monkeypatch.setattr(StoredMatrix, "refuse_changed", write_and_refuse)
    with pytest.raises(ValueError, match="it was changed while it was read"):
        scpdex.tl.rank_genes_parallel(backed, "group", method="wilcoxon")
    monkeypatch.undo()
    backed.file.close()
    if file:
        file.close()


def test_reading_changes_no_file(tmp_path):
    """A flush of nothing writes nothing."""
    path, memory = written(tmp_path, "CSR", "gzip")
    path.chmod(0o400)
    set_back(path)
    before, content = path.stat().st_mtime_ns, path.read_bytes()
    backed = ad.read_h5ad(path, backed="r")
    result = by_scpdex(backed, "group", method="wilcoxon")
    backed.file.close()
    assert (path.stat().st_mtime_ns, path.read_bytes()) == (before, content)
    assert_same_bits(result, by_scpdex(memory, "group", method="wilcoxon"))
