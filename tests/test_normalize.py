"""Normalizing on the fly: as scanpy does on the object that was passed, whatever its parent has beside it."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from anndata.experimental import read_lazy
from oracles import assert_same_bits, by_scpdex
from packaging.version import Version
from stored import FORMS, in_chunks, labelled, on_disk, tightest, without_slack

import scpdex

SCANPY_1_12 = Version(version("scanpy")) >= Version("1.12")
MASK = np.arange(30) % 3 == 1
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


def counts_of(dtype: str = "float32") -> np.ndarray:
    """Counts of cells that differ in size, with genes in which they differ more than in others."""
    rng = np.random.default_rng(1)
    counts = rng.poisson(rng.gamma(0.5, 1.5, (300, 30)) * rng.uniform(0.2, 3, (300, 1)))
    counts[7] = 0
    return counts.astype(dtype)


def as_floats(dtype: str) -> str:
    # Before 1.12 scanpy divided integers by float64.
    return dtype if SCANPY_1_12 or np.dtype(dtype).kind == "f" else "float32"


def by_scanpy_first(adata: ad.AnnData, **arguments: Any) -> Any:
    """Rank what scanpy normalizes, in an object of its own."""
    own = adata.copy()
    sc.pp.normalize_total(own, target_sum=1e4, layer=arguments.get("layer"))
    sc.pp.log1p(own, layer=arguments.get("layer"))
    return by_scpdex(own, "group", **arguments)


def normalized(adata: ad.AnnData, **arguments: Any) -> Any:
    done = scpdex.tl.rank_genes_parallel(adata, "group", normalize=1e4, copy=True, **arguments)
    return done.uns["rank_genes_groups"]


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
@pytest.mark.parametrize("form", FORMS)
def test_views_of_genes(tmp_path, form, view):
    """Row 25: library sizes are those of the genes of the object, in memory, on disk and in dask."""
    memory = labelled(FORMS[form](counts_of()))
    arguments = {"method": "wilcoxon", "mask_var": np.arange(memory[view].n_vars) % 4 != 1, "pts": True}
    expected = by_scanpy_first(memory[view], **arguments)
    assert_same_bits(normalized(memory[view], **arguments), expected)
    assert_same_bits(normalized(memory[view].copy(), **arguments), expected)
    for store in ("h5ad", "zarr"):
        assert_same_bits(normalized(on_disk(memory, tmp_path, store)[view], **arguments), expected)
    lazy = normalized(in_chunks(memory, 70, -1)[view], **arguments)
    lazy["pts"].index.name = lazy["pts_rest"].index.name = None
    assert_same_bits(lazy, expected)


@pytest.mark.skipif(not SCANPY_1_12, reason="scanpy added such values up otherwise")
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("form", FORMS)
def test_views_of_fractions(form, order):
    """Sums that are rounded: added up in the order in which anndata lays out what it copies, pair by pair or not."""
    values = np.random.default_rng(6).gamma(0.3, 3, (300, 400)).astype(np.float32)
    values[values < 0.5] = 0
    memory = labelled(FORMS[form](values) if form != "dense" else np.array(values, order=order))
    genes = np.random.default_rng(7).permutation(400)
    picks = [slice(None), slice(9, None, 2), genes[:300], np.sort(genes[:300])]
    for cells, columns in [(slice(20, 290), pick) for pick in picks] + [(genes[:250] % 300, picks[2])]:
        view = memory[np.unique(cells) if isinstance(cells, np.ndarray) else cells, columns]
        expected = by_scanpy_first(view, method="wilcoxon")
        assert_same_bits(normalized(view, method="wilcoxon"), expected)
        actual = view.copy()
        assert_same_bits(normalized(actual, method="wilcoxon"), expected)


@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["low memory", "h5ad", "dask"])
def test_views_of_genes_within_little_memory(tmp_path, monkeypatch, way, form, method):
    """Row 25: by every strategy, in parts of some cells and genes."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model._MOST_VALUES_OF_PIECE", 300)
    monkeypatch.setattr("scpdex.matrix.chunked._column_blocks._VALUES_AT_A_TIME", 300)
    monkeypatch.setattr("scpdex.matrix._normalize._VALUES_AT_A_TIME", 300)
    monkeypatch.setattr("scpdex.matrix.dask._chunk_reader._VALUES_AT_A_TIME", 300)
    memory = labelled(FORMS[form](counts_of()))
    picked = (slice(None), [17, 3, 12, 0, 29, 8, 9])
    view = {
        "low memory": lambda: memory,
        "h5ad": lambda: on_disk(memory, tmp_path, "h5ad"),
        "dask": lambda: in_chunks(memory, 70, 11 if form == "dense" else -1),
    }[way]()[picked]
    arguments = {"method": method, "tie_correct": True}
    expected = by_scanpy_first(memory[picked], **arguments)
    low = {"low_memory": way == "low memory" or None}
    least = None if way == "dask" else tightest(view, normalize=1e4, **low, **arguments)
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


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_views_of_other_matrices(tmp_path, form, method):
    """A layer, raw (which a view has whole), views of views, genes twice; in parts of a few cells and genes."""
    memory = labelled(FORMS[form](counts_of("int32" if method == "t-test" else "float32")))
    memory.layers["counts"] = memory.X.copy()
    memory.raw = memory.copy()
    memory.X = FORMS[form](np.full(memory.shape, np.nan, dtype=np.float32))
    floats = as_floats(memory.layers["counts"].dtype.name)
    view = memory[:, 4:][20:280, ::-2]
    logged = view.copy()
    logged.layers["counts"] = logged.layers["counts"].astype(floats)
    logged.raw = None
    expected = by_scanpy_first(logged, method=method, layer="counts")
    parts = {"low_memory": True, "gene_chunk_size": 2}
    for more in ({}, parts):
        assert_same_bits(normalized(view, method=method, layer="counts", use_raw=False, **more), expected)
    raw = view.raw.to_adata()
    raw.X = raw.X.astype(floats)
    raw.obs = view.obs.copy()
    whole = by_scanpy_first(raw, method=method)
    for more in ({}, parts):
        assert_same_bits(normalized(view, method=method, use_raw=True, **more), whole)
    disk = on_disk(memory, tmp_path, "h5ad")
    # Of data on disk, views of views are new in anndata, and raw is not cut by genes.
    assert_same_bits(normalized(disk[20:280, 4:], method=method, use_raw=True), whole)


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize("form", FORMS)
def test_genes_twice(form):
    """A gene that a view has twice counts twice."""
    memory = labelled(FORMS[form](counts_of()))
    view = memory[:, [3, 8, 3, 3, 20]]
    own = labelled(view.X.copy())
    own.var_names, own.obs["group"] = view.var_names, view.obs["group"].array
    expected = by_scanpy_first(own, method="wilcoxon")
    for adata in (view, in_chunks(memory, 70, -1)[:, [3, 8, 3, 3, 20]]):
        assert_same_bits(normalized(adata, method="wilcoxon"), expected)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -3.5, 0.25])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["memory", "h5ad", "dask"])
