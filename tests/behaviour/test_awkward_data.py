"""Awkward values that other tools get wrong, each with its row of the list of promises in docs/promises.md."""

import warnings

import numpy as np
import pytest
from oracles import assert_same_bits, assert_same_numbers, by_gene, by_scanpy, by_scpdex, plain_rank_sum
from scipy import sparse
from small import METHODS, small, three, tied

import scpdex


@pytest.mark.parametrize("sparse_format", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_explicit_zeros(reference, method, sparse_format):
    """Row 2: stored zeros are zeros, in pts as well, and stay in X."""
    values = tied()
    matrix = getattr(sparse, sparse_format)(np.where(values == 0, 1, values))
    matrix.data[values[matrix.nonzero()] == 0 if matrix.format == "csr" else values.T[matrix.T.nonzero()] == 0] = 0
    np.testing.assert_array_equal(matrix.toarray(), values)
    before = matrix.copy()
    adata = small(matrix, three())
    arguments = {"method": method, "reference": reference, "tie_correct": True, "pts": True}
    scpdex.tl.rank_genes_parallel(adata, "label", **arguments)
    assert_same_bits(adata.uns["rank_genes_groups"], by_scpdex(small(values, three()), "label", **arguments))
    assert adata.X.nnz == values.size
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(adata.X, part), getattr(before, part))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", [*METHODS, "logreg"])
def test_not_finite(storage, method, bad):
    """Row 3: one error that names the first gene and counts; uns untouched."""
    values = tied().astype(np.float64)
    values[3, 7] = values[8, 4] = values[9, 4] = bad
    adata = small(storage(values), three())
    with pytest.raises(ValueError, match=r"adata\.X holds 3 NaN or infinite values.*'gene4'"):
        scpdex.tl.rank_genes_parallel(adata, "label", method=method)
    assert "rank_genes_groups" not in adata.uns


def test_not_finite_elsewhere(storage):
    """Row 3: cells that are not compared and genes that are not tested may hold anything."""
    values = tied().astype(np.float64)
    clean = by_scpdex(small(values, three()), "label", method="wilcoxon", groups=["a"], reference="b", mask_var=None)
    values[three() == "c", 2] = np.nan
    ours = by_scpdex(small(storage(values), three()), "label", method="wilcoxon", groups=["a"], reference="b")
    assert_same_bits(ours, clean)
    mask = np.arange(12) != 2
    by_scpdex(small(storage(values), three()), "label", method="t-test", mask_var=mask)
    with pytest.raises(ValueError, match=r"15 NaN or infinite values.*'gene2'"):
        by_scpdex(small(storage(values), three()), "label", method="t-test")


@pytest.mark.parametrize("use_continuity", [False, True], ids=["", "continuity"])
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_negative_values(storage, reference, use_continuity):
    """Row 4: implicit zeros are ranked between negative and positive values."""
    values = np.round(np.random.default_rng(1).normal(size=(60, 12)), 0)
    labels = three()
    options = {"tie_correct": True, "use_continuity": use_continuity}
    result = by_scpdex(small(storage(values), labels), "label", method="wilcoxon", reference=reference, **options)
    for group in result["names"].dtype.names:
        other = labels != group if reference == "rest" else labels == reference
        expected = [plain_rank_sum(values[labels == group, j], values[other, j], **options) for j in range(12)]
        ours = by_gene(result, group).loc[[f"gene{j}" for j in range(12)]]
        np.testing.assert_allclose(ours["pvals"], [p for _, p in expected], rtol=1e-10)


def test_group_of_one_cell():
    """Row 8: refused by name, as in scanpy; not when it is not asked for."""
    labels = ["a"] * 30 + ["b"] * 29 + ["single"]
    adata = small(tied(), labels)
    with pytest.raises(ValueError, match=r"'single' of 'label' since they only contain one sample"):
        scpdex.tl.rank_genes_parallel(adata, "label")
    with pytest.raises(ValueError, match="only contain one sample"):
        scpdex.tl.rank_genes_parallel(adata, "label", groups=["a"], reference="single")
    result = by_scpdex(adata, "label", groups=["a", "b"], method="wilcoxon")
    assert result["names"].dtype.names == ("a", "b")


def test_tie_correction_is_off_by_default():
    """Row 11: scanpy's default, and what the switch does to a sparse gene."""
    values = np.zeros((60, 1))
    values[:6] = 1
    adata = small(values, np.repeat(["a", "b"], 30))
    default, corrected = (by_scpdex(adata, "label", method="wilcoxon", tie_correct=t)["pvals"]["a"][0] for t in (0, 1))
    assert default == pytest.approx(by_scanpy(adata, "label", method="wilcoxon")["pvals"]["a"][0], rel=1e-13)
    assert default > 0.1
    assert corrected < 0.02


@pytest.mark.parametrize("log1p", [{}, {"base": None}, {"base": 2}])
def test_base_of_the_logarithm(log1p):
    """Row 12: uns["log1p"]["base"] is honoured, and may be missing."""
    adata = small(tied(), three())
    adata.uns["log1p"] = log1p
    assert_same_numbers(by_scpdex(adata, "label", method="wilcoxon"), by_scanpy(adata, "label", method="wilcoxon"))


def test_data_that_is_not_log1p(messages):
    """Row 13: NaN fold changes only where undefined, and one message."""
    values = np.random.default_rng(0).normal(size=(60, 12))
    adata = small(values, three())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = by_scpdex(adata, "label", method="wilcoxon")
    told = messages()
    assert told.count("log fold changes are undefined") == 1
    scanpys = by_scanpy(adata, "label", method="wilcoxon")
    assert_same_numbers(result, scanpys)
    assert np.isnan(result["logfoldchanges"]["a"]).any()
    assert not np.isnan(result["logfoldchanges"]["a"]).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("value", [0.0, 0.1, 3.0, -1 / 3])
def test_constant_gene(storage, method, reference, value):
    """Row 15: score 0, p 1, finite adjusted p."""
    values = tied().astype(np.float64)
    values[:, [0, 5]] = value
    result = by_scpdex(small(storage(values), three()), "label", method=method, reference=reference, tie_correct=True)
    for group in result["names"].dtype.names:
        ours = by_gene(result, group)
        np.testing.assert_array_equal(ours.loc[["gene0", "gene5"], ["scores", "pvals", "pvals_adj"]], [[0, 1, 1]] * 2)
        assert np.isfinite(ours[["scores", "pvals", "pvals_adj"]]).all().all()


def test_duplicate_gene_names():
    """Row 20: allowed, and results follow position."""
    adata = small(tied(), three())
    expected = by_scpdex(adata, "label", method="wilcoxon")
    adata.var_names = ["same"] * 12
    result = by_scpdex(adata, "label", method="wilcoxon")
    assert (result["names"]["a"] == "same").all()
    np.testing.assert_array_equal(result["scores"]["a"], expected["scores"]["a"])
