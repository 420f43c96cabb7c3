"""An array-like store: shape, dtype and basic slicing are enough, and one line of a table makes it known."""

from typing import Any

import numpy as np
import pytest
from oracles import assert_same_bits, by_scpdex
from stored import TESTS, labelled, values_of

import scpdex
from scpdex.matrix.chunked import _array_stores


class Store:
    """An array of which slices come as plain buffers, in chunks or not."""

    def __init__(self, values: np.ndarray, chunks: tuple[int, int] | None) -> None:
        self._values = values
        self.shape, self.dtype, self.chunks = values.shape, values.dtype, chunks

    def __getitem__(self, key: Any) -> memoryview:
        assert all(isinstance(index, slice) for index in key)
        return memoryview(np.ascontiguousarray(self._values[key]))


@pytest.mark.parametrize("arguments", [{}, {"gene_chunk_size": 7, "n_jobs": 2}, {"normalize": 1e4}], ids=str)
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("chunks", [None, (70, 7)])
def test_same_bits(monkeypatch, chunks, method, arguments):
    """Whole, and views of cells in another order and of some genes."""
    monkeypatch.setitem(_array_stores.PLACE_OF_ARRAYS, Store, "in a test store")
    memory = labelled(values_of("int32").astype(np.float32))
    store = Store(memory.X, chunks)
    for cells, genes in ((slice(None), slice(None)), (np.arange(300)[::-2], slice(None, None, 3))):
        expected = by_scpdex(memory[cells, genes].copy(), "group", method=method, **arguments)
        with monkeypatch.context() as patch:
            patch.setattr("scpdex.matrix._anndata._read_x", lambda _: store)
            view = memory[cells, genes]
            plan = scpdex.get.plan(view, "group", method=method, **arguments)
            assert "in a test store" in repr(plan)
            ranked = scpdex.tl.rank_genes_parallel(view, "group", method=method, copy=True, **arguments)
        assert_same_bits(ranked.uns["rank_genes_groups"], expected)
