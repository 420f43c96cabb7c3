"""The drop-in against pdex 0.3.0 itself, on two real screens and on simulated counts: `nox -s compat`.

pdex is given float64: its means of float32 are float32.
"""

from itertools import cycle, product
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pdex
import polars as pl
import pytest
import scanpy as sc
from pdex_plain import plain_pdex
from scipy import sparse

import scpdex

pytestmark = pytest.mark.filterwarnings("ignore")

FORMS = {"dense": np.asarray, "CSR": sparse.csr_matrix, "CSC": sparse.csc_matrix}
MODES: list[dict[str, Any]] = [{"mode": "ref"}, {"mode": "all"}, {"mode": "on_target", "gene_col": "gene"}]
OPTIONS = [
    *(
        {"is_log1p": is_log1p, "geometric_mean": geometric_mean, "epsilon": epsilon}
        for is_log1p, geometric_mean, epsilon in product((True, False), (True, False), (1e-9, 0.0, 0.5))
    ),
    *(
        {"is_log1p": is_log1p, "geometric_mean": geometric_mean, "cpm_filter": cpm_filter}
        for is_log1p, geometric_mean, cpm_filter in product((True, False), (True, False), (-1, 0, 20_000.0, 1e7))
    ),
]


def assert_same_tables(ours: pl.DataFrame, expected: pl.DataFrame, *, atol: float = 1e-9) -> None:
    """Columns, rows, dtypes; numbers within 1e-9 max(1, x)."""
    assert ours.columns == expected.columns
    assert ours.height == expected.height
    if not expected.height:
        # The type of names is that of an empty array of objects there.
        return
    if expected.schema["target"].is_integer():
        expected = expected.with_columns(pl.col("target").cast(pl.Int64))
    assert ours.schema == expected.schema
    for column in expected.columns:
        if expected[column].dtype.is_float():
            np.testing.assert_allclose(ours[column], expected[column], rtol=1e-9, atol=atol, err_msg=column)
        else:
            assert ours[column].to_list() == expected[column].to_list()


def compare_both(adata: ad.AnnData, **arguments: Any) -> None:
    ours, expected = scpdex.pdex(adata, **arguments), pdex.pdex(adata, **arguments)
    if arguments.get("mode") == "all" and "is_log1p" in arguments:
        # pdex subtracts a group's mean from that of all cells, and divides by rounding errors where the rest has none.
        exact = plain_pdex(adata, **arguments)
        is_absent = pl.Series(exact["ref_mean"] == 0)
        changes = ["log2_fold_change", "percent_change"]
        replaced = [
            pl.when(is_absent).then(pl.Series(exact[name])).otherwise(pl.col(name)).alias(name) for name in changes
        ]
        expected = expected.with_columns(replaced)
    assert_same_tables(ours, expected)


@pytest.fixture(scope="module")
def simulated() -> ad.AnnData:
    """Counts of groups down to one cell, out of order; genes that are constant, empty, absent on a side, or untied."""
    rng = np.random.default_rng(0)
    sizes = {"non-targeting": 60, "many": 70, "some": 25, "few": 6, "two": 2, "one": 1, "": 5, "lost": 4}
    labels = np.repeat(list(sizes), list(sizes.values())).astype(object)
    values = rng.poisson(rng.gamma(0.6, 2, (labels.size, 15))).astype(np.float64)
    values[:, 0], values[:, 1] = 0, 3
    values[labels == "many", 2] = values[labels == "non-targeting", 3] = values[labels != "many", 6] = 0
    values[:, 4] = rng.random(labels.size)
    values[:, 5] = np.arange(labels.size) / 10
    genes = {"many": "gene2", "some": "gene4", "few": "gene5", "two": "gene5", "one": "gene7", "lost": "absent"}
    targets = np.array([genes.get(label) for label in labels], dtype=object)
    labels[np.flatnonzero(labels == "lost")[2:]] = np.nan
    order = rng.permutation(labels.size)
    obs = {"label": labels[order], "gene": targets[order]}
    obs = pd.DataFrame(obs, index=[f"cell{i}" for i in range(labels.size)])
    return ad.AnnData(values[order], obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(15)]))


@pytest.fixture(params=["papalexi_counts", "schraivogel_counts"])
def screen(request) -> ad.AnnData:
    """Raw counts of a screen, float64; ``gene`` is the perturbed gene of each cell, and the label."""
    adata = request.getfixturevalue(request.param)
    adata.X = adata.X.astype(np.float64)
    adata.obs["label"] = adata.obs["gene"].astype(str)
    adata.obs["gene"] = adata.obs["label"]
    return adata


def transformed(adata: ad.AnnData, options: dict[str, Any]) -> ad.AnnData:
    """Logs where the options say so."""
    adata = adata.copy()
    if options["is_log1p"]:
        sc.pp.log1p(adata)
    return adata


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode["mode"])
@pytest.mark.parametrize(("options", "form"), list(zip(OPTIONS, cycle(FORMS), strict=False)), ids=str)
def test_simulated_counts(simulated, options, mode, form):
    adata = transformed(simulated, options)
    adata.X = FORMS[form](adata.X)
    compare_both(adata, groupby="label", **mode, **options)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode["mode"])
