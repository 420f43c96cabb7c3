"""Normalizing on the fly: the bits of what scanpy normalizes, in memory and on disk."""

import numpy as np
import pytest
import scanpy as sc
from oracles import SCANPY_1_12, assert_same_bits, by_scpdex
from scipy import sparse
from stored import FORMS, labelled, on_disk, values_of

import scpdex


@pytest.mark.parametrize("store", ["h5ad", "zarr"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("dtype", "method"),
    [("float32", "wilcoxon"), ("float64", "t-test"), ("int64", "wilcoxon"), ("uint8", "t-test")],
)
def test_normalize(tmp_path, store, form, dtype, method):
    """The bits of scanpy's normalize_total and log1p, in memory and on disk, with genes left out and cells empty."""
    rng = np.random.default_rng(5)
    values = rng.poisson(rng.gamma(0.5, 1.5, (300, 40))).astype(dtype)
    values[7] = 0
    counts = labelled(FORMS[form](values))
    # Before 1.12 scanpy divided integers by float64.
    as_floats = np.dtype(dtype).kind != "f" and not SCANPY_1_12
    logged = labelled(FORMS[form](values.astype(np.float32 if as_floats else dtype)))
    sc.pp.normalize_total(logged, target_sum=1e4)
    sc.pp.log1p(logged)
    mask = np.arange(40) % 5 != 0
    for arguments in ({}, {"mask_var": mask, "mean_in_log_space": False}):
        expected = by_scpdex(logged, "group", method=method, tie_correct=True, **arguments)
        for adata in (counts, on_disk(counts, tmp_path, store)):
            ours = by_scpdex(adata, "group", method=method, tie_correct=True, normalize=1e4, **arguments)
            assert_same_bits(ours, expected)
            assert ours["params"]["normalize"] == 1e4
    view = on_disk(counts, tmp_path, store)[50:250]
    expected = by_scpdex(logged[50:250].copy(), "group", method=method)
    scpdex_result = scpdex.tl.rank_genes_parallel(view, "group", method=method, normalize=1e4, copy=True)
    assert_same_bits(scpdex_result.uns["rank_genes_groups"], expected)


@pytest.mark.skipif(not SCANPY_1_12, reason="scanpy added such values up otherwise")
@pytest.mark.parametrize("form", FORMS)
def test_normalize_fractions(form):
    """Values that are no whole numbers are added up in the order of scanpy 1.12."""
    values = np.random.default_rng(6).gamma(0.3, 3, (300, 400)).astype(np.float32)
    values[values < 0.5] = 0
    logged = labelled(FORMS[form](values.copy()))
    sc.pp.normalize_total(logged, target_sum=1e4)
    sc.pp.log1p(logged)
    ours = by_scpdex(labelled(FORMS[form](values)), "group", normalize=1e4, method="wilcoxon")
    assert_same_bits(ours, by_scpdex(logged, "group", method="wilcoxon"))


@pytest.mark.parametrize("normalize", [0, -1, True, "1e4", np.nan, np.inf])
def test_normalize_refuses(normalize):
    with pytest.raises(ValueError, match=r"normalize=.* is not valid: pass the sum"):
        by_scpdex(labelled(values_of("int32")), "group", normalize=normalize)


@pytest.mark.parametrize("form", FORMS)
def test_normalize_by_a_number_of_numpy(form):
    """numpy's float64 does not make float32 values wider."""
    adata = labelled(FORMS[form](values_of("int32").astype(np.float32)))
    expected = by_scpdex(adata, "group", method="wilcoxon", normalize=1e4)
    assert_same_bits(by_scpdex(adata, "group", method="wilcoxon", normalize=np.float64(1e4)), expected)


def test_normalize_high_counts():
    """Integers become float32 before they are added up, in columns as in rows."""
    values = values_of("int64")
    values[::7] *= (1 << 24) + 1
    results = [
        by_scpdex(labelled(form(values)), "group", method="wilcoxon", normalize=1e4)
        for name, form in FORMS.items()
        if name != "dense"
    ]
    assert_same_bits(*results)


def test_normalizing_logs_is_told(messages):
    """As scanpy does, for what looks like log-transformed data."""
    adata = labelled(sparse.csr_matrix(np.log1p(values_of("int32")).astype(np.float32)))
    by_scpdex(adata, "group", normalize=1e4)
    assert "normalize=10000.0 transforms adata.X twice if it is log-transformed already" in messages()
    by_scpdex(labelled(sparse.csr_matrix(values_of("int32"))), "group", normalize=1e4)
    assert not messages()