def test_what_a_view_lacks_has_no_effect(tmp_path, messages, way, form, odd):
    """Row 25: neither library sizes nor messages see cells and genes outside of a view."""
    values = counts_of()
    view = (slice(10, 290), slice(5, None))
    expected = normalized(labelled(FORMS[form](values))[view], method="wilcoxon")
    values[:, :5], values[:10] = odd, odd
    adata, _ = values_in(way, values, form, tmp_path)
    messages()
    assert_same_bits(normalized(adata[view], method="wilcoxon"), expected)
    assert not messages()


@pytest.mark.parametrize("odd", [-3.5, np.nan, np.inf])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["memory", "h5ad", "dask"])
def test_what_cannot_be_counts(tmp_path, messages, way, form, odd):
    """Row 39: named with their gene, tested or not, never NaN in silence."""
    values = counts_of()
    values[40, 4] = odd
    adata, _ = values_in(way, values, form, tmp_path)
    kind = f"negative values, such as {odd}" if odd < 0 else "NaN or infinite values"
    messages()
    for view, mask in ((slice(None), None), (slice(None, None, 2), np.arange(15) > 8)):
        with pytest.raises(ValueError, match=rf"adata\.X holds {kind}.* in gene 'gene4'.* normalize=10000\.0 "):
            normalized(adata[:, view], mask_var=mask)
    assert "rank_genes_groups" not in adata.uns
    assert way == "dask" or not messages()
    # Cells that are not compared and genes that are not there may hold anything.
    normalized(adata[:, 5:], method="wilcoxon")
    normalized(adata, method="wilcoxon", groups=["c"], reference="b")


