"""The drop-in for pdex 0.3 against plain code; against pdex itself it is compared in tests/beside_peers."""

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pdex_plain import COLUMNS, plain_pdex
from scipy import sparse
from storages import STORAGES
from stored import in_chunks, on_disk, without_slack
from tied_objects import objects

import scpdex
from scpdex.machine.scratch_file import Scratch

MODES: list[dict[str, Any]] = [{"mode": "ref"}, {"mode": "all"}, {"mode": "on_target", "gene_col": "gene"}]


def assert_same_numbers(ours: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(ours.columns) == COLUMNS
    assert ours[["target", "feature"]].to_numpy().tolist() == expected[["target", "feature"]].to_numpy().tolist()
    for name in COLUMNS[2:]:
        np.testing.assert_allclose(ours[name].astype(float), expected[name].astype(float), rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def simulated() -> ad.AnnData:
    """Counts of groups down to one cell, some cells without a label; genes that one side, or no cell, expresses."""
    rng = np.random.default_rng(0)
    sizes = {"non-targeting": 40, "many": 30, "some": 12, "few": 5, "one": 1, "": 4, "lost": 3}
    labels = np.repeat(list(sizes), list(sizes.values())).astype(object)
    values = rng.poisson(rng.gamma(0.6, 2, (labels.size, 12))).astype(np.float64)
    values[:, 0], values[:, 1] = 0, 3
    values[labels == "many", 2] = values[labels == "non-targeting", 3] = values[labels != "many", 4] = 0
    genes = {"many": "gene4", "some": "gene3", "few": "gene3", "one": "gene7"}
    targets = np.array([genes.get(label) for label in labels], dtype=object)
    labels[labels == "lost"] = np.nan
    order = rng.permutation(labels.size)
    index = [f"cell{i}" for i in range(labels.size)]
    obs = pd.DataFrame({"label": labels[order], "gene": targets[order]}, index=index)
    return ad.AnnData(values[order], obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(12)]))


def table_of(adata: ad.AnnData, **arguments: Any) -> pd.DataFrame:
    return scpdex.pdex(adata, "label", as_pandas=True, **arguments)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode["mode"])
@pytest.mark.parametrize("is_log1p", [True, False])
@pytest.mark.parametrize("geometric_mean", [True, False])
@pytest.mark.parametrize("options", [{}, {"epsilon": 0.5}, {"epsilon": 0}, {"cpm_filter": 80_000.0}], ids=str)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_against_plain_code(simulated, mode, is_log1p, geometric_mean, options):
    adata = simulated.copy()
    if is_log1p:
        adata.X = np.log1p(adata.X)
    arguments = {"is_log1p": is_log1p, "geometric_mean": geometric_mean, **mode, **options}
    expected = plain_pdex(adata, "label", **arguments)
    assert_same_numbers(table_of(adata, **arguments), expected)
    if "cpm_filter" in options:
        every = plain_pdex(adata, "label", **(arguments | {"cpm_filter": None}))
        assert 0 < len(expected) < len(every)
        # The filter takes counts of all genes, whatever means are reported.
        assert expected["p_value"].isin(every["p_value"]).all()


@settings(max_examples=100)
@given(objects(least=1), st.booleans(), st.booleans())
def test_any_values(adata, against_rest, geometric_mean):
    """Ties, negative values, groups of one cell."""
    labels = adata.obs["label"].astype(object)
    present = labels[labels.notna()].unique()
    if against_rest and present.size < 2:
        return
    mode = {"mode": "all"} if against_rest else {"mode": "ref", "reference": "b"}
    arguments = {"is_log1p": True, "geometric_mean": geometric_mean, "epsilon": 1.0, **mode}
    values = adata.X.astype(np.float64)
    # Plain code and the engine round means of large values in their own ways.
    adata.X = np.clip(values, -5, 15)
    with np.errstate(all="ignore"):
        expected = plain_pdex(adata, "label", **arguments)
    ours = table_of(adata, **arguments)
    for name in ("target_mean", "ref_mean", "p_value", "statistic", "fdr"):
        np.testing.assert_allclose(ours[name], expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode["mode"])
