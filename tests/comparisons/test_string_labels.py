"""String labels become categories where the result is stored, as anndata makes them, and nothing else does."""

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import anndata as ad
import h5py
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from stored import labelled, on_disk, values_of

import scpdex

WORDS = ["b10", "b2", "a", "C"]


def strings(**of_frame: Any) -> ad.AnnData:
    """Object of 300 cells with string labels in several columns."""
    adata = labelled(values_of("float32"))
    adata.obs["label"] = np.resize(np.array(WORDS, dtype=object), 300)
    adata.obs["other"] = np.resize(np.array(["x", "y"], dtype=object), 300)
    adata.var["kind"] = np.resize(np.array(["p", "q"], dtype=object), 30)
    for name, values in of_frame.items():
        adata.obs[name] = values
    return adata


def as_anndata_does(adata: ad.AnnData, name: str) -> pd.DataFrame:
    """Convert a copy of one column."""
    frame = adata.obs[[name]].copy()
    adata.strings_to_categoricals(frame)
    return frame


def assert_only_labels_changed(adata: ad.AnnData, before: ad.AnnData, name: str = "label") -> None:
    """All of obs and var is as it was, but for one column, which is as anndata makes it."""
    pd.testing.assert_frame_equal(adata.obs[[name]], as_anndata_does(before, name))
    pd.testing.assert_frame_equal(adata.obs.drop(columns=name), before.obs.drop(columns=name))
    pd.testing.assert_frame_equal(adata.var, before.var)
    assert list(adata.obs.columns) == list(before.obs.columns)


@pytest.mark.parametrize("arguments", [{}, {"method": "logreg"}, {"storage": "varm"}, {"split_by": "other"}], ids=str)
def test_of_the_groupby_column_only(arguments):
    """Row 28: categories in natural order, which are the groups of the result."""
    adata = strings()
    frame, before = adata.obs, adata.copy()
    scpdex.tl.rank_genes_parallel(adata, "label", **arguments)
    assert_only_labels_changed(adata, before)
    assert adata.obs is frame
    assert list(adata.obs["label"].cat.categories) == ["C", "a", "b2", "b10"]
    if not arguments:
        assert adata.uns["rank_genes_groups"]["names"].dtype.names == ("C", "a", "b2", "b10")


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(300, dtype=object)
    array[:] = [values[i % len(values)] for i in range(300)]
    return array


COLUMNS: dict[str, Callable[[], Any]] = {
    "objects": lambda: pd.Series(_objects(WORDS), dtype=object).to_numpy(),
    "missing": lambda: _objects([*WORDS, None, np.nan]),
    "string": lambda: pd.array(_objects(WORDS), dtype="string[python]"),
    "string, missing": lambda: pd.array(_objects([*WORDS, pd.NA]), dtype="string[python]"),
    "pyarrow": lambda: pd.array(_objects([*WORDS, pd.NA]), dtype="string[pyarrow]"),
    "arrow": lambda: pd.array(_objects(WORDS), dtype=pd.ArrowDtype(pytest.importorskip("pyarrow").string())),
    "np.str_": lambda: _objects([np.str_(word) for word in WORDS]),
    "str": lambda: np.resize(np.array(WORDS), 300),
    "categories": lambda: pd.Categorical(_objects(WORDS), categories=[*WORDS, "unused"]),
    "numbers": lambda: np.resize([2, 10, 1], 300),
    "floats, missing": lambda: np.resize([2.5, 10, np.nan], 300),
    "bools": lambda: np.resize([True, False], 300),
    "objects that are numbers": lambda: _objects([1, 2]),
    "objects that are bools": lambda: _objects([True, False]),
    "mixed": lambda: _objects([1, "a", 2.5]),
    "strings and tuples": lambda: _objects(["a", ("b", 1)]),
    "bytes": lambda: _objects([b"a", b"b"]),
    "empty strings": lambda: _objects(["", "a", " "]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_kinds_of_columns(kind):
    """Row 28: which columns are converted, and to what, is as anndata decides it."""
    if "pyarrow" in kind:
        pytest.importorskip("pyarrow")
    column = pd.Series(COLUMNS[kind](), index=labelled(values_of("float32")).obs_names)
    if kind.startswith("objects"):
        column = column.astype(object)
    adata = strings(label=column)
    before = adata.copy()
    scpdex.tl.rank_genes_parallel(adata, "label")
    assert_only_labels_changed(adata, before)


def test_labels_that_are_all_distinct():
    """Row 28: they stay, as in scanpy, though a group of one cell can be ranked by nobody."""
    adata = strings(label=[f"cell{i}" for i in range(300)])
    before = adata.obs["label"].copy()
    with pytest.raises(ValueError, match="label"):
        scpdex.tl.rank_genes_parallel(adata, "label")
    pd.testing.assert_series_equal(adata.obs["label"], before)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*"aAb", "10", "9", "", "ä", None]), min_size=4, max_size=12).filter(any))
