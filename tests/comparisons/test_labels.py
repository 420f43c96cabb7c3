"""Awkward labels: missing, unused, of every kind, and spelt alike."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from oracles import SCANPY_TESTS, assert_same_bits, assert_same_numbers, by_scanpy, by_scpdex
from small import METHODS, small, three, tied

import scpdex


@pytest.mark.parametrize("method", SCANPY_TESTS)
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_nan_labels(method, reference):
    """Row 6: cells without a label are part of the rest, as in scanpy, and of nothing else."""
    labels = pd.Categorical(np.resize(["a", "b", None, "c", "a"], 60))
    adata = small(tied(), labels)
    arguments = {"method": method, "reference": reference, "pts": True}
    assert_same_numbers(by_scpdex(adata, "label", **arguments), by_scanpy(adata, "label", **arguments))


@pytest.mark.parametrize("method", [*METHODS, "logreg"])
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_unused_category(method, reference):
    """Row 7: a category without cells is not there."""
    with_unused = three().add_categories(["unused", "A"])
    ours = by_scpdex(small(tied(), with_unused), "label", method=method, reference=reference)
    assert_same_bits(ours, by_scpdex(small(tied(), three()), "label", method=method, reference=reference))


LABELS = {
    "int": ([2, 10, 1], int),
    "numpy int": (np.array([2, 10, 1]), int),
    "bool": ([True, False], bool),
    "str": (["2", "10", "1"], str),
    "categorical of int": (pd.Categorical([10, 2, 1], categories=[10, 2, 1]), int),
    "categorical of str": (pd.Categorical(["2", "10", "1"], categories=["10", "1", "2"]), str),
    "float": ([2.5, 0.5], float),
    "pyarrow str": (["2", "10", "1"], str),
}


@pytest.mark.parametrize("kind", LABELS)
def test_kinds_of_labels(kind):
    """Row 9: all rank, in scanpy's order, under the names str(label); labels and spellings both name groups."""
    labels, type_ = LABELS[kind]
    if isinstance(labels, pd.Categorical):
        column = pd.Categorical.from_codes(np.resize(labels.codes, 60), dtype=labels.dtype)
        names = [str(label) for label in labels.categories]
    else:
        column = np.resize(labels, 60)
        names = [str(label) for label in sorted(set(np.array(labels).tolist()), key=float)]
        if kind == "pyarrow str":
            pytest.importorskip("pyarrow")
            column = pd.array(column, dtype="string[pyarrow]")
    adata = small(tied(), column)
    before = adata.obs[["label"]].copy()
    if type_ is str:
        adata.strings_to_categoricals(before)
    result = by_scpdex(adata, "label", method="wilcoxon")
    assert list(result["names"].dtype.names) == names
    pd.testing.assert_frame_equal(adata.obs[["label"]], before)

    as_str = small(tied(), pd.Categorical(np.array([str(x) for x in column]), categories=names))
    if type_ is not float:
        assert_same_numbers(result, by_scanpy(as_str, "label", method="wilcoxon"))
    label = adata.obs["label"].iloc[0]
    spelt = by_scpdex(adata, "label", method="wilcoxon", reference=str(label), groups=[names[0], names[1]])
    assert spelt["params"]["reference"] == str(label)
    assert_same_bits(
        spelt,
        by_scpdex(adata, "label", method="wilcoxon", reference=label, groups=[type_(x) for x in names[:2]])
        if type_ is not bool
        else spelt,
    )


def test_groups_given_as_integers():
    """Row 9: groups=[0], reference=0 and "0" mean the group named 0."""
    adata = small(tied(), pd.Categorical(np.resize(["0", "1", "2"], 60)))
    expected = by_scpdex(adata, "label", groups=["0"], reference="1")
    for groups, reference in [([0], 1), ([np.int64(0)], "1"), (["0"], np.int32(1))]:
        assert_same_bits(by_scpdex(adata, "label", groups=groups, reference=reference), expected)


