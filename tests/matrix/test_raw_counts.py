"""What counts are: values that cannot be any, those that were never logged, and integers that are not exact."""

import numpy as np
import pandas as pd
import pytest
from counts import MASK, counts_of, normalized, values_in
from oracles import assert_same_bits, by_scpdex
from stored import FORMS, in_chunks, labelled, on_disk

import scpdex


@pytest.mark.parametrize(("normalize", "said"), [(1e4, r"10000\.0"), ("median", "'median'"), ("log1p", "'log1p'")])
@pytest.mark.parametrize("odd", [-3.5, np.nan, np.inf])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["memory", "h5ad", "dask"])
def test_what_cannot_be_counts(tmp_path, messages, way, form, odd, normalize, said):
    """Row 39: named with their gene, tested or not, never NaN in silence."""
    values = counts_of()
    values[40, 4] = odd
    adata, _ = values_in(way, values, form, tmp_path)
    kind = f"negative values, such as {odd}" if odd < 0 else "NaN or infinite values"
    messages()
    every_other, late = slice(None, None, 2), np.arange(15) > 8
    for view, mask in ((slice(None), None), (every_other, None if normalize == "log1p" else late)):
        with pytest.raises(ValueError, match=rf"adata\.X holds {kind}.* in gene 'gene4'.* normalize={said} "):
            normalized(adata[:, view], normalize, mask_var=mask)
    assert "rank_genes_groups" not in adata.uns
    assert way == "dask" or not messages()
    # Cells that are not compared and genes that are not there may hold anything.
    normalized(adata[:, 5:], normalize, method="wilcoxon")
    few = {"method": "wilcoxon", "groups": ["c"], "reference": "b"}
    if normalize == "log1p":
        normalized(adata[:, every_other], normalize, method="wilcoxon", mask_var=late)
    if normalize != "median":
        normalized(adata, normalize, **few)
        return
    # The median is over all cells.
    with pytest.raises(ValueError, match=rf"adata\.X holds {kind}.* in gene 'gene4'.* normalize={said} "):
        normalized(adata, normalize, **few)


def test_counts_beyond_their_dtype():
    """Library sizes that are infinite are refused, not taken for infinitely large cells."""
    values = counts_of()
    values[40] = 3e38
    for form in FORMS.values():
        adata = labelled(form(values))
        for normalize in (1e4, "median"):
            with pytest.raises(ValueError, match=r"adata\.X has cells whose counts add up to more than their dtype"):
                normalized(adata, normalize)
        normalized(adata, "log1p")


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
        assert "there are values that are no whole numbers. Leave normalize out" in messages()


WAYS = ["memory", "low memory", "h5ad", "dask"]


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