def test_any_labels(labels):
    """Row 28: each of them twice, so that they can be ranked."""
    obs = pd.DataFrame({"label": pd.Series([*labels, *labels], dtype=object)}).set_index(
        pd.Index([str(i) for i in range(2 * len(labels))])
    )
    adata = ad.AnnData(np.eye(2 * len(labels), 2, dtype=np.float32), obs=obs)
    expected = as_anndata_does(adata, "label")
    scpdex.tl.rank_genes_parallel(adata, "label", n_jobs=1)
    pd.testing.assert_frame_equal(adata.obs, expected)


def test_what_follows_works():
    """Row 28: what scanpy's users call next, on labels that were strings."""
    mpl.use("Agg")
    adata = strings()
    scpdex.tl.rank_genes_parallel(adata, "label", method="wilcoxon")
    assert list(adata.obs["label"].cat.codes[:4]) == [3, 2, 1, 0]
    sc.tl.dendrogram(adata, "label", use_rep="X")
    for plot in (sc.pl.rank_genes_groups_tracksplot, sc.pl.rank_genes_groups_dotplot, sc.pl.rank_genes_groups_heatmap):
        plot(adata, n_genes=2, show=False)
    sc.pl.rank_genes_groups_stacked_violin(adata, n_genes=2, show=False)
    sc.pl.rank_genes_groups_matrixplot(adata, n_genes=2, show=False)
    mpl.pyplot.close("all")
    sc.tl.filter_rank_genes_groups(adata)
    scpdex.tl.rank_genes_to_varm(adata)
    scpdex.tl.rank_genes_to_uns(adata)


@pytest.mark.parametrize("place", ["memory", "backed"])
def test_of_the_copy_only(tmp_path, place):
    """Row 28: with copy=True the object itself is as it was."""
    adata = strings()
    if place == "backed":
        adata = on_disk(adata, tmp_path, "h5ad", convert_strings_to_categoricals=False)
    before = adata.obs.copy()
    copy = scpdex.tl.rank_genes_parallel(adata, "label", copy=True)
    pd.testing.assert_frame_equal(adata.obs, before)
    assert_only_labels_changed(copy, strings())
    if place == "backed":
        part = scpdex.tl.rank_genes_parallel(adata[:200], "label", copy=True)
        assert_only_labels_changed(part, strings()[:200].copy())


@pytest.mark.parametrize("cells", [slice(0, 200), np.arange(300) % 3 > 0], ids=["slice", "mask"])
def test_of_a_view(cells):
    """Row 28: storing makes the view an object of its own; its parent is as it was."""
    adata = strings()
    before, view = adata.obs.copy(), adata[cells]
    expected = view.copy()
    with pytest.warns(ad.ImplicitModificationWarning) as told:
        scpdex.tl.rank_genes_parallel(view, "label")
    assert len(told) == 1
    assert_only_labels_changed(view, expected)
    pd.testing.assert_frame_equal(adata.obs, before)


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_never_in_a_file(tmp_path, mode):
    """Row 28: the labels of an object that is backed by a file are converted in memory."""
    adata = on_disk(strings(), tmp_path, "h5ad", mode=mode, convert_strings_to_categoricals=False)
    scpdex.tl.rank_genes_parallel(adata, "label")
    assert_only_labels_changed(adata, strings())
    path = adata.filename
    adata.file.close()
    with h5py.File(path) as file:
        assert file["obs/label"].attrs["encoding-type"] != "categorical"
        assert not list(file["uns"])