@pytest.mark.parametrize("is_log1p", [True, False])
def test_storages_agree_to_the_bit(simulated, tmp_path, mode, is_log1p):
    adata = simulated.copy()
    adata.X = adata.X.astype(np.float32)
    arguments = {"is_log1p": is_log1p, "cpm_filter": 80_000.0, **mode}
    expected = table_of(adata, **arguments)
    for storage in STORAGES.values():
        adata.X = storage(simulated.X.astype(np.float32))
        pd.testing.assert_frame_equal(table_of(adata, threads=2, **arguments), expected, check_exact=True)
    adata.X = sparse.csr_matrix(simulated.X.astype(np.float32))
    for store in ("h5ad", "zarr"):
        stored = on_disk(adata, tmp_path, store)
        pd.testing.assert_frame_equal(table_of(stored, **arguments), expected, check_exact=True)
    # dask adds parts up in another order.
    pd.testing.assert_frame_equal(table_of(in_chunks(adata, 30, 12), **arguments), expected, rtol=1e-12)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode["mode"])
def test_views_and_repeated_names(simulated, mode):
    adata = simulated.copy()
    adata.var_names = [f"gene{j % 8}" for j in range(adata.n_vars)]
    view = adata[::-1, 1:]
    # Of genes of one name, the last is the target's.
    assert_same_numbers(table_of(adata, is_log1p=False, **mode), plain_pdex(adata, "label", is_log1p=False, **mode))
    assert_same_numbers(
        table_of(view, is_log1p=False, **mode), plain_pdex(view.copy(), "label", is_log1p=False, **mode)
    )
    assert view.is_view


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode["mode"])
def test_within_little_memory(simulated, tmp_path, monkeypatch, mode):
    """Statistics that go to the scratch file are the same numbers."""
    arguments = {"is_log1p": False, "cpm_filter": 1000.0, **mode}
    expected = table_of(simulated, **arguments)
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.compat._pdex_0_3_rows._TARGETS_AT_A_TIME", 3)
    monkeypatch.setattr("scpdex.machine.resources.default_max_memory", lambda _: 200_000)
    monkeypatch.setattr("scpdex.plan.memory_model.SLICE_BYTES", 0)
    written = []
    write = Scratch.write
    monkeypatch.setattr(Scratch, "write", lambda self, array: written.append(array.nbytes) or write(self, array))
    pd.testing.assert_frame_equal(table_of(on_disk(simulated.copy(), tmp_path, "h5ad"), **arguments), expected)


def test_order_of_groups(simulated):
    """Sorted as Python sorts strings, or in the order of categories, of which unused ones are ignored."""
    adata = simulated.copy()
    adata.obs["label"] = adata.obs["label"].replace({"some": "g10", "few": "g2"})
    assert table_of(adata, is_log1p=False)["target"].unique().tolist() == ["g10", "g2", "many", "one"]
    categories = ["one", "g2", "unused", "non-targeting", "g10", "many", ""]
    adata.obs["label"] = pd.Categorical(adata.obs["label"], categories=categories)
    # pandas sorts categories that lose one, here the empty string, unless they are ordered.
    assert table_of(adata, is_log1p=False)["target"].unique().tolist() == ["g10", "g2", "many", "one"]
    adata.obs["label"] = adata.obs["label"].cat.as_ordered()
    assert table_of(adata, is_log1p=False)["target"].unique().tolist() == ["one", "g2", "g10", "many"]
    adata.obs["label"] = adata.obs["label"].cat.as_unordered().cat.set_categories(categories[:-1])
    assert table_of(adata, is_log1p=False)["target"].unique().tolist() == ["one", "g2", "g10", "many"]


def test_cells_without_a_label_take_no_part(simulated):
    labelled = simulated[simulated.obs["label"].notna() & (simulated.obs["label"] != "")].copy()
    for mode in MODES:
        pd.testing.assert_frame_equal(
            table_of(simulated, is_log1p=False, **mode), table_of(labelled, is_log1p=False, **mode), check_exact=True
        )


def test_values_that_logs_would_tie():
    """The test is of the values as they are, of which float32 logs could not tell the largest apart."""
    values = (2**24 - np.arange(40)[:, None]).astype(np.float32)
    adata = ad.AnnData(values, obs=pd.DataFrame({"label": np.resize(["a", "b"], 40)}))
    assert np.unique(np.log1p(values)).size < 40
    row = table_of(adata, reference="b", is_log1p=False).iloc[0]
    assert row["statistic"] == plain_pdex(adata, "label", reference="b", is_log1p=False)["statistic"].iloc[0]
