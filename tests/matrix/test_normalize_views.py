"""Normalizing views: as scanpy does on the object that was passed, whatever its parent has beside it."""

from typing import Any

import numpy as np
import pytest
from anndata.experimental import read_lazy
from counts import MASK, RULES, by_scanpy_first, counts_of, normalized, values_in
from oracles import SCANPY_1_12, assert_same_bits, by_scpdex
from stored import FORMS, in_chunks, labelled, on_disk, tightest, without_slack

import scpdex

VIEWS: dict[str, Any] = {
    "a run of genes": (slice(None), slice(5, 25)),
    "every other gene": (slice(None), slice(3, None, 2)),
    "backwards": (slice(20, 280), slice(None, None, -1)),
    "a mask of genes": (slice(None), MASK),
    "another order": (slice(None), [17, 3, 12, 0, 29]),
    "genes from the end": (slice(None), [-1, -7, -3]),
    "both": (np.random.default_rng(0).permutation(300)[:250], [17, 3, 12]),
    "cells": (slice(50, 250), slice(None)),
}


def as_floats(dtype: str, normalize: Any) -> str:
    # Before 1.12 scanpy divided integers by float64.
    return dtype if SCANPY_1_12 or np.dtype(dtype).kind == "f" or normalize == "log1p" else "float32"


@pytest.mark.parametrize("normalize", RULES)
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
@pytest.mark.parametrize("form", FORMS)
def test_views_of_genes(tmp_path, form, view, normalize):
    """Row 25: library sizes are those of the genes of the object, in memory, on disk and in dask."""
    memory = labelled(FORMS[form](counts_of()))
    mask = np.arange(memory[view].n_vars) % 4 != 1
    arguments = {"normalize": normalize, "method": "wilcoxon", "mask_var": mask, "pts": True}
    expected = by_scanpy_first(memory[view], **arguments)
    assert_same_bits(normalized(memory[view], **arguments), expected)
    assert_same_bits(normalized(memory[view].copy(), **arguments), expected)
    for store in ("h5ad", "zarr"):
        assert_same_bits(normalized(on_disk(memory, tmp_path, store)[view], **arguments), expected)
    lazy = normalized(in_chunks(memory, 70, -1)[view], **arguments)
    lazy["pts"].index.name = lazy["pts_rest"].index.name = None
    assert_same_bits(lazy, expected)


