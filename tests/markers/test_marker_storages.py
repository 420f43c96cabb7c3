"""Scores of markers have the same bits for every storage, budget, block of genes and number of threads."""

import re
from typing import Any

import anndata as ad
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from stored import FORMS, RAGGED, in_chunks, labelled, on_disk, values_of, without_slack

import scpdex
from scpdex.run._columns import SpilledColumns

KEY = "score_markers"
CALLS: dict[str, dict[str, Any]] = {
    "all": {"pvals": True, "pairwise": True},
    "strata": {"strata": "donor", "pvals": True, "min_rank_limit": 7},
    "some": {"groups": ["d", "a"], "effects": ("cohens_d", "auc"), "mask_var": np.arange(30) % 4 != 1},
    "ranks": {"summaries": ("min_rank",), "effects": ("delta_detected",)},
}


def _object(matrix: Any) -> ad.AnnData:
    adata = labelled(matrix)
    adata.obs["donor"] = pd.Categorical(np.resize(["p", "p", "q", "r"], adata.n_obs))
    return adata


def _numbers(adata: ad.AnnData, **options: Any) -> dict[str, np.ndarray]:
    scored = scpdex.tl.score_markers(adata, "group", copy=True, **options)
    entry = scored.uns[KEY]
    fields = {name: scored.varm[f"{KEY}_{name}"] for name in entry["fields"]}
    return fields | {f"pairwise {name}": array for name, array in entry.get("pairwise", {}).items()}


def _assert_same(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert actual.keys() == expected.keys()
    for name, matrix in actual.items():
        assert matrix.dtype == expected[name].dtype
        assert np.isfinite(expected[name]).any()
        np.testing.assert_array_equal(matrix, expected[name], err_msg=name)


@pytest.fixture(params=CALLS.values(), ids=CALLS)
def call(request) -> dict[str, Any]:
    return request.param


@pytest.fixture(params=["float32", "float64", "int16"])
def values(request) -> np.ndarray:
    return values_of(request.param)


def test_in_memory(storage, call):
    values = values_of("float32")
    _assert_same(_numbers(_object(storage(values)), **call), _numbers(_object(values), **call, n_jobs=1))


@pytest.mark.parametrize(
    "resources",
    [{"gene_chunk_size": 7}, {"n_jobs": 1}, {"low_memory": True, "n_jobs": 2}],
    ids=["blocks", "one thread", "in parts"],
)
def test_resources(call, values, resources):
    adata = _object(FORMS["CSR"](values))
    _assert_same(_numbers(adata, **call, **resources), _numbers(_object(values), **call))


def test_threads_share_the_pairs(monkeypatch, call):
    """Each ranks genes in some pairs, one at a time."""
    adata = _object(values_of("float32"))
    expected = _numbers(adata, **call, n_jobs=1)
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.run._rank_in_pairs._SLICE_BYTES", 1)
    _assert_same(_numbers(adata, **call, n_jobs=3), expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_on_disk(tmp_path, store, form, call, values):
    stored = on_disk(_object(FORMS[form](values)), tmp_path, store)
    _assert_same(_numbers(stored, **call), _numbers(_object(values), **call))


@pytest.mark.parametrize("form", FORMS)
def test_the_least_budget(tmp_path, monkeypatch, form):
    """What genes are ranked by in each pair waits in scratch."""
    without_slack(monkeypatch)
    values = values_of("float32", n_genes=200)
    stored, options = on_disk(_object(FORMS[form](values)), tmp_path, "h5ad"), CALLS["strata"] | {"n_jobs": 1}
    expected = _numbers(_object(values), **options)
    monkeypatch.setattr("scpdex.run._marker_measure.SpilledColumns", _counted(spilled := []))
    with pytest.raises(ValueError, match="is too little") as refused:
        _numbers(stored, **options, max_memory=1)
    number, unit = re.search(r"([0-9.]+) (kB|MB) are needed", str(refused.value)).groups()
    least = float(number) * {"kB": 1e3, "MB": 1e6}[unit]
    _assert_same(_numbers(stored, **options, max_memory=1.02 * least), expected)
    assert spilled


def _counted(spilled: list[int]) -> Any:
    class Counted(SpilledColumns):
        def end_block(self) -> None:
            spilled.append(self.n_groups)
            super().end_block()

    return Counted


@pytest.mark.parametrize("chunks", [(RAGGED, -1), (RAGGED, (7, 1, 22))], ids=["rows", "rows and columns"])
def test_dask(call, values, chunks):
    _assert_same(_numbers(in_chunks(_object(values), *chunks), **call), _numbers(_object(values), **call))


@pytest.mark.parametrize("form", FORMS)
def test_views(tmp_path, form):
    values = values_of("float64")
    cells, genes = np.random.default_rng(0).permutation(300)[:250], np.arange(29, -1, -2)
    expected = _numbers(_object(values)[cells, genes].copy(), **CALLS["all"])
    whole = _object(FORMS[form](values))
    for adata in (whole, on_disk(whole, tmp_path, "h5ad")):
        _assert_same(_numbers(adata[cells, genes], **CALLS["all"]), expected)


def test_views_become_objects_and_copies_leave_the_object():
    adata = _object(values_of("float32"))
    before = adata.copy()
    copied = scpdex.tl.score_markers(adata, "group", copy=True)
    assert KEY in copied.uns
    assert adata.uns.keys() == before.uns.keys()
    assert adata.varm.keys() == before.varm.keys()
    view = adata[:200]
    scpdex.tl.score_markers(view, "group")
    assert not view.is_view
    assert KEY not in adata.uns


def test_on_disk_without_a_copy(tmp_path):
    stored = on_disk(_object(values_of("float32")), tmp_path, "h5ad")
    scpdex.tl.score_markers(stored, "group")
    assert f"{KEY}_auc_min" in stored.varm
    with pytest.raises(ValueError, match="view of data on disk"):
        scpdex.tl.score_markers(stored[:200], "group")


@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_results_in_files(tmp_path, store):
    adata = _object(values_of("float32"))
    scpdex.tl.score_markers(adata, "group", pvals=True, pairwise=True)
    path = tmp_path / f"result.{store}"
    (adata.write_h5ad if store == "h5ad" else adata.write_zarr)(path)
    read = ad.read_h5ad(path) if store == "h5ad" else ad.read_zarr(path)
    for group in (None, "a", ["b", "e"]):
        pd.testing.assert_frame_equal(
            scpdex.get.score_markers_df(read, group), scpdex.get.score_markers_df(adata, group)
        )
    np.testing.assert_array_equal(read.uns[KEY]["pairwise"]["auc"], adata.uns[KEY]["pairwise"]["auc"])


@pytest.mark.xdist_group("cluster")
def test_on_a_cluster(call):
    from distributed import Client, LocalCluster

    values = values_of("float32")
    expected = _numbers(_object(values), **call)
    chunked = _object(da.from_array(values, chunks=(70, 11)))
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        _assert_same(_numbers(chunked, **call), expected)