def test_counts_beyond_their_dtype():
    """Library sizes that are infinite are refused, not taken for infinitely large cells."""
    values = counts_of()
    values[40] = 3e38
    for form in FORMS.values():
        with pytest.raises(ValueError, match=r"adata\.X has cells whose counts add up to more than their dtype holds"):
            normalized(labelled(form(values)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["memory", "h5ad", "zarr", "dask"])
def test_counts_are_recognized(tmp_path, messages, way, form):
    """Row 27: stored values are examined, those of the cells and genes that have an effect."""
    memory = labelled(FORMS[form](counts_of()))
    adata = {
        "memory": lambda: memory,
        "h5ad": lambda: on_disk(memory, tmp_path, "h5ad"),
        "zarr": lambda: on_disk(memory, tmp_path, "zarr"),
        "dask": lambda: in_chunks(memory, 70, -1),
    }[way]()
    messages()
    normalized(adata, low_memory=True)
    normalized(adata, mask_var=MASK)
    assert not messages()
    values = counts_of() + 0.5
    values[:, ::2] -= 0.5
    halves = labelled(FORMS[form](values))
    if way in {"h5ad", "zarr"}:
        halves = on_disk(halves, tmp_path, way)
    elif way == "dask":
        halves = in_chunks(halves, 70, -1)
    normalized(halves[:, ::2])
    assert not messages()
    for beside in (halves, halves[:, :4]):
        normalized(beside, mask_var=np.arange(beside.n_vars) % 2 == 0)
        assert "and adata.X has values that are no whole numbers: leave normalize out" in messages()


WAYS = ["memory", "low memory", "h5ad", "dask"]


def values_in(way: str, values: np.ndarray, form: str, folder: Path) -> tuple[ad.AnnData, dict[str, Any]]:
    memory = labelled(FORMS[form](values))
    if way == "h5ad":
        return on_disk(memory, folder, "h5ad"), {}
    return (in_chunks(memory, 70, -1) if way == "dask" else memory), {"low_memory": way == "low memory" or None}


def never_logged() -> np.ndarray:
    counts = counts_of("float64")
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 2e4


@pytest.mark.parametrize(
    "options",
    [
        {"method": "wilcoxon", "mean_in_log_space": False},
        {"method": "t-test"},
        {"method": "t-test", "split_by": "level"},
        {"method": "wilcoxon", "strata": "level", "reference": "b"},
    ],
    ids=str,
)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", WAYS)
def test_counts_that_were_never_logged(tmp_path, messages, way, form, options):
    """Row 26: one message says so, and how large they are; overflow is told as overflow."""
    values = never_logged()
    adata, more = values_in(way, values, form, tmp_path)
    adata.obs["level"] = pd.Categorical(np.resize([*"xxy"], adata.n_obs))
    messages()
    scpdex.tl.rank_genes_parallel(adata, "group", **options, **more)
    said = messages()
    assert said.count("\n") == 1
    assert f"values up to {values.max():,.8g}, too large for log1p-transformed data (at most about 20)" in said
    keys = [f"rank_genes_groups_{level}" for level in "xy"] if "split_by" in options else ["rank_genes_groups"]
    results = [adata.uns[key]["logfoldchanges"] for key in keys]
    changes = np.concatenate([result[group] for result in results for group in result.dtype.names])
    assert f"({(~np.isfinite(changes)).sum():,} of {changes.size:,} overflow)" in said


@pytest.mark.parametrize("way", WAYS)
def test_large_values_by_the_base(tmp_path, messages, way):
    """The base of the logarithm says how large logs of counts may be."""
    values = np.log2(1 + counts_of("float64"))
    values[100, 3] = 27.5
    adata, more = values_in(way, values, "CSR", tmp_path)
    for base, told in (
        (None, "at most about 20"),
        (2, ""),
        (10, "in base 10, as uns['log1p']['base'] says (at most about 8.69)"),
    ):
        adata.uns["log1p"] = {"base": base}
        scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", **more)
        said = messages()
        assert told in said
        assert bool(said) == bool(told)


def test_overflow_of_whole_numbers(messages):
    """Row 26: raw counts that are too large for expm1 are told as such, and what min_logfc makes of them."""
    adata = labelled(1000 * counts_of("float64"))
    for options in ({}, {"mean_in_log_space": False}, {"min_logfc": 0.1}):
        scpdex.tl.rank_genes_parallel(adata, "group", pts=True, **options)
        said = messages()
        assert said.count("looks like raw counts") == 1
        assert " overflow" in said
        assert ("genes whose fold change is NaN are not tested" in said) == ("min_logfc" in options)


def test_what_is_no_reason_to_warn(messages):
    """Large values outside of a view, of cells or genes that are not compared, or in scaled data."""
    values = np.log1p(counts_of("float64"))
    values[:, 0] = values[0] = 1000.5
    adata = labelled(FORMS["CSR"](values))
    assert pd.isna(adata.obs["group"].iloc[2])
    scpdex.tl.rank_genes_parallel(adata[1:, 1:], "group", copy=True)
    scpdex.tl.rank_genes_parallel(adata[1:], "group", mask_var=np.arange(30) > 0, copy=True)
    assert not messages()
    scaled = labelled(100 * (values - values.mean(axis=0)))
    scpdex.tl.rank_genes_parallel(scaled, "group")
    said = messages()
    assert "negative means, such as those of scaled data" in said
    scpdex.tl.rank_genes_parallel(labelled(counts_of()), "group", normalize=1e10)
    assert not messages()


@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", WAYS)
def test_integers_that_are_not_exact(tmp_path, way, form, method):
    """Row 22: refused where they are ranked, and neither outside of a view nor where they are normalized."""
    values = counts_of("int64")
    values[40, 4] = 2**53 + 1
    adata, more = values_in(way, values, form, tmp_path)
    with pytest.raises(ValueError, match=rf"holds integers beyond 2\*\*53 \(from {2**53 + 1} to {2**53 + 1}\)"):
        scpdex.tl.rank_genes_parallel(adata, "group", method=method, **more)
    plain = labelled(FORMS[form](values.astype(np.float64)))
    for view in ((slice(None), slice(5, None)), (slice(41, None), slice(None))):
        ours = scpdex.tl.rank_genes_parallel(adata[view], "group", method="wilcoxon", copy=True, **more)
        assert_same_bits(ours.uns["rank_genes_groups"], by_scpdex(plain[view].copy(), "group", method="wilcoxon"))
    normalized(adata, method=method, **more)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_lazily_opened(tmp_path, store, form):
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
    expected = by_scanpy_first(own, method="wilcoxon")
    view = lazy[:, genes][20:]
    assert_same_bits(normalized(view, method="wilcoxon", use_raw=False), expected)
    assert_same_bits(normalized(view, method="wilcoxon", use_raw=False, layer="counts"), expected)
    raw = normalized(view, method="wilcoxon", use_raw=True)
    whole = by_scanpy_first(labelled(memory.X.copy())[20:].copy(), method="wilcoxon")
    assert_same_bits(raw, whole)
