"""Row 40: positions beyond 2**31 from indices of 32 bits, without holding the values (row 17 too)."""

import numpy as np
import pytest
from oracles import assert_same_bits
from scipy import sparse
from stored import FORMS, in_chunks, labelled, on_disk, values_of

import scpdex
from scpdex.matrix.memory._sparse import widen_indices

MOST = np.iinfo(np.int32).max


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array])
@pytest.mark.parametrize(("n_values", "width"), [(MOST, 4), (MOST + 1, 8), (1 << 40, 8)])
def test_indices_that_can_count_repeated_rows(kind, n_values, width):
    """Row 17: the sum of scipy's row lengths has the width of the indices."""
    matrix = kind(values_of("float32"))
    assert matrix.indices.itemsize == 4
    wide = widen_indices(matrix, n_values)
    assert wide.indices.itemsize == wide.indptr.itemsize == width
    rows = np.array([3, 3, 0, 299, 3])
    np.testing.assert_array_equal(wide[rows].toarray(), matrix.toarray()[rows])


@pytest.mark.parametrize("place", ["memory", "h5ad", "dask"])
@pytest.mark.parametrize("form", FORMS)
def test_repeated_rows_with_wide_indices(monkeypatch, tmp_path, form, place):
    """Row 17: views that repeat cells, where 32 bits are declared to be too few for their values."""
    monkeypatch.setattr("scpdex.matrix.memory._sparse._MAX_INT32", 10)
    adata = labelled(FORMS[form](values_of("float32")))
    stored = {
        "memory": lambda: adata,
        "h5ad": lambda: on_disk(adata, tmp_path, "h5ad"),
        "dask": lambda: in_chunks(adata, 70, 30),
    }[place]()
    rows = np.random.default_rng(0).integers(0, adata.n_obs, 500)
    arguments = {"method": "wilcoxon", "copy": True}
    repeated = scpdex.tl.rank_genes_parallel(stored[rows], "group", **arguments)
    expected = scpdex.tl.rank_genes_parallel(adata[rows].copy(), "group", **arguments)
    assert_same_bits(repeated.uns["rank_genes_groups"], expected.uns["rank_genes_groups"])
