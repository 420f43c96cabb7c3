"""Reads that fail and files that change: one clear error, nothing left, and the next call works (row 23)."""

import os
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import pytest
import zarr
from faults import ARGUMENTS, assert_fails_and_then_works, assert_nothing_is_left, open_tight
from scipy import sparse
from stored import FORMS, budget_for, labelled, on_disk, values_of, without_slack

import scpdex
from scpdex.matrix.chunked._stored_matrix import StoredMatrix

_refuse_changed = StoredMatrix.refuse_changed


class _Failing:
    """Raises at the n-th call."""

    def __init__(self, function: Any, n: int, error: BaseException) -> None:
        self.function, self.n, self.error = function, n, error

    def __get__(self, instance: Any, owner: Any) -> Any:
        return lambda *arguments, **options: self(instance, *arguments, **options)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.n -= 1
        if self.n == 0:
            raise self.error
        return self.function(*arguments, **options)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_a_read_that_fails(tmp_path, monkeypatch, scratch, form, n):
    """At the first read of values and half way."""
    adata, budget = open_tight(form, tmp_path, monkeypatch)
    # Chunks that are not decoded here are read by h5py.
    monkeypatch.setattr("scpdex.matrix.chunked._stored_matrix.raw_reader", lambda _: None)
    read = h5py.Dataset.__getitem__
    error = OSError("inflate() failed")
    # The index of a sparse matrix is read first.
    failing = _Failing(read, n + (form != "dense"), error)
    assert_fails_and_then_works(
        monkeypatch,
        adata,
        scratch,
        {"h5py.Dataset.__getitem__": failing},
        OSError,
        r"adata\.X in an HDF5 file could not be read; is the file whole\? The error was: inflate",
        max_memory=budget,
    )


STAGES = [
    "matrix.chunked._stored_matrix.StoredMatrix.read_run",
    "matrix.chunked._gene_major_pieces.transpose_rows",
    "machine.scratch_file.Scratch.write",
    "machine.scratch_file.Scratch.read",
    "matrix.chunked._gene_major_pieces.deal_out",
    "run._block_kernels.BlockKernels.add_up",
    "run._order_genes.adjust_pvals",
    "tl._rank_and_write.write_results",
]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("stage", STAGES)
def test_at_each_stage(tmp_path, monkeypatch, scratch, stage, error):
    """Ctrl-C, or a worker that raises, at the second call of each stage of rows that are sorted into genes."""
    adata, budget = open_tight("CSR", tmp_path, monkeypatch)
    from pkgutil import resolve_name

    name = f"scpdex.{stage}"
    n = 1 if stage.startswith(("tl", "run._order")) else 2
    patches = {name: _Failing(resolve_name(name), n, error())}
    assert_fails_and_then_works(monkeypatch, adata, scratch, patches, error, "", max_memory=budget)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize(
    "stage",
    ["run.strategies.row_passes.add_values", "run.strategies.row_passes.add_deviations", "run._apply_tests.welch_test"],
)
def test_at_each_stage_of_passes(tmp_path, monkeypatch, scratch, stage, error):
    from pkgutil import resolve_name

    without_slack(monkeypatch)
    adata = on_disk(labelled(sparse.csr_matrix(values_of("float32", 2000))), tmp_path, "h5ad")
    budget = budget_for(adata, "row passes", method="t-test")
    name = f"scpdex.{stage}"
    patches = {name: _Failing(resolve_name(name), 2, error())}
    assert_fails_and_then_works(
        monkeypatch, adata, scratch, patches, error, "", method="t-test", tie_correct=False, max_memory=budget
    )


@pytest.mark.parametrize("form", ["CSR", "CSC"])
@pytest.mark.parametrize(
    ("part", "place", "value"), [("indices", 50, 10**6), ("indices", 50, -1), ("indptr", 5, 10**9), ("indptr", 0, 1)]
)
def test_corrupt_indices(tmp_path, scratch, form, part, place, value):
    """Refused rather than followed."""
    adata = on_disk(labelled(FORMS[form](values_of("float32"))), tmp_path, "h5ad")
    path = adata.filename
    adata.file.close()
    with h5py.File(path, "r+") as file:
        file["X"][part][place] = value
    adata = ad.read_h5ad(path, backed="r")
    adata.uns["rank_genes_groups"] = "as before"
    with pytest.raises(ValueError, match=r"adata\.X in an HDF5 file cannot be right: it.* Was the file cut short"):
        scpdex.tl.rank_genes_parallel(adata, "group", **ARGUMENTS)
    assert_nothing_is_left(adata, scratch)


@pytest.mark.parametrize("form", FORMS)
def test_corrupt_chunks(tmp_path, scratch, form):
    """Compressed data that do not decompress."""
    adata = on_disk(labelled(FORMS[form](values_of("float32"))), tmp_path, "h5ad", compression="gzip")
    path = Path(adata.filename)
    adata.file.close()
    with h5py.File(path) as file:
        values = file["X"] if form == "dense" else file["X/data"]
        start = values.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[start + 10 : start + 40] = bytes(30)
    path.write_bytes(content)
    adata = ad.read_h5ad(path, backed="r")
    adata.uns["rank_genes_groups"] = "as before"
    with pytest.raises(OSError, match="could not be read; is the file whole"):
        scpdex.tl.rank_genes_parallel(adata, "group", **ARGUMENTS)
    assert_nothing_is_left(adata, scratch)


def test_corrupt_zarr(tmp_path, scratch):
    adata = on_disk(labelled(sparse.csr_matrix(values_of("float32"))), tmp_path, "zarr")
    adata.uns["rank_genes_groups"] = "as before"
    folder = next(tmp_path.glob("*.zarr"))
    for chunk in (folder / "X" / "data").rglob("*"):
        if chunk.is_file() and chunk.name[0] not in ".z":
            chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(OSError, match=r"adata\.X in a zarr store could not be read"):
        scpdex.tl.rank_genes_parallel(adata, "group", **ARGUMENTS)
    assert_nothing_is_left(adata, scratch)
    assert zarr.open(folder, mode="r")["X"].attrs["encoding-type"] == "csr_matrix"


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_changes(tmp_path, monkeypatch, scratch, form):
    """Found at the end, by the file's time and size."""
    adata, budget = open_tight(form, tmp_path, monkeypatch)
    assert_fails_and_then_works(
        monkeypatch,
        adata,
        scratch,
        {"scpdex.matrix.chunked._stored_matrix.StoredMatrix.refuse_changed": _after_a_change},
        ValueError,
        "it was changed while it was read",
        max_memory=budget,
    )


def _after_a_change(matrix: StoredMatrix) -> None:
    path = Path(matrix.values.file.filename)
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 10**9))
    _refuse_changed(matrix)


def test_values_that_change_between_passes(tmp_path, monkeypatch, scratch):
    """A count that was not there when values were tallied is noticed, not looked up."""
    without_slack(monkeypatch)
    adata = on_disk(labelled(sparse.csr_matrix(values_of("int32", 2000))), tmp_path, "h5ad")
    budget = budget_for(adata, "row passes", **ARGUMENTS)
    from scpdex.run import _tallies

    add = _tallies.add_twice_midranks

    def add_changed(keys: Any, *others: Any) -> bool:
        changed = keys.copy()
        changed[-1] = 0xFFFFFFFF if keys.itemsize == 4 else 0xFFF0000000000000
        return add(changed, *others)

    assert_fails_and_then_works(
        monkeypatch,
        adata,
        scratch,
        {"scpdex.run._tallies.add_twice_midranks": add_changed},
        ValueError,
        "its values were changed while it was read",
        max_memory=budget,
    )
