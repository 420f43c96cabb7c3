"""The drop-in against pdex 0.1.28 itself, on a real screen and on simulated counts: `nox -s compat`.

pdex is given float64: on float32 its p-values underflow.
"""

import os
from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pdex
import pytest
import scanpy as sc
from papalexi import read_papalexi

import scpdex

pytestmark = pytest.mark.filterwarnings("ignore")

METRICS = ["wilcoxon", "anderson", "t-test"]
MEANS = [
    {"is_log1p": True},
    {"is_log1p": True, "exp_post_agg": False},
    {"is_log1p": False},
    {"is_log1p": False, "exp_post_agg": False},
    {"clip_value": None},
    {"clip_value": 5},
]
OPTIONS = [
    *({"metric": metric} for metric in METRICS),
    *({"metric": metric, "groups": ["many", "one", "non-targeting"]} for metric in METRICS),
    *({"metric": metric, "reference": "few"} for metric in METRICS),
    *({"metric": metric, "reference": "one"} for metric in METRICS),
    *({"metric": "t-test", **means} for means in MEANS),
    *(
        {"metric": "wilcoxon", "alternative": alternative, "tie_correct": tie_correct}
        for alternative in ("two-sided", "less", "greater")
        for tie_correct in (True, False)
    ),
    {"metric": "wilcoxon", "method": "asymptotic"},
    {"metric": "t-test", "alternative": "less"},
    {"metric": "t-test", "alternative": "greater"},
    {"metric": "t-test", "equal_var": False},
]
LABELS = ["target", "reference", "feature"]


def assert_same_tables(ours: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Columns, rows, dtypes; numbers within 1e-6."""
    assert list(ours.columns) == list(expected.columns)
    pd.testing.assert_series_equal(ours.dtypes, expected.dtypes)
    pd.testing.assert_frame_equal(ours[LABELS], expected[LABELS])
    for column in ours.columns.drop(LABELS):
        # A difference of equal means is a rounding error.
        atol = 1e-300 if column in {"p_value", "fdr"} else 1e-12
        np.testing.assert_allclose(ours[column], expected[column], rtol=1e-6, atol=atol, err_msg=column)


@pytest.fixture(scope="module")
def simulated() -> ad.AnnData:
    """Counts of groups down to one cell, out of order; genes that are constant, empty, absent on a side, or untied."""
    rng = np.random.default_rng(0)
    sizes = {"non-targeting": 60, "many": 70, "some": 25, "few": 6, "two": 2, "one": 1}
    labels = np.repeat(list(sizes), list(sizes.values()))
    # As large as logs of counts are: pdex takes all values with fractions for these.
    values = np.minimum(rng.poisson(rng.gamma(0.6, 2, (labels.size, 15))), 20).astype(np.float64)
    values[:, 0], values[:, 1] = 0, 3
    values[labels == "many", 2] = values[labels == "non-targeting", 3] = 0
    values[:, 4] = rng.random(labels.size)
    values[:, 5] = np.arange(labels.size) / 10
    order = rng.permutation(labels.size)
    obs = pd.DataFrame({"target_gene": labels[order]}, index=[f"cell{i}" for i in range(labels.size)])
    return ad.AnnData(values[order], obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(15)]))


@pytest.fixture(scope="module")
def papalexi() -> ad.AnnData:
    """20,729 cells x 299 genes, 25 perturbations and a control, log-normalised, float64."""
    adata = read_papalexi()
    adata.X = adata.X.astype(np.float64)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    return adata


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_simulated_counts(simulated, options):
    expected = pdex.parallel_differential_expression(simulated, **options)
    assert_same_tables(scpdex.parallel_differential_expression(simulated, **options), expected)


@pytest.mark.parametrize(
    "options",
    [*({"metric": m} for m in METRICS), {"tie_correct": False}, {"groups": ["STAT1", "CUL3"]}, *MEANS],
    ids=str,
)
def test_screen(papalexi, options):
    options = options | {"groupby_key": "gene"}
    if not options.keys() & {"metric", "tie_correct", "groups"}:
        options["metric"] = "t-test"
    expected = pdex.parallel_differential_expression(papalexi, num_workers=os.cpu_count(), **options)
    assert_same_tables(scpdex.parallel_differential_expression(papalexi, **options), expected)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", [pd.Categorical, lambda labels: pd.factorize(labels)[0], np.asarray])
def test_kinds_of_labels(simulated, metric, kind: Callable[[Any], Any]):
    """Categories, whose order does not count; integers; strings."""
    adata = simulated.copy()
    adata.obs["label"] = kind(adata.obs["target_gene"])
    reference = adata.obs["label"].iloc[3]
    options = {"groupby_key": "label", "reference": reference, "metric": metric}
    expected = pdex.parallel_differential_expression(adata, **options)
    assert_same_tables(scpdex.parallel_differential_expression(adata, **options), expected)


def test_fractions_that_are_too_large_for_logs(simulated):
    """The difference that the documents list: pdex takes them for logs, and its means are beyond all counts."""
    adata = simulated.copy()
    adata.X = 10 * adata.X
    ours = scpdex.parallel_differential_expression(adata, metric="t-test")
    assert_same_tables(ours, pdex.parallel_differential_expression(adata, metric="t-test", is_log1p=False))
    logs = pdex.parallel_differential_expression(adata, metric="t-test")
    assert logs["target_mean"].max() > 1e30 > ours["target_mean"].max()
    assert_same_tables(scpdex.parallel_differential_expression(adata, metric="t-test", is_log1p=True), logs)


def test_polars(simulated):
    expected = pdex.parallel_differential_expression(simulated, as_polars=True, clip_value=None)
    ours = scpdex.parallel_differential_expression(simulated, as_polars=True, clip_value=None)
    assert ours.schema == expected.schema
    assert ours.null_count().row(0) == expected.null_count().row(0)
    assert_same_tables(ours.to_pandas(), expected.to_pandas())


def test_in_parts_is_as_in_memory(simulated, tmp_path):
    """In parts, pdex leaves out the continuity correction and rounds to float32: what it does in memory is meant."""
    expected = pdex.parallel_differential_expression(simulated)
    simulated.write_h5ad(tmp_path / "x.h5ad")
    ours = scpdex.parallel_differential_expression(ad.read_h5ad(tmp_path / "x.h5ad", backed="r"), gene_chunk_size=4)
    assert_same_tables(ours, expected)
    assert_same_tables(scpdex.parallel_differential_expression(simulated, low_memory=True), expected)