@pytest.mark.filterwarnings("ignore:The data type")
def test_not_in_lazily_opened_objects(tmp_path):
    """Row 28: their columns are read when they are needed, and are not the object's to convert."""
    pytest.importorskip("xarray")
    pytest.importorskip("dask")
    strings().write_zarr(tmp_path / "lazy.zarr", convert_strings_to_categoricals=False)
    adata = ad.experimental.read_lazy(tmp_path / "lazy.zarr")
    kind = type(adata.obs["label"])
    scpdex.tl.rank_genes_parallel(adata, "label")
    assert "rank_genes_groups" in adata.uns
    assert type(adata.obs["label"]) is kind
    assert not isinstance(pd.DataFrame(adata.obs.to_memory())["label"].dtype, pd.CategoricalDtype)


def test_a_plan_changes_nothing():
    """Row 28: nor do calls that are refused, or tables."""
    adata = strings()
    before = adata.obs.copy()
    scpdex.get.plan(adata, "label")
    with pytest.raises(ValueError, match="not a group"):
        scpdex.tl.rank_genes_parallel(adata, "label", groups=["d"])
    scpdex.tl.rank_genes_parallel(adata, "group")
    scpdex.get.rank_genes_df(adata)
    scpdex.parallel_differential_expression(adata, groupby_key="label", reference="a")
    pd.testing.assert_frame_equal(adata.obs, before)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize(
    "stage", ["tl._rank_and_write.order_table", "results._write_results.remove_matrices", "column"]
)
def test_a_call_that_fails_changes_nothing(monkeypatch, stage, error):
    """Row 28: while it works, while it writes the result, or while it writes the labels."""
    adata = strings()
    scpdex.tl.rank_genes_parallel(adata, "group")
    uns, before = dict(adata.uns), adata.obs.copy()

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        if stage == "column":
            patch.setattr(pd.DataFrame, "__setitem__", fail)
        else:
            patch.setattr(f"scpdex.{stage}", fail)
        with pytest.raises(error):
            scpdex.tl.rank_genes_parallel(adata, "label", storage="varm")
    pd.testing.assert_frame_equal(adata.obs, before)
    assert dict(adata.uns) == uns
    assert not adata.varm.keys()


def test_from_several_threads():
    """Rows 24 and 28: each converts the labels, or finds them converted."""
    adata = strings()
    before, together = adata.copy(), Barrier(8)

    def call(i: int) -> None:
        together.wait()
        scpdex.tl.rank_genes_parallel(adata, "label", key_added=f"key{i}", n_jobs=1)

    threads = [Thread(target=call, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_only_labels_changed(adata, before)
    assert set(adata.uns) == {f"key{i}" for i in range(8)}


@pytest.mark.parametrize("labels", [["s01", "s1", "s001"], ["01", "1", "001", "10"], ["b", "B", "a"]])
def test_labels_that_natural_order_holds_equal(labels):
    """Row 28: groups are in the order of the categories that the call makes, so that a second call is the same."""
    adata = labelled(values_of("float32"))
    adata.obs["group"] = np.resize(labels, adata.n_obs)
    orders = []
    for _ in range(2):
        scpdex.tl.rank_genes_parallel(adata, "group")
        orders.append(list(adata.uns["rank_genes_groups"]["names"].dtype.names))
    sanitized = adata.copy()
    sanitized.obs["group"] = np.resize(labels, adata.n_obs)
    sanitized.strings_to_categoricals()
    assert orders == [list(sanitized.obs["group"].cat.categories)] * 2
