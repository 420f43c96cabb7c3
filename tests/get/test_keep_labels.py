"""Tables with labels as obs has them, in place of their spellings."""

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from stored import labelled, values_of

import scpdex
from scpdex.get import rank_genes_df

KEY = "rank_genes_groups"
NUMBERS = [0, 1, 10]
# Labels of each column, and the dtype of the table's column in pandas and polars.
LABELS = {
    "int64": (pd.Series(NUMBERS, dtype="int64"), "int64", "Int64"),
    "int8": (pd.Series(NUMBERS, dtype="int8"), "int8", "Int8"),
    "uint32": (pd.Series(NUMBERS, dtype="uint32"), "uint32", "UInt32"),
    "float64": (pd.Series([-0.5, 0.0, 1e300]), "float64", "Float64"),
    "float32": (pd.Series([0.0, 0.1, 1.0], dtype="float32"), "float32", "Float32"),
    "bool": (pd.Series([False, True]), "bool", "Boolean"),
    "nullable integer": (pd.Series([0, 1, None], dtype="Int64"), "Int64", "Int64"),
    "nullable bool": (pd.Series([False, True, None], dtype="boolean"), "boolean", "Boolean"),
    "integer and missing": (pd.Series([0, 1, None]), "float64", "Float64"),
    "category of int64": (pd.Series([10, 0, 1], dtype="category"), "int64", "Int64"),
    "category of int8": (pd.Series([10, 0, 1], dtype="int8").astype("category"), "int8", "Int8"),
    "category in another order": (pd.Series(pd.Categorical([1, 0], [1, 5, 0])), "int64", "Int64"),
    "category of bool": (pd.Series([True, False], dtype="category"), "bool", "Boolean"),
    "objects that are integers": (pd.Series([2**40, 1], dtype=object), "object", "Int64"),
    "dates": (pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02"])), None, "Datetime"),
}
STORAGES = ["uns", "varm", "file"]


def ranked(labels: pd.Series, tmp_path: Path, storage: str = "uns", **arguments: Any) -> ad.AnnData:
    """Rank the groups that cells have in turn; a file is named by uns."""
    adata = labelled(values_of("float32"))
    adata.obs["label"] = labels.take(np.resize(np.arange(len(labels)), adata.n_obs)).set_axis(adata.obs_names)
    place = str(tmp_path / "result.parquet") if storage == "file" else storage
    scpdex.tl.rank_genes_parallel(adata, "label", **({"method": "wilcoxon", "storage": place} | arguments))
    return adata


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_each_type(tmp_path, kind, storage):
    """Values and dtype are those of obs; every other column is what it is without."""
    labels, dtype, polars_dtype = LABELS[kind]
    adata = ranked(labels, tmp_path, storage)
    spelt, kept = (rank_genes_df(adata, keep_labels=keep) for keep in (False, True))
    assert list(kept.columns) == list(spelt.columns)
    assert kept["group"].dtype == (adata.obs["label"].dtype if dtype is None else dtype)
    present = set(adata.obs["label"].dropna())
    assert set(kept["group"]) == present
    assert kept["group"].map(str).tolist() == spelt["group"].tolist()
    pd.testing.assert_frame_equal(kept.drop(columns="group"), spelt.drop(columns="group"), check_exact=True)
    of_polars = rank_genes_df(adata, keep_labels=True, backend="polars")
    assert of_polars["group"].dtype.base_type().__name__ == polars_dtype
    assert of_polars["group"].to_list() == kept["group"].tolist()
    assert of_polars.drop("group").equals(rank_genes_df(adata, backend="polars").drop("group"))


@pytest.mark.parametrize("backend", ["pandas", "polars"])
@pytest.mark.parametrize("storage", STORAGES)
def test_strings_stay_as_they_are(tmp_path, storage, backend):
    for labels in (["b", "a", "10"], ["b", "a"]):
        adata = ranked(pd.Series(labels), tmp_path, storage)
        for arguments in ({}, {"group": ["b", "a"]}, {"top_n": 2}, {"pval_cutoff": -1}):
            spelt, kept = (
                rank_genes_df(adata, keep_labels=keep, backend=backend, **arguments) for keep in (False, True)
            )
            if backend == "pandas":
                pd.testing.assert_frame_equal(kept, spelt, check_exact=True)
            else:
                assert kept.equals(spelt)
                assert kept.schema == spelt.schema


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("kind", ["int64", "int8", "bool", "nullable integer", "category of int64"])
def test_some_groups_and_empty_tables(tmp_path, kind, storage):
    """In the order that was asked for; a table without rows has the same dtypes."""
    labels, dtype, polars_dtype = LABELS[kind]
    adata = ranked(labels, tmp_path, storage)
    names = [labels.iloc[1], labels.iloc[0]]
    some = rank_genes_df(adata, names, top_n=2, keep_labels=True)
    assert some["group"].tolist() == [name for name in names for _ in range(2)]
    assert rank_genes_df(adata, str(names[0]), keep_labels=True)["group"].unique().tolist() == names[:1]
    assert rank_genes_df(adata, keep_labels=True, columns=["group"])["group"].dtype == dtype
    empty = rank_genes_df(adata, names, pval_cutoff=-1, keep_labels=True)
    assert empty.shape[0] == 0
    assert empty["group"].dtype == dtype
    empty = rank_genes_df(adata, names, pval_cutoff=-1, keep_labels=True, backend="polars")
    assert empty.shape[0] == 0
    assert empty["group"].dtype.base_type().__name__ == polars_dtype


def test_tables_merge_with_tables_of_obs(tmp_path):
    """The reason for it: no column needs another type first."""
    adata = ranked(pd.Series(NUMBERS), tmp_path)
    n_cells = adata.obs.groupby("label").size().rename("n_cells").reset_index()
    merged = rank_genes_df(adata, keep_labels=True).merge(n_cells, left_on="group", right_on="label")
    assert len(merged) == 3 * adata.n_vars
    assert merged["n_cells"].unique().tolist() == [100]


@pytest.mark.parametrize("backend", ["pandas", "polars"])
@pytest.mark.parametrize("storage", STORAGES)
def test_levels(tmp_path, storage, backend):
    """Both columns, each with the labels of its own column of obs, over levels that lack groups."""
    adata = labelled(values_of("float32"))
    adata.obs["label"] = np.resize([3, 1, 2], adata.n_obs)
    adata.obs["level"] = np.repeat([0.5, 2.0, 7.0], 100)
    adata.obs.loc[adata.obs["level"] == 2.0, "label"] = np.resize([1, 2], 100)
    place = str(tmp_path / "result.parquet") if storage == "file" else storage
    scpdex.tl.rank_genes_parallel(adata, "label", split_by="level", method="wilcoxon", storage=place)
    for arguments in ({}, {"group": [3, 1]}, {"pval_cutoff": -1}):
        spelt, kept = (rank_genes_df(adata, keep_labels=keep, backend=backend, **arguments) for keep in (False, True))
        assert list(kept.columns) == list(spelt.columns)
        assert str(kept["split"].dtype).lower() == "float64"
        assert str(kept["group"].dtype).lower() == "int64"
        assert list(map(str, kept["split"])) == list(spelt["split"])
        assert list(map(str, kept["group"])) == list(spelt["group"])
    if storage != "file":
        one = rank_genes_df(adata, key=f"{KEY}_0.5", keep_labels=True)
        assert one["group"].tolist() == [group for group in (1, 2, 3) for _ in range(adata.n_vars)]
    adata.obs["level"] = adata.obs["level"].replace(7.0, 8.0)
    with pytest.raises(ValueError, match=r"levels '7\.0' of the result are not in adata\.obs\['level'\] any more"):
        rank_genes_df(adata, keep_labels=True)
    del adata.obs["level"]
    with pytest.raises(KeyError, match=r"split_by='level' names no column of adata\.obs"):
        rank_genes_df(adata, keep_labels=True)


@pytest.mark.parametrize("backend", ["pandas", "polars"])
@pytest.mark.parametrize("storage", STORAGES)
def test_on_target(tmp_path, storage, backend):
    adata = ranked(pd.Series(NUMBERS), tmp_path, storage)
    adata.obs["target"] = adata.obs["label"].map(lambda label: f"gene{label}")
    table = rank_genes_df(adata, on_target="target", keep_labels=True, backend=backend)
    assert list(table["group"]) == NUMBERS
    assert list(table["names"]) == ["gene0", "gene1", "gene10"]
    assert str(table["group"].dtype).lower() == "int64"


def test_objects_on_disk(tmp_path):
    ranked(pd.Series(NUMBERS), tmp_path).write_h5ad(tmp_path / "x.h5ad")
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    assert rank_genes_df(backed, keep_labels=True)["group"].unique().tolist() == NUMBERS


def test_labels_that_became_floats(tmp_path):
    """A missing label makes floats of integers, before ranking or after it."""
    adata = ranked(pd.Series(NUMBERS), tmp_path)
    adata.obs.loc[adata.obs_names[:7], "label"] = np.nan
    kept = rank_genes_df(adata, keep_labels=True)
    assert kept["group"].dtype == "float64"
    assert kept["group"].unique().tolist() == [0.0, 1.0, 10.0]


def test_labels_of_several_types(tmp_path):
    adata = ranked(pd.Series([1, "a", 2.5], dtype=object), tmp_path)
    kept = rank_genes_df(adata, keep_labels=True)
    assert kept["group"].dtype == object
    assert kept["group"].unique().tolist() == [1, 2.5, "a"]
    # What is said of the column does not depend on the groups that are asked for.
    assert rank_genes_df(adata, "a", keep_labels=True)["group"].dtype == object
    one_and_true = ranked(pd.Series([1, True], dtype=object), tmp_path)
    assert rank_genes_df(one_and_true, keep_labels=True)["group"].map(str).unique().tolist() == ["1", "True"]
    for several in (adata, one_and_true):
        with pytest.raises(ValueError, match=r"'group' holds values of several types.*pass backend='pandas'"):
            rank_genes_df(several, keep_labels=True, backend="polars")
    pairs = np.empty(2, dtype=object)
    pairs[:] = [("a", 1), ("b", 1)]
    assert rank_genes_df(ranked(pd.Series(pairs), tmp_path), keep_labels=True)["group"].unique().tolist() == [*pairs]


def test_a_label_before_an_equal_number(tmp_path):
    adata = ranked(pd.Series(["1", "1.0"], dtype=object), tmp_path)
    adata.obs["label"] = pd.Series([1, 1.0], dtype=object).take(np.resize([0, 1], adata.n_obs)).to_numpy()
    for group, label_type in (("1", int), ("1.0", float)):
        kept = rank_genes_df(adata, group, keep_labels=True)
        assert {type(label) for label in kept["group"]} == {label_type}


def test_refused_for_a_path(tmp_path):
    ranked(pd.Series(NUMBERS), tmp_path, "file")
    with pytest.raises(ValueError, match=r"keep_labels=True takes labels from adata\.obs, .* pass the AnnData"):
        rank_genes_df(tmp_path / "result.parquet", keep_labels=True)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("labels", [NUMBERS, ["a", "b", "c"]], ids=str)
def test_refused_without_the_labels(tmp_path, labels, storage):
    adata = ranked(pd.Series(labels), tmp_path, storage)
    without = adata.copy()
    del without.obs["label"]
    with pytest.raises(KeyError, match=r"groupby='label' names no column of adata\.obs"):
        rank_genes_df(without, keep_labels=True)
    other = 7 if labels is NUMBERS else "z"
    adata.obs["label"] = [other if label == labels[2] else label for label in adata.obs["label"]]
    name = repr(str(labels[2]))
    with pytest.raises(ValueError, match=rf"groups {name} of the result are not in adata\.obs\['label'\] any more"):
        rank_genes_df(adata, keep_labels=True)
    assert rank_genes_df(adata, labels[:2], keep_labels=True)["group"].unique().tolist() == labels[:2]
    del adata.uns[KEY]["params"]["groupby"]
    with pytest.raises(KeyError, match=r"the result lacks params.*groupby"):
        rank_genes_df(adata, labels[:2], keep_labels=True)
