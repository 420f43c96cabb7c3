"""The contract: the same call gives scanpy's numbers in scanpy's place. scanpy itself is the oracle."""

from functools import cache
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from oracles import SCANPY_TESTS, assert_same_bits, assert_same_numbers, by_scanpy, by_scpdex
from scipy import sparse

GROUPBY = "bulk_labels"

# All of these hold the numbers of `_whole_numbers` exactly.
DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", ">f4", ">i4"]


@cache
def _whole_numbers() -> ad.AnnData:
    """The PBMCs with values 0 ... 50 in X, and no raw."""
    adata = sc.datasets.pbmc68k_reduced()
    values = np.round(adata.raw.X.toarray() * 10).astype(np.float64)
    return ad.AnnData(values, obs=adata.obs[[GROUPBY]], var=adata.var[[]])


def _whole_numbers_as(sparse_format: str | None, dtype: str) -> ad.AnnData:
    """The same numbers in another storage and dtype."""
    expected = _whole_numbers()
    values = expected.X.astype(dtype)
    if sparse_format is not None:
        values = getattr(sparse, f"{sparse_format}_matrix")(expected.X)
        # scipy's constructors take no foreign byte orders
        values.data = values.data.astype(dtype)
    adata = ad.AnnData(values, obs=expected.obs, var=expected.var)
    assert adata.X.dtype == np.dtype(dtype)
    return adata


@cache
def _scanpys_whole_numbers(**arguments: Any) -> dict[str, Any]:
    return by_scanpy(_whole_numbers(), GROUPBY, **arguments)


@cache
def _scanpys_pbmc(**arguments: Any) -> dict[str, Any]:
    return by_scanpy(sc.datasets.pbmc68k_reduced(), GROUPBY, **arguments)


@pytest.mark.parametrize("pts", [False, True], ids=["", "pts"])
@pytest.mark.parametrize("tie_correct", [False, True], ids=["", "tie_correct"])
@pytest.mark.parametrize("reference", ["rest", "Dendritic"])
@pytest.mark.parametrize("method", SCANPY_TESTS)
def test_every_storage(pbmc, storage, method, reference, tie_correct, pts):
    adata = ad.AnnData(storage(pbmc.raw.X.toarray()), obs=pbmc.obs, var=pbmc.raw.var)
    arguments = {"method": method, "reference": reference, "tie_correct": tie_correct, "pts": pts}
    assert_same_numbers(by_scpdex(adata, GROUPBY, **arguments), _scanpys_pbmc(**arguments))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reference", ["rest", "Dendritic"])
@pytest.mark.parametrize("method", SCANPY_TESTS)
@pytest.mark.parametrize("sparse_format", [None, "csr", "csc"])
def test_every_dtype(sparse_format, method, reference, dtype):
    adata = _whole_numbers_as(sparse_format, dtype)
    arguments = {"method": method, "reference": reference, "tie_correct": True, "pts": True}
    assert_same_numbers(by_scpdex(adata, GROUPBY, **arguments), _scanpys_whole_numbers(**arguments))