@pytest.mark.parametrize(
    "options",
    [
        {"is_log1p": True},
        {"is_log1p": True, "geometric_mean": False, "cpm_filter": 5.0},
        {"is_log1p": False},
        {"is_log1p": False, "cpm_filter": 100.0},
    ],
    ids=str,
)
def test_screens(screen, options, mode):
    compare_both(transformed(screen, options), groupby="label", **mode, **options)


@pytest.mark.parametrize("scale", [1, 100])
def test_looks_for_logs(simulated, scale):
    """Of the first 500 rows only: the last one is large."""
    adata = ad.concat([simulated] * 3, index_unique="-")
    adata.X = np.minimum(adata.X, 19) * scale
    adata.X[500:] *= 1000
    compare_both(adata, groupby="label")


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode["mode"])
def test_views_and_repeated_names(simulated, mode):
    adata = simulated.copy()
    adata.var_names = [f"gene{j // 2}" for j in range(adata.n_vars)]
    adata.X = sparse.csr_matrix(adata.X)
    compare_both(adata[::-1, ::2], groupby="label", is_log1p=False, **mode)
    compare_both(adata, groupby="label", is_log1p=False, **mode)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode["mode"])
@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "float64", "bool", "str", "categorical", "Int64"])
def test_kinds_of_labels(simulated, kind, mode):
    adata = simulated[simulated.obs["label"].isin(["many", "some", "non-targeting"])].copy()
    numbers = adata.obs["label"].map({"many": 0, "some": 11, "non-targeting": 2}).astype(int)
    if kind == "bool":
        adata = adata[numbers != 11].copy()
    kinds = {"str": numbers.map("g{}".format), "categorical": pd.Categorical(numbers, categories=[2, 11, 5, 0])}
    labels = pd.Series(kinds[kind] if kind in kinds else numbers.astype(kind), index=numbers.index)
    if kind == "categorical":
        labels = labels.cat.remove_unused_categories()
    adata.obs["label"] = labels[adata.obs_names]
    reference = adata.obs["label"][numbers[adata.obs_names] == 2].iloc[0]
    if kind == "bool" and mode["mode"] == "on_target":
        pytest.skip("pdex makes numbers of bools there")
    mode = mode if mode["mode"] == "all" else {**mode, "reference": reference}
    compare_both(adata, groupby="label", is_log1p=False, **mode)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode["mode"])
@pytest.mark.parametrize("form", FORMS)
def test_on_disk(simulated, tmp_path, form, mode):
    """pdex loads what it compares."""
    adata = simulated.copy()
    adata.X = FORMS[form](adata.X)
    adata.copy().write_h5ad(tmp_path / "x.h5ad")
    # What no cell beyond the group has is compared with the formula elsewhere.
    arguments = {"groupby": "label", "is_log1p": False, "epsilon": 1e-3, **mode}
    expected = pdex.pdex(adata, **arguments)
    assert_same_tables(scpdex.pdex(ad.read_h5ad(tmp_path / "x.h5ad", backed="r"), **arguments), expected)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("with_empty", [True, False])
def test_order_of_categories(simulated, with_empty, ordered):
    """Unused categories are refused there."""
    categories = ["two", "many", "non-targeting", "one", "some", "few", "lost"] + [""] * with_empty
    adata = simulated[simulated.obs["label"].isin(categories)].copy()
    adata.obs["label"] = pd.Categorical(adata.obs["label"], categories=categories, ordered=ordered)
    compare_both(adata, groupby="label", is_log1p=False)


def test_float32(simulated):
    """The difference that the documents list: means here are float64."""
    adata = simulated.copy()
    adata.X = sparse.csr_matrix(adata.X.astype(np.float32))
    arguments = {"groupby": "label", "is_log1p": False, "geometric_mean": False}
    ours, expected = scpdex.pdex(adata, **arguments), pdex.pdex(adata, **arguments)
    assert expected.schema["target_mean"] == pl.Float32
    assert ours.schema["target_mean"] == pl.Float64
    for column in ("target_mean", "ref_mean", "p_value", "statistic", "fdr"):
        np.testing.assert_allclose(ours[column], expected[column], rtol=1e-6, err_msg=column)


def test_pandas(simulated):
    arguments = {"groupby": "label", "is_log1p": False, "as_pandas": True}
    pd.testing.assert_frame_equal(scpdex.pdex(simulated, **arguments), pdex.pdex(simulated, **arguments), rtol=1e-9)


UNUSED: list[dict[str, Any]] = [{"mode": "ref", "gene_col": "gene"}, {"mode": "all", "reference": "many", "colour": 1}]


@pytest.mark.parametrize("arguments", UNUSED, ids=str)
@pytest.mark.filterwarnings("default")
def test_arguments_without_effect(simulated, arguments):
    for package in (scpdex, pdex):
        with pytest.warns(UserWarning, match=next(iter(reversed(arguments)))) as warned:
            package.pdex(simulated, "label", is_log1p=False, **arguments)
        assert sum(issubclass(warning.category, UserWarning) for warning in warned) == 1
