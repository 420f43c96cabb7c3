"""Awkward data on disk and in dask chunks: each row of the promises, to the bits of the same data in memory."""

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from oracles import assert_same_bits, by_scpdex
from small import small, three, tied
from storages import STORAGES
from stored import FORMS, in_chunks, on_disk

import scpdex

SPARSE = {name: STORAGES[name] for name in ("CSR, explicit zeros", "CSR, unsorted", "CSC, unsorted")}
PLACES = [(form, place) for form in FORMS for place in ("h5ad", "zarr", "dask")]
# scipy sorts the rows of CSC chunks when it cuts them.
PLACES_OF_SPARSE = [(form, place) for form in SPARSE for place in ("h5ad", "zarr", "dask")]


def put(adata: ad.AnnData, form: str, place: str, folder: Path) -> ad.AnnData:
    """Have X in another form, and not in memory."""
    there = ad.AnnData((FORMS | SPARSE)[form](adata.X), obs=adata.obs, var=adata.var)
    if place == "dask":
        moved = in_chunks(there, 17, -1)
    else:
        only_x = ad.AnnData(there.X)
        moved = ad.AnnData(on_disk(only_x, folder, place).X, obs=adata.obs, var=adata.var)
    moved.uns.update(adata.uns)
    return moved


def _named_alike() -> ad.AnnData:
    adata = small(tied(), three())
    adata.var_names = ["same"] * 12
    return adata


def _of_base_2() -> ad.AnnData:
    adata = small(tied() / np.float32(np.log(2)), three())
    adata.uns["log1p"] = {"base": 2}
    return adata


def _constant() -> ad.AnnData:
    values = tied()
    values[:, [0, 5]] = [0, 3]
    return small(values, three())


def _of_strings() -> ad.AnnData:
    adata = small(tied(), pd.array(np.resize(["a", "b"], 60).astype(object), dtype="string[python]"))
    adata.var_names = pd.Index([f"gene{j}" for j in range(12)], dtype="string[python]")
    return adata


CASES: dict[str, Callable[[], ad.AnnData]] = {
    "row 1: hundreds of groups": lambda: small(tied(800), np.arange(800) % 400),
    "row 4: negative values": lambda: small(np.round(np.random.default_rng(1).normal(size=(60, 12)), 0), three()),
    "row 6: cells without a label": lambda: small(tied(), pd.Categorical(np.resize(["a", None, "b", "a"], 60))),
    "row 7: a category without cells": lambda: small(tied(), three().add_categories(["unused", "A"])),
    "row 9: labels of several kinds": lambda: small(
        tied(), pd.Series(np.resize(np.array([1, True, "x", 2.5], dtype=object), 60), dtype=object).to_numpy()
    ),
    "row 10: odd names": lambda: small(tied(), np.resize(["T/NK", "", "ünïcödé 細胞", "_index"], 60)),
    "row 11: ties": lambda: small((tied() > 0).astype(np.float32), three()),
    "row 12: base of the logarithm": _of_base_2,
    "row 13: scaled data": lambda: small(np.random.default_rng(0).normal(size=(60, 12)), three()),
    "row 14: p of 0": lambda: small(np.repeat([[0.0], [1.0]], [4000, 4000], axis=0), np.repeat(["a", "b"], 4000)),
    "row 15: constant genes": _constant,
    "row 19: strings": _of_strings,
    "row 20: genes of one name": _named_alike,
    "row 22: booleans": lambda: small(tied() > 0, three()),
    "row 22: bytes": lambda: small(np.random.default_rng(0).poisson(1, (60, 12)).astype(np.int8), three()),
}


@pytest.mark.parametrize(("form", "place"), PLACES)
@pytest.mark.parametrize("case", CASES)
def test_awkward_data(tmp_path, case, form, place):
    adata = CASES[case]()
    moved = put(adata, form, place, tmp_path)
    arguments = {"method": "wilcoxon", "tie_correct": True, "pts": True, "extras": ("log10_pvals",)}
    ours, expected = by_scpdex(moved, "label", **arguments), by_scpdex(adata, "label", **arguments)
    assert_same_bits(ours, expected)
    for group in expected["names"].dtype.names:
        np.testing.assert_array_equal(ours["log10_pvals"][group], expected["log10_pvals"][group])


@pytest.mark.parametrize(("form", "place"), PLACES_OF_SPARSE)
def test_matrices_that_are_not_canonical(tmp_path, form, place):
    """Rows 2 and 5: stored zeros, and indices that are not in order."""
    adata = small(tied(), three())
    moved = put(adata, form, place, tmp_path)
    for method in ["wilcoxon"] if place == "dask" else ["wilcoxon", "t-test"]:
        arguments = {"method": method, "tie_correct": True, "pts": True}
        assert_same_bits(by_scpdex(moved, "label", **arguments), by_scpdex(adata, "label", **arguments))


@pytest.mark.parametrize(("form", "place"), PLACES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path, form, place, bad):
    """Row 3: the same words as in memory, and uns as before."""
    values = tied().astype(np.float64)
    values[3, 7] = values[8, 4] = values[9, 4] = bad
    moved = put(small(values, three()), form, place, tmp_path)
    for method in ("wilcoxon", "t-test"):
        with pytest.raises(ValueError, match=r"holds 3 NaN or infinite values.*'gene4'"):
            scpdex.tl.rank_genes_parallel(moved, "label", method=method)
        assert not moved.uns


@pytest.mark.parametrize(("form", "place"), PLACES)
def test_a_group_of_one_cell(tmp_path, form, place):
    """Row 8: refused by name before anything is read."""
    moved = put(small(tied(), ["a"] * 30 + ["b"] * 29 + ["single"]), form, place, tmp_path)
    with pytest.raises(ValueError, match=r"'single' of 'label' since they only contain one sample"):
        scpdex.tl.rank_genes_parallel(moved, "label")


@pytest.mark.parametrize(("form", "place"), PLACES)
def test_every_chunk_size(tmp_path, form, place):
    """Row 16: the same bits."""
    adata = small(tied(), three())
    moved = put(adata, form, place, tmp_path)
    expected = by_scpdex(adata, "label", method="wilcoxon")
    for size in (1, 5, 7, 12, 1000):
        assert_same_bits(by_scpdex(moved, "label", method="wilcoxon", gene_chunk_size=size), expected)
