"""The base of the logarithm, as scanpy, files and converters leave it in uns."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from oracles import assert_same_numbers, by_scanpy, by_scpdex
from stored import labelled, values_of

import scpdex
from scpdex.statistics.unpacked_value import unpack_single

# What scanpy reads as well.
PLAIN = {
    "absent": (None, None),
    "empty": ({}, None),
    "None": ({"base": None}, None),
    "int": ({"base": 2}, 2),
    "NumPy int": ({"base": np.int64(10)}, 10),
    "float": ({"base": 2.5}, 2.5),
    "below 1": ({"base": 0.5}, 0.5),
    "float32": ({"base": np.float32(2)}, 2),
    "array of no dimension": ({"base": np.array(2.0)}, 2),
    "array of one": ({"base": np.array([10])}, 10),
    "OrderedDict": (OrderedDict(base=2), 2),
    "further entries": ({"base": 2, "other": "x"}, 2),
}
# What it does not; the second is the base that is meant.
CONVERTED = {
    "entry None": (None, None),
    "entry empty list": ([], None),
    "entry empty array": (np.array([]), None),
    "entry True": (True, None),
    "entry NaN": (float("nan"), None),
    "entry data frame": (pd.DataFrame({"base": [2.0]}), 2),
    "entry records": (np.array([(2.0,)], dtype=[("base", "f8")]), 2),
    "text": ({"base": "2"}, 2),
    "text with a fraction": ({"base": " 2.50 "}, 2.5),
    "NumPy text": ({"base": np.str_("10")}, 10),
    "bytes": ({"base": b"10"}, 10),
    "array of text": ({"base": np.array(["10"], dtype=object)}, 10),
    "array of bytes": ({"base": np.array([b"10"])}, 10),
    "text e": ({"base": "e"}, None),
    "text None": ({"base": "None"}, None),
    "text NA": ({"base": "NA"}, None),
    "empty text": ({"base": ""}, None),
    "NaN": ({"base": float("nan")}, None),
    "array of NaN": ({"base": np.array([np.nan])}, None),
    "NA": ({"base": pd.NA}, None),
    "empty array": ({"base": np.array([])}, None),
    "empty list": ({"base": []}, None),
    "empty mapping": ({"base": {}}, None),
    "list of one": ({"base": [2]}, 2),
    "matrix of one": ({"base": np.array([[2.0]])}, 2),
    "Series": ({"base": pd.Series([2.0])}, 2),
    "Index": ({"base": pd.Index(["2"])}, 2),
    "pandas array": ({"base": pd.array([2], dtype="Int64")}, 2),
    "masked": ({"base": np.ma.masked_all(1)}, None),
}
IMPOSSIBLE = [
    {"base": 0},
    {"base": 1},
    {"base": 1.0},
    {"base": -2},
    {"base": "1"},
    {"base": "abc"},
    {"base": "2,5"},
    {"base": float("inf")},
    {"base": "inf"},
    {"base": 10**400},
    {"base": True},
    {"base": np.False_},
    {"base": 2j},
    {"base": [2, 10]},
    {"base": np.array([2.0, 10.0])},
    {"base": {"a": 2}},
    {"base": ...},
    "text",
    2.0,
    False,
    [2, 3],
]


def logged(base: float | None) -> ad.AnnData:
    """Counts whose logarithms of this base were taken; ``uns`` does not say so."""
    adata = labelled(values_of("int32"))
    scale = 1 if base is None else np.log(base)
    adata.X = (np.log1p(adata.X) / scale).astype(np.float32)
    return adata


def as_it_is(uns: dict[str, Any], _: Path) -> Any:
    return uns


def through_h5ad(uns: dict[str, Any], folder: Path) -> Any:
    ad.AnnData(uns=uns).write_h5ad(folder / "x.h5ad")
    return ad.read_h5ad(folder / "x.h5ad").uns


def through_zarr(uns: dict[str, Any], folder: Path) -> Any:
    ad.AnnData(uns=uns).write_zarr(folder / "x.zarr")
    return ad.read_zarr(folder / "x.zarr").uns


@pytest.mark.parametrize("through", [as_it_is, through_h5ad, through_zarr])
@pytest.mark.parametrize("case", PLAIN)
def test_as_scanpy(case: str, through: Callable[[dict[str, Any], Path], Any], tmp_path: Path) -> None:
    """Row 37: what scanpy reads means the same here, before and after files."""
    entry, base = PLAIN[case]
    adata = logged(base)
    if entry is not None:
        adata.uns = through({"log1p": dict(entry) if through is not as_it_is else entry}, tmp_path)
    expected = by_scanpy(adata, "group", method="wilcoxon")
    assert_same_numbers(by_scpdex(adata, "group", method="wilcoxon"), expected)


@pytest.mark.parametrize("case", CONVERTED)
def test_as_converters_leave_it(case: str) -> None:
    """Row 37: read as scanpy reads the plain base that was meant."""
    entry, base = CONVERTED[case]
    adata = logged(base)
    expected = adata.copy()
    expected.uns["log1p"] = {"base": base}
    adata.uns["log1p"] = entry
    assert_same_numbers(by_scpdex(adata, "group", method="wilcoxon"), by_scanpy(expected, "group", method="wilcoxon"))


@pytest.mark.parametrize("entry", IMPOSSIBLE, ids=repr)
def test_refused_by_name(entry: Any) -> None:
    """Row 37: before any work, with the value and what to do."""
    adata = logged(None)
    adata.uns["log1p"] = entry
    for call in (scpdex.tl.rank_genes_parallel, scpdex.get.plan):
        with pytest.raises(
            ValueError, match=r"adata\.uns\['log1p'\].* is not the base of a logarithm\. Set"
        ) as refused:
            call(adata, "group")
        value = entry["base"] if isinstance(entry, dict) else entry
        assert repr(value) in str(refused.value)
    assert adata.uns.keys() == {"log1p"}


def test_where_the_base_is_not_used() -> None:
    """Counts that are normalized here have natural logs, and logistic regression has no fold changes."""
    counts = labelled(values_of("int32"))
    expected = by_scpdex(counts, "group", method="wilcoxon", normalize=1e4)
    counts.uns["log1p"] = {"base": "abc"}
    assert_same_numbers(by_scpdex(counts, "group", method="wilcoxon", normalize=1e4), expected)
    adata = logged(None)
    adata.uns["log1p"] = {"base": "abc"}
    assert "logfoldchanges" not in by_scpdex(adata, "group", method="logreg")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array(["x"], dtype=object), "x"),
        (np.array([[2.0]]), 2.0),
        (pd.Series([True]), True),
        ([(b"x",)], "x"),
        (np.array([]), None),
        ([pd.NA], None),
        ("nan", "nan"),
        ([1, 2], [1, 2]),
        ({"a": [1]}, {"a": [1]}),
    ],
    ids=repr,
)
def test_single_values_are_unpacked(value, expected):
    """Of parameters of a result as of the base; anything longer is left as it is."""
    assert unpack_single(value) == expected
    longer = np.array([1, 2])
    assert unpack_single(longer) is longer