def test_numbers_that_missing_labels_made_floats():
    """Row 9: integers with a gap are floats to pandas; 1 still names them, by value."""
    adata = small(tied(), np.resize([0, 1, 2, np.nan], 60))
    result = by_scpdex(adata, "label", groups=[0, np.int64(1)], reference=2)
    assert result["names"].dtype.names == ("0.0", "1.0")
    assert result["params"]["reference"] == "2.0"


def test_one_and_true_are_two_labels():
    """Row 9: pandas takes 1 and True for the same; their cells do not meet here."""
    labels = pd.Series(np.resize(np.array([1, True, "x", 2.5], dtype=object), 60), dtype=object).to_numpy()
    result = by_scpdex(small(tied(), labels), "label", method="wilcoxon")
    assert set(result["names"].dtype.names) == {"1", "True", "x", "2.5"}
    spelt = by_scpdex(small(tied(), np.array([str(x) for x in labels])), "label", method="wilcoxon")
    for name in spelt["pvals"].dtype.names:
        np.testing.assert_array_equal(result["pvals"][name], spelt["pvals"][name])


def test_two_labels_of_one_spelling():
    """Row 9: 0 and "0" in one column are refused."""
    adata = small(tied(), pd.Series(np.resize([0, 1], 60), dtype=object).replace({1: "0"}).to_numpy())
    with pytest.raises(ValueError, match=r"two labels that are both spelt '0': 0 \(int\) and '0' \(str\)"):
        scpdex.tl.rank_genes_parallel(adata, "label")


@pytest.mark.parametrize("name", ["T/NK", "with space", "ünïcödé 細胞", "", "_index", "rest of it"])
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_odd_group_names(tmp_path, messages, name, reference):
    """Row 10: any name ranks; one message names those that cannot be written, most of them with pts only."""
    adata = small(tied(), pd.Categorical(np.resize([name, "b", "c"], 60)))
    scpdex.tl.rank_genes_parallel(adata, "label", reference=reference)
    result = adata.uns["rank_genes_groups"]
    assert name in result["names"].dtype.names
    ordinary = small(tied(), np.resize(["ordinary", "b", "c"], 60))
    expected = by_scpdex(ordinary, "label", reference=reference)
    np.testing.assert_array_equal(result["pvals"][name], expected["pvals"]["ordinary"])
    # Records without a name for a field come back with another.
    records = f"cannot hold records with fields for groups {name!r}"
    assert messages().count(records) == (name == "")
    if name:
        adata.write_h5ad(tmp_path / "x.h5ad")
        written = ad.read_h5ad(tmp_path / "x.h5ad").uns["rank_genes_groups"]
        np.testing.assert_array_equal(written["pvals"][name], result["pvals"][name])
    scpdex.tl.rank_genes_parallel(adata, "label", reference=reference, pts=True)
    told = messages()
    assert told.count(f"cannot hold columns of `pts` for the groups {name!r}") == (name in {"T/NK", "_index"})
    assert told.count(records) == (name == "")
    assert adata.uns["rank_genes_groups"]["pts"][name].between(0, 1).all()


@pytest.mark.filterwarnings("ignore:\\s*AnnData expects .var.index to contain strings:UserWarning")
@pytest.mark.parametrize("dtype", ["string[python]", "string[pyarrow]", "category", "object"])
def test_string_dtypes(dtype):
    """Row 19: names are plain str in object arrays for every dtype of strings that pandas has."""
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    adata = small(tied(), pd.array(np.resize(["a", "b"], 60).astype(object), dtype=dtype))
    adata.var_names = pd.Index([f"gene{j}" for j in range(12)], dtype=dtype)
    result = by_scpdex(adata, "label", method="wilcoxon", pts=True)
    assert result["names"].dtype["a"].kind == "O"
    assert all(type(name) is str for name in result["names"]["a"])
    assert all(type(name) is str for name in result["names"].dtype.names)
    sc.get.rank_genes_groups_df(ad.AnnData(uns={"rank_genes_groups": result}, obs=adata.obs), "a")