@pytest.mark.parametrize("reference", ["rest", "Dendritic"])
@pytest.mark.parametrize("method", SCANPY_TESTS)
@pytest.mark.parametrize(
    "arguments",
    [
        {"use_raw": False},
        {"n_genes": 7},
        {"rankby_abs": True},
        {"groups": ["CD19+ B", "CD14+ Monocyte"], "pts": True},
        {"corr_method": "bonferroni"},
        {"mask_var": "few", "pts": True},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_every_argument(pbmc, method, reference, arguments):
    pbmc.var["few"] = np.arange(pbmc.n_vars) % 3 == 0
    arguments = {"method": method, "reference": reference, **arguments}
    ours, scanpys = by_scpdex(pbmc, GROUPBY, **arguments), by_scanpy(pbmc, GROUPBY, **arguments)
    if "rankby_abs" in arguments or "n_genes" in arguments:
        for group in scanpys["names"].dtype.names:
            np.testing.assert_allclose(np.abs(ours["scores"][group]), np.abs(scanpys["scores"][group]), rtol=1e-6)
            equal = np.isin(ours["names"][group], scanpys["names"][group])
            assert equal.mean() > 0.99 if "rankby_abs" in arguments else equal.sum() >= equal.size - 1
    else:
        assert_same_numbers(ours, scanpys)


@pytest.mark.parametrize("reference", ["rest", "Dendritic"])
@pytest.mark.parametrize("groups", ["all", ["CD34+", "CD19+ B", "CD56+ NK"], ["CD56+ NK", "CD19+ B"]])
@pytest.mark.parametrize("storage_of_x", ["raw", "X"])
def test_logistic_regression(pbmc, storage_of_x, groups, reference):
    arguments = {
        "method": "logreg",
        "groups": groups,
        "reference": reference,
        "use_raw": storage_of_x == "raw",
        "max_iter": 300,
        "n_genes": 30,
        "mask_var": np.arange(pbmc.n_vars) % 10 == 0,
    }
    ours, scanpys = by_scpdex(pbmc, GROUPBY, **arguments), by_scanpy(pbmc, GROUPBY, **arguments)
    assert ours.keys() == scanpys.keys() == {"params", "names", "scores"}
    assert ours["names"].dtype == scanpys["names"].dtype
    for group in scanpys["names"].dtype.names:
        np.testing.assert_allclose(ours["scores"][group], scanpys["scores"][group], rtol=1e-6)
        np.testing.assert_array_equal(ours["names"][group], scanpys["names"][group])


@pytest.mark.parametrize("tie_correct", [False, True], ids=["", "tie_correct"])
@pytest.mark.parametrize("reference", ["rest", "non-targeting"])
@pytest.mark.parametrize("method", SCANPY_TESTS)
def test_papalexi(papalexi, method, reference, tie_correct):
    arguments = {"method": method, "reference": reference, "tie_correct": tie_correct, "pts": True}
    assert_same_numbers(by_scpdex(papalexi, "gene", **arguments), by_scanpy(papalexi, "gene", **arguments))


@pytest.mark.parametrize("reference", ["rest", "non-targeting"])
@pytest.mark.parametrize("method", SCANPY_TESTS)
def test_papalexi_raw_counts(papalexi_counts, method, reference):
    arguments = {"method": method, "reference": reference, "tie_correct": True, "pts": True}
    scanpys = by_scanpy(papalexi_counts, "gene", **arguments)
    assert_same_numbers(by_scpdex(papalexi_counts, "gene", **arguments), scanpys)


@pytest.mark.parametrize("reference", ["rest", "B cells"])
def test_pbmc3k(pbmc3k, reference):
    arguments = {"method": "wilcoxon", "reference": reference, "tie_correct": True}
    assert_same_numbers(by_scpdex(pbmc3k, "louvain", **arguments), by_scanpy(pbmc3k, "louvain", **arguments))


@pytest.mark.parametrize("method", SCANPY_TESTS[1:2])
def test_pbmc3k_t_test(pbmc3k, method):
    assert_same_numbers(by_scpdex(pbmc3k, "louvain", method=method), by_scanpy(pbmc3k, "louvain", method=method))


@pytest.mark.parametrize("dtype", [">f4", ">i4", "int64", "uint8"])
@pytest.mark.parametrize("sparse_format", [None, "csr", "csc"])
def test_logistic_regression_of_every_dtype(sparse_format, dtype):
    adata = _whole_numbers_as(sparse_format, dtype)
    result = by_scpdex(adata, GROUPBY, method="logreg", max_iter=20, groups=["CD34+", "CD19+ B"])
    of_float = by_scpdex(_whole_numbers(), GROUPBY, method="logreg", max_iter=20, groups=["CD34+", "CD19+ B"])
    np.testing.assert_allclose(result["scores"]["CD34+"], of_float["scores"]["CD34+"], atol=1e-5)


def test_default_method_is_the_t_test(pbmc):
    result = by_scpdex(pbmc, GROUPBY)
    assert result["params"]["method"] == "t-test"
    assert_same_bits(result, by_scpdex(pbmc, GROUPBY, method="t-test"))


@pytest.mark.parametrize("base", [None, 2, 10])
def test_base_of_the_logarithm(pbmc, base):
    pbmc.uns["log1p"] = {"base": base}
    assert_same_numbers(by_scpdex(pbmc, GROUPBY, method="wilcoxon"), by_scanpy(pbmc, GROUPBY, method="wilcoxon"))
