"""What a failed call leaves while its error is kept, as notebooks keep it: no thread, and no chunk of a dask array."""

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import dask
import numpy as np
import pytest
from scipy import sparse
from stored import FORMS, TESTS, labelled, on_disk, values_of

import scpdex

VALUES = values_of("float32")


class Chunks:
    """A lazy object whose computed chunks are known, of which some cannot be ranked."""

    def __init__(self, form: str, change: Callable[[Any], Any], places: set[int], *, shared: bool = False) -> None:
        self.computed: list[weakref.ref[Any]] = []

        def make(chunk: np.ndarray, block_info: Any = None) -> Any:
            i = block_info[0]["chunk-location"][0] if block_info else 0
            found = FORMS[form](np.array(chunk))
            found = change(found) if i in places else found
            self.computed.append(weakref.ref(found))
            return found

        self.adata = labelled(VALUES)
        x = dask.array.from_array(VALUES, chunks=(20, -1)).map_blocks(make, meta=FORMS[form](VALUES[:0]))
        # Some cells each of several chunks, which are kept for one another.
        self.adata.X = x.rechunk((30, -1)) if shared else x

    def assert_none_is_left(self) -> None:
        gc.collect()
        assert self.computed
        assert not [chunk for chunk in self.computed if chunk() is not None]
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("scpdex")]


def _raise(_: Any) -> Any:
    msg = "the disk is gone"
    raise OSError(msg)


CHANGES: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "shape": (lambda x: x[:-1], TypeError, "has a chunk of 19 x 30"),
    "kind": (sparse.coo_matrix, TypeError, "has chunks of scipy.sparse"),
    "dtype": (lambda x: x.astype(np.float64), TypeError, r"has chunks of float(32|64) and of float"),
    "complex": (lambda x: x.astype(np.complex64), TypeError, "has dtype complex64"),
    "raises": (_raise, RuntimeError, "could not be computed: OSError: the disk is gone"),
}


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("places", [{0}, {5}], ids=["looked at", "later"])
@pytest.mark.parametrize("form", ["dense", "CSR"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_chunk_that_is_refused(change, form, places, method, scheduler):
    if change == "raises" and scheduler == "synchronous":
        pytest.skip("frames of dask's own, below that of the function that raised, hold its results")
    fault, error, message = CHANGES[change]
    chunks = Chunks(form, fault, places)
    with pytest.raises(error, match=message) as kept, dask.config.set(scheduler=scheduler):
        scpdex.tl.rank_genes_parallel(chunks.adata, "group", method=method, n_jobs=2)
    chunks.assert_none_is_left()
    assert kept.value.__traceback__ is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"max_memory": 1000}, "is too little")],
)
@pytest.mark.parametrize("verb", [scpdex.tl.rank_genes_parallel, scpdex.get.plan])
def test_a_plan_that_fails(monkeypatch, verb, arguments, message):
    """After some chunks were looked at."""
    monkeypatch.setattr("scpdex.plan.memory_model.BYTES_PER_GENE", 1 << 20)
    chunks = Chunks("CSR", lambda x: x, set())
    with pytest.raises(ValueError, match=message) as kept:
        verb(chunks.adata, "group", **arguments)
    chunks.assert_none_is_left()
    assert kept.value


@pytest.mark.parametrize(
    "stage",
    [
        "matrix.dask._dask_source._estimate",
        "work.make_plan",
        "matrix.dask._on_this_machine.LocalChunks.limit_kept_bytes",
        "matrix.chunked._gene_major_pieces.transpose_rows",
        "run._partial_sums.gather_pieces",
        "run._block_kernels.BlockKernels.add_up",
        "run._order_genes.adjust_pvals",
    ],
)
@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_any_stage_that_fails(monkeypatch, stage, error):
    chunks = Chunks("CSR", lambda x: x, set(), shared=True)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"scpdex.{stage}", fail)
        with pytest.raises(error) as kept:
            scpdex.tl.rank_genes_parallel(
                chunks.adata, "group", method="t-test" if "partial_sums" in stage else "wilcoxon"
            )
    chunks.assert_none_is_left()
    assert kept.value


def test_not_finite():

    def spoil(x: Any) -> Any:
        x.data[0] = np.nan
        return x

    chunks = Chunks("CSR", spoil, {5})
    with pytest.raises(ValueError, match="1 NaN or infinite") as kept:
        scpdex.tl.rank_genes_parallel(chunks.adata, "group", method="wilcoxon")
    chunks.assert_none_is_left()
    assert kept.value


def test_blocks_of_other_storages(tmp_path, monkeypatch):
    """The matrix that rows were loaded into goes with the call."""
    adata = on_disk(labelled(FORMS["CSR"](VALUES)), tmp_path, "h5ad")
    loaded = []
    from scpdex.matrix import RowStream

    load = RowStream.load

    def spy(*arguments: Any) -> Any:
        matrix = load(*arguments)
        loaded.append(weakref.ref(matrix))
        return matrix

    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(RowStream, "load", spy)
    monkeypatch.setattr("scpdex.run._block_kernels.BlockKernels.add_up", fail)
    with pytest.raises(MemoryError) as kept:
        scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon")
    gc.collect()
    assert len(loaded) == 1
    assert loaded[0]() is None
    assert kept.value