@pytest.mark.skipif(not SCANPY_1_12, reason="scanpy added such values up otherwise")
@pytest.mark.parametrize("normalize", [1e4, "median"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("form", FORMS)
def test_views_of_fractions(form, order, normalize):
    """Sums that are rounded: added up in the order in which anndata lays out what it copies, pair by pair or not."""
    values = np.random.default_rng(6).gamma(0.3, 3, (300, 400)).astype(np.float32)
    values[values < 0.5] = 0
    memory = labelled(FORMS[form](values) if form != "dense" else np.array(values, order=order))
    genes = np.random.default_rng(7).permutation(400)
    picks = [slice(None), slice(9, None, 2), genes[:300], np.sort(genes[:300])]
    for cells, columns in [(slice(20, 290), pick) for pick in picks] + [(genes[:250] % 300, picks[2])]:
        view = memory[np.unique(cells) if isinstance(cells, np.ndarray) else cells, columns]
        expected = by_scanpy_first(view, normalize, method="wilcoxon")
        assert_same_bits(normalized(view, normalize, method="wilcoxon"), expected)
        actual = view.copy()
        assert_same_bits(normalized(actual, normalize, method="wilcoxon"), expected)


@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["low memory", "h5ad", "dask"])
@pytest.mark.parametrize("normalize", RULES)
def test_views_of_genes_within_little_memory(tmp_path, monkeypatch, normalize, way, form, method):
    """Row 25: by every strategy, in parts of some cells and genes."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 300)
    monkeypatch.setattr("scpdex.matrix.chunked._column_normalizer._VALUES_AT_A_TIME", 300)
    monkeypatch.setattr("scpdex.matrix._normalization._VALUES_AT_A_TIME", 300)
    monkeypatch.setattr("scpdex.matrix.dask._chunk_reader._VALUES_AT_A_TIME", 300)
    memory = labelled(FORMS[form](counts_of()))
    picked = (slice(None), [17, 3, 12, 0, 29, 8, 9])
    view = {
        "low memory": lambda: memory,
        "h5ad": lambda: on_disk(memory, tmp_path, "h5ad"),
        "dask": lambda: in_chunks(memory, 70, 11 if form == "dense" else -1),
    }[way]()[picked]
    arguments = {"method": method, "tie_correct": True, "normalize": normalize}
    expected = by_scanpy_first(memory[picked], **arguments)
    low = {"low_memory": way == "low memory" or None}
    least = None if way == "dask" else tightest(view, **low, **arguments)
    for budget in (least, least and 2 * least, None):
        ours = normalized(view, max_memory=budget, n_jobs=3, **low, **arguments)
        if (way, method) == ("dask", "t-test"):
            for group in "abcde":
                np.testing.assert_allclose(ours["scores"][group], expected["scores"][group], rtol=1e-6)
        else:
            assert_same_bits(ours, expected)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_call_twice(form):
    """Row 25: storing a result makes a view an object of its own, which changes no number."""
    view = labelled(FORMS[form](counts_of()))[:, ::3]
    scpdex.tl.rank_genes_parallel(view, "group", normalize=1e4)
    assert not view.is_view
    assert_same_bits(by_scpdex(view, "group", normalize=1e4), view.uns["rank_genes_groups"])


@pytest.mark.parametrize("normalize", RULES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_views_of_other_matrices(tmp_path, form, method, normalize):
    """A layer, raw (which a view has whole), views of views, genes twice; in parts of a few cells and genes."""
    memory = labelled(FORMS[form](counts_of("int32" if method == "t-test" else "float32")))
    memory.layers["counts"] = memory.X.copy()
    memory.raw = memory.copy()
    memory.X = FORMS[form](np.full(memory.shape, np.nan, dtype=np.float32))
    floats = as_floats(memory.layers["counts"].dtype.name, normalize)
    view = memory[:, 4:][20:280, ::-2]
    logged = view.copy()
    logged.layers["counts"] = logged.layers["counts"].astype(floats)
    logged.raw = None
    arguments = {"method": method, "normalize": normalize}
    expected = by_scanpy_first(logged, layer="counts", **arguments)
    parts = {"low_memory": True, "gene_chunk_size": 2}
    for more in ({}, parts):
        assert_same_bits(normalized(view, layer="counts", use_raw=False, **more, **arguments), expected)
    raw = view.raw.to_adata()
    raw.X = raw.X.astype(floats)
    raw.obs = view.obs.copy()
    whole = by_scanpy_first(raw, **arguments)
    for more in ({}, parts):
        assert_same_bits(normalized(view, use_raw=True, **more, **arguments), whole)
    disk = on_disk(memory, tmp_path, "h5ad")
    # Of data on disk, views of views are new in anndata, and raw is not cut by genes.
    assert_same_bits(normalized(disk[20:280, 4:], use_raw=True, **arguments), whole)


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize("normalize", RULES)
@pytest.mark.parametrize("form", FORMS)
def test_genes_twice(form, normalize):
    """A gene that a view has twice counts twice."""
    memory = labelled(FORMS[form](counts_of()))
    view = memory[:, [3, 8, 3, 3, 20]]
    own = labelled(view.X.copy())
    own.var_names, own.obs["group"] = view.var_names, view.obs["group"].array
    expected = by_scanpy_first(own, normalize, method="wilcoxon")
    for adata in (view, in_chunks(memory, 70, -1)[:, [3, 8, 3, 3, 20]]):
        assert_same_bits(normalized(adata, normalize, method="wilcoxon"), expected)


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize("form", FORMS)
def test_cells_twice(tmp_path, form):
    """A cell that a view has twice counts twice in the median, and in any order."""
    memory = labelled(FORMS[form](counts_of()))
    cells = np.r_[250:20:-1, 100:200, 100:120]
    own = labelled(memory.X[cells])
    own.obs["group"] = memory.obs["group"].array[cells]
    arguments = {"normalize": "median", "method": "wilcoxon", "groups": ["a"], "reference": "b"}
    expected = by_scanpy_first(own, **arguments)
    views = [memory[cells], in_chunks(memory, 70, -1)[cells]]
    # h5py takes no row twice.
    views += [on_disk(memory, tmp_path, "h5ad")[cells]]
    for view in views:
        assert_same_bits(normalized(view, **arguments), expected)


@pytest.mark.parametrize("normalize", RULES)
@pytest.mark.parametrize("odd", [np.nan, np.inf, -3.5, 0.25])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["memory", "h5ad", "dask"])
def test_what_a_view_lacks_has_no_effect(tmp_path, messages, way, form, odd, normalize):
    """Row 25: neither library sizes nor messages see cells and genes outside of a view."""
    values = counts_of()
    view = (slice(10, 290), slice(5, None))
    expected = normalized(labelled(FORMS[form](values))[view], normalize, method="wilcoxon")
    values[:, :5], values[:10] = odd, odd
    adata, _ = values_in(way, values, form, tmp_path)
    messages()
    assert_same_bits(normalized(adata[view], normalize, method="wilcoxon"), expected)
    assert not messages()


@pytest.mark.parametrize("normalize", RULES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_lazily_opened(tmp_path, store, form, normalize):
    """Row 25: views, and views of views, of what is opened lazily, a layer and raw among it."""
    memory = labelled(FORMS[form](counts_of()))
    memory.layers["counts"] = memory.X.copy()
    memory.raw = memory.copy()
    path = tmp_path / f"x.{store}"
    getattr(memory, f"write_{store}")(path)
    lazy = read_lazy(path)
    genes = np.array([17, 3, 12, 29, 4])
    own = memory[20:, genes].copy()
    own.raw = None
    arguments = {"method": "wilcoxon", "normalize": normalize}
    expected = by_scanpy_first(own, **arguments)
    view = lazy[:, genes][20:]
    assert_same_bits(normalized(view, use_raw=False, **arguments), expected)
    assert_same_bits(normalized(view, use_raw=False, layer="counts", **arguments), expected)
    raw = normalized(view, use_raw=True, **arguments)
    whole = by_scanpy_first(labelled(memory.X.copy())[20:].copy(), **arguments)
    assert_same_bits(raw, whole)
