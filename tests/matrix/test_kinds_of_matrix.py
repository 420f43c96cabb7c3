"""Matrices in memory of every dtype and class, and sparse ones whose indices are out of order or wrong."""

import anndata as ad
import numpy as np
import pytest
from oracles import assert_same_bits, assert_same_numbers, by_scpdex
from scipy import sparse
from small import METHODS, small, three, tied

import scpdex


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sparse_format", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
def test_unsorted_and_repeated_indices(sparse_format, method):
    """Row 5: the numbers of the canonical matrix; X untouched."""
    rng = np.random.default_rng(3)
    major, minor = (60, 12) if sparse_format.startswith("csr") else (12, 60)
    indptr = np.arange(0, major * 8 + 1, 8)
    indices = rng.integers(0, minor, major * 8)
    data = rng.choice([0.5, 1, 2], major * 8)
    matrix = getattr(sparse, sparse_format)((data, indices, indptr), shape=(60, 12))
    adata = small(matrix, three())
    canonical = matrix.copy()
    canonical.sum_duplicates()
    assert canonical.nnz < matrix.nnz
    arguments = {"method": method, "tie_correct": True, "pts": True}
    scpdex.tl.rank_genes_parallel(adata, "label", **arguments)
    assert_same_bits(adata.uns["rank_genes_groups"], by_scpdex(small(canonical, three()), "label", **arguments))
    np.testing.assert_array_equal(adata.X.data, data)
    np.testing.assert_array_equal(adata.X.indices, indices)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("fault", ["unsorted", "repeated"])
@pytest.mark.parametrize("sparse_format", ["csr", "csc"])
def test_indices_of_the_last_row_or_column(sparse_format, fault, n_jobs):
    """Row 5: one that is unsorted, or has an index twice and in order, is noticed by whichever thread looks at it."""
    matrix = sparse.csr_matrix(tied()).asformat(sparse_format)
    indices = matrix.indices.copy()
    last = indices[matrix.indptr[-2] :]
    assert last.size > 2
    last[:] = last[::-1].copy() if fault == "unsorted" else [last[0], *last[:-1]]
    adata = small(type(matrix)((matrix.data, indices, matrix.indptr), shape=matrix.shape), three())
    arguments = {"method": "wilcoxon", "tie_correct": True, "pts": True}
    expected = by_scpdex(small(adata.X.toarray(), three()), "label", **arguments)
    assert_same_bits(by_scpdex(adata, "label", n_jobs=n_jobs, gene_chunk_size=5, **arguments), expected)


@pytest.mark.parametrize(
    "dtype", ["bool", "float16", ">f8", "<f2", "longdouble", "complex64", "object", "datetime64[s]"]
)
def test_dtypes(dtype):
    """Row 22: works, or is a TypeError at the start. (The other dtypes are held against scanpy.)"""
    values = tied().astype(dtype)
    adata = small(np.zeros((60, 12)), three())
    adata.layers["x"] = values
    if dtype in {"longdouble", "complex64", "object", "datetime64[s]"}:
        with pytest.raises(TypeError, match=r"adata\.layers\['x'\] has dtype .* floats of up to 64 bits can be ranked"):
            scpdex.tl.rank_genes_parallel(adata, "label", layer="x")
    else:
        expected = by_scpdex(small(values.astype(np.float64), three()), "label", method="wilcoxon", tie_correct=True)
        assert_same_numbers(by_scpdex(adata, "label", layer="x", method="wilcoxon", tie_correct=True), expected)


def test_integers_beyond_float64():
    """Row 22: integers that float64 cannot tell apart are refused rather than tied."""
    adata = small(np.arange(720).reshape(60, 12) + (1 << 53), three())
    with pytest.raises(ValueError, match="2\\*\\*53"):
        scpdex.tl.rank_genes_parallel(adata, "label")


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_np_matrix():
    """Row 22: np.matrix ranks like the array that it is."""
    adata = small(np.zeros((60, 12)), three())
    adata.layers["x"] = tied()
    expected = by_scpdex(adata, "label", layer="x", method="wilcoxon")
    adata.layers._data["x"] = np.matrix(tied())
    scpdex.tl.rank_genes_parallel(adata, "label", layer="x", method="wilcoxon")
    for field in ("names", "scores", "pvals"):
        np.testing.assert_array_equal(adata.uns["rank_genes_groups"][field], expected[field])


@pytest.mark.parametrize("kind", [sparse.coo_matrix, sparse.lil_matrix, np.ma.masked_array, list])
def test_other_kinds_of_matrix(monkeypatch, kind):
    """Row 22: a TypeError at the start that says what to do."""
    adata = small(tied(), three())
    monkeypatch.setattr(ad.AnnData, "X", kind(tied()))
    with pytest.raises(TypeError, match="convert it to a numpy array or to a scipy CSR or CSC matrix"):
        scpdex.tl.rank_genes_parallel(adata, "label")
