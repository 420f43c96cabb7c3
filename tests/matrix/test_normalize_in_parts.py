"""Normalizing on the fly: the bits of what scanpy normalizes, in memory and on disk."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counts import RULES, by_scanpy_first, counts_of, normalized, values_in
from oracles import SCANPY_1_12, assert_same_bits, by_scpdex
from scipy import sparse
from stored import FORMS, labelled, on_disk, values_of

import scpdex
from scpdex.matrix import Normalization
from scpdex.matrix.chunked import _column_normalizer


@pytest.mark.parametrize("normalize", RULES)
@pytest.mark.parametrize("store", ["h5ad", "zarr"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("dtype", "method"),
    [("float32", "wilcoxon"), ("float64", "t-test"), ("int64", "wilcoxon"), ("uint8", "t-test")],
)
def test_normalize(tmp_path, store, form, dtype, method, normalize):
    """The bits of scanpy's normalize_total and log1p, in memory and on disk, with genes left out and cells empty."""
    rng = np.random.default_rng(5)
    values = rng.poisson(rng.gamma(0.5, 1.5, (300, 40))).astype(dtype)
    values[7] = 0
    counts = labelled(FORMS[form](values))
    # Before 1.12 scanpy divided integers by float64.
    as_floats = np.dtype(dtype).kind != "f" and not SCANPY_1_12 and normalize != "log1p"
    own = labelled(FORMS[form](values.astype(np.float32 if as_floats else dtype)))
    mask = np.arange(40) % 5 != 0
    # Cells that are not compared have library sizes too.
    some = {"groups": ["c"], "reference": "b"}
    for more in ({}, {"mask_var": mask, "mean_in_log_space": False}, some):
        arguments = {"method": method, "tie_correct": True, **more}
        expected = by_scanpy_first(own, normalize, **arguments)
        for adata in (counts, on_disk(counts, tmp_path, store)):
            ours = by_scpdex(adata, "group", normalize=normalize, **arguments)
            assert_same_bits(ours, expected)
            assert ours["params"]["normalize"] == normalize
    view = on_disk(counts, tmp_path, store)[50:250]
    expected = by_scanpy_first(own[50:250], normalize, method=method)
    assert_same_bits(normalized(view, normalize, method=method), expected)


@pytest.mark.skipif(not SCANPY_1_12, reason="scanpy added such values up otherwise")
@pytest.mark.parametrize("normalize", RULES)
@pytest.mark.parametrize("n_cells", [299, 300])
@pytest.mark.parametrize("form", FORMS)
def test_normalize_fractions(form, n_cells, normalize):
    """Values that are no whole numbers are added up in the order of scanpy 1.12; an even number has two medians."""
    values = np.random.default_rng(6).gamma(0.3, 3, (n_cells, 400)).astype(np.float32)
    values[values < 0.5] = 0
    adata = labelled(FORMS[form](values))
    assert_same_bits(
        by_scpdex(adata, "group", normalize=normalize, method="wilcoxon"),
        by_scanpy_first(adata, normalize, method="wilcoxon"),
    )


@pytest.mark.parametrize("normalize", [0, -1, True, "1e4", np.nan, np.inf, "mean", "", np.array(["median"])])
def test_normalize_refuses(normalize):
    with pytest.raises(ValueError, match=r"normalize=.* is not valid: pass the sum .* 'median' .* 'log1p' .* or None"):
        by_scpdex(labelled(values_of("int32")), "group", normalize=normalize)


@pytest.mark.parametrize("way", ["memory", "h5ad", "dask"])
@pytest.mark.parametrize("form", FORMS)
def test_no_cell_has_counts(tmp_path, form, way):
    """There is no median of nothing; every value stays 0."""
    adata, more = values_in(way, np.zeros((300, 30), dtype=np.float32), form, tmp_path)
    expected = normalized(adata, 1e4, method="wilcoxon", **more)
    for normalize in ("median", "log1p"):
        assert_same_bits(normalized(adata, normalize, method="wilcoxon", **more), expected)


@pytest.mark.parametrize("way", ["memory", "h5ad"])
@pytest.mark.parametrize("form", FORMS)
def test_the_median_takes_a_pass(tmp_path, form, way):
    """The plan says how often the matrix is read."""
    adata, _ = values_in(way, counts_of(), form, tmp_path)
    for method in ("wilcoxon", "t-test"):
        by_number, by_median, logged = (
            scpdex.get.plan(adata, "group", method=method, normalize=normalize).passes for normalize in RULES
        )
        assert (by_median, logged) == (by_number + 1, by_number)


@pytest.mark.parametrize("form", FORMS)
def test_files_that_change_before_the_median_is_known(tmp_path, monkeypatch, form):
    """What is read for the median is checked as the rest is."""
    disk, _ = values_in("h5ad", counts_of(), form, tmp_path)
    path = Path(disk.filename)
    sum_library_sizes = Normalization.sum_library_sizes
    add_columns = _column_normalizer.add_columns

    def touch(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            os.utime(path, ns=(0, 0))
            return function(*arguments)

        return call

    monkeypatch.setattr(Normalization, "sum_library_sizes", touch(sum_library_sizes))
    monkeypatch.setattr(_column_normalizer, "add_columns", touch(add_columns))
    with pytest.raises(ValueError, match="it was changed while it was read"):
        normalized(disk, "median", method="wilcoxon")


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


@pytest.mark.parametrize(("normalize", "said"), [(1e4, "10000.0"), ("median", "'median'"), ("log1p", "'log1p'")])
def test_normalizing_logs_is_told(messages, normalize, said):
    """As scanpy does, for what looks like log-transformed data."""
    adata = labelled(sparse.csr_matrix(np.log1p(values_of("int32")).astype(np.float32)))
    by_scpdex(adata, "group", normalize=normalize)
    assert f"normalize={said} transforms adata.X twice if it is log-transformed already" in messages()
    by_scpdex(labelled(sparse.csr_matrix(values_of("int32"))), "group", normalize=normalize)
    assert not messages()
