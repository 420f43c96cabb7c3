"""The list of reported columns: everything that names columns agrees with it, and a new column is one line there."""

import re
from pathlib import Path
from typing import get_args

import anndata as ad
import numpy as np
import pytest
from stored import labelled, values_of

import scpdex
from scpdex.statistics import options, reported_columns
from scpdex.statistics.options import METHODS, Extra
from scpdex.statistics.reported_columns import COLUMNS, TESTS_AND_LOGREG, ReportedColumn, known_extras, stored_types

DOCS = Path(__file__).parents[2] / "docs"
EXTRAS = get_args(Extra)
SCANPY = ["scores", "logfoldchanges", "pvals", "pvals_adj"]


def test_types_name_the_same_extras_and_methods():
    assert known_extras() == EXTRAS
    assert set(METHODS) == TESTS_AND_LOGREG
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
    for column in COLUMNS:
        assert (column.formula is None) == (column.table_type is None)
        assert column.methods <= TESTS_AND_LOGREG


@pytest.mark.parametrize("name", stored_types())
def test_every_column_is_documented(name):
    """By the verb that makes it, the verb that gives it, and a page."""
    assert f'``"{name}"``' in scpdex.tl.rank_genes_parallel.__doc__
    assert f"``{name}``" in scpdex.get.rank_genes_df.__doc__
    pages = "".join((DOCS / page).read_text(encoding="utf-8") for page in ("tables.md", "comparisons.md"))
    assert re.search(f'`"?{name}"?`', pages)


@pytest.mark.parametrize(
    ("arguments", "n_bytes"),
    [
        ({}, 20),
        ({"method": "wilcoxon", "extras": ("auc",)}, 28),
        ({"method": "wilcoxon", "extras": ("means", "u")}, 44),
        ({"method": "brunner-munzel", "extras": EXTRAS}, 100),
        ({"column_names": ("pvals", "u", "log_means")}, 24),
    ],
    ids=str,
)
def test_bytes_of_a_group_and_gene(arguments, n_bytes):
    assert sum(np.dtype(dtype).itemsize for dtype in options.TestOptions(**arguments).columns.values()) == n_bytes


def test_fields_of_each_method():
    assert list(options.TestOptions("t-test", extras=("means", "log10_pvals")).fields) == [
        *SCANPY,
        "log10_pvals",
        "means",
        "means_reference",
    ]
    assert list(options.TestOptions("logreg").fields) == ["scores"]
    assert set(options.TestOptions(column_names=("u", "pvals")).columns) == {"u", "pvals"}


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_order_of_columns_in_tables(storage):
    """That of the list, whatever the order of the argument."""
    adata = labelled(values_of("float64"))
    scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", extras=EXTRAS[::-1], storage=storage)
    assert list(scpdex.get.rank_genes_df(adata)) == ["group", "names", *stored_types()]


@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_a_new_column_is_one_line(monkeypatch, tmp_path, method, storage):
    """It is computed, stored, written, read back and put into tables; the plan counts it beyond the result."""
    adata = labelled(values_of("float64"))
    before = scpdex.get.plan(adata, "group", method=method, n_genes=7, max_memory="1GB")
    difference = ReportedColumn(
        "mean_difference", lambda genes: genes.means - genes.other_means, np.float64, np.float32, extra="difference"
    )
    monkeypatch.setattr(reported_columns, "COLUMNS", (*COLUMNS, difference))
    after = scpdex.get.plan(adata, "group", method=method, n_genes=7, max_memory="1GB", extras=["difference"])
    assert after.peak_memory - before.peak_memory == 8 * adata.n_vars * 5
    arguments = {"method": method, "extras": ["difference", "means"], "min_pct": 0.1, "storage": storage}
    scpdex.tl.rank_genes_parallel(adata, "group", **arguments)
    adata.write_h5ad(tmp_path / "x.h5ad")
    table = scpdex.get.rank_genes_df(ad.read_h5ad(tmp_path / "x.h5ad"))
    assert list(table) == ["group", "names", *SCANPY, "means", "means_reference", "mean_difference"]
    assert table["mean_difference"].dtype == np.float32
    assert table["mean_difference"].abs().max() > 0
    expected = (table["means"] - table["means_reference"]).astype(np.float32)
    np.testing.assert_array_equal(table["mean_difference"], expected)
