"""Labels in tables that are not strings, of any type."""

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from stored import labelled, values_of

import scpdex
from scpdex.get import rank_genes_df

LABELS = {
    "int": np.array([0, 1, 10]),
    "float": np.array([0.0, 1.0, 2.5]),
    "negative zero": np.array([-0.0, 1.0, 2.5]),
    "float32": np.array([0.0, 0.1, 1.0], dtype=np.float32),
    "bool": np.array([False, True]),
    "strings": np.array(["0", "1.0", "x"], dtype=object),
}


def ranked(labels: Any, storage: str = "uns", **arguments: Any) -> ad.AnnData:
    """Rank the groups that cells have in turn."""
    adata = labelled(values_of("float32"))
    adata.obs["label"] = np.resize(labels, adata.n_obs)
    scpdex.tl.rank_genes_parallel(
        adata, "label", **({"method": "wilcoxon", "pts": True, "storage": storage} | arguments)
    )
    return adata


@pytest.mark.parametrize("storage", ["uns", "varm"])
@pytest.mark.parametrize("kind", LABELS)
def test_labels_that_are_no_strings(kind: str, storage: str) -> None:
    """Row 35: each label itself, of NumPy and of Python, and its spelling, alone and in a list."""
    adata = ranked(LABELS[kind], storage)
    for label in LABELS[kind]:
        plain = label.item() if isinstance(label, np.generic) else label
        expected = rank_genes_df(adata, str(plain))
        assert len(expected) == adata.n_vars
        for same in (label, plain, np.array(label), [label], [plain], [str(plain)]):
            pd.testing.assert_frame_equal(rank_genes_df(adata, same), expected, check_exact=True)
    whole = rank_genes_df(adata)
    for several in (list(LABELS[kind]), LABELS[kind], pd.Index(LABELS[kind]), iter(LABELS[kind])):
        pd.testing.assert_frame_equal(rank_genes_df(adata, several), whole, check_exact=True, check_categorical=False)


def test_zero_is_zero() -> None:
    """Row 35: an int names an equal float and the other way round, as in `groups`; text does not."""
    for asked in (0, 0.0, -0.0, np.float32(0), np.int8(0)):
        assert rank_genes_df(ranked(LABELS["float"]), asked)["group"].unique().tolist() == ["0.0"]
        assert rank_genes_df(ranked(LABELS["int"]), asked)["group"].unique().tolist() == ["0"]
    assert rank_genes_df(ranked(LABELS["float32"]), float(np.float32(0.1)))["group"].unique().tolist() == [
        str(float(np.float32(0.1)))
    ]
    both = ranked(np.array(["1", "1.0", "1e0"], dtype=object))
    assert rank_genes_df(both, [1.0, 1])["group"].unique().tolist() == ["1.0", "1"]
    with pytest.raises(ValueError, match="group '0' is not in"):
        rank_genes_df(ranked(LABELS["float"]), "0")
    with pytest.raises(ValueError, match=r"group True is not in .* Valid: '0', '1', '10'"):
        rank_genes_df(ranked(LABELS["int"]), True)


@pytest.mark.parametrize(("kind", "label", "name"), [("strings", 1, "1.0"), ("float", 1, "1.0"), ("int", 1.0, "1")])
def test_calls_and_tables_look_up_labels_alike(kind: str, label: float, name: str) -> None:
    """Row 35: a number names the label that is spelt as an equal number, in `groups` and in a table."""
    adata = ranked(LABELS[kind], groups=[label])
    assert adata.uns["rank_genes_groups"]["names"].dtype.names == (name,)
    assert rank_genes_df(adata, label)["group"].unique().tolist() == [name]


def test_labels_that_are_tuples_and_dates() -> None:
    """Row 35: a tuple is a label where its spelling is a group, else several labels."""
    pairs = np.empty(3, dtype=object)
    pairs[:] = [("a", 1), ("a", 2), ("b", 1)]
    adata = ranked(pairs)
    assert rank_genes_df(adata, ("a", 2))["group"].unique().tolist() == ["('a', 2)"]
    assert rank_genes_df(adata, [("a", 2), ("a", 1)])["group"].cat.categories.tolist() == ["('a', 2)", "('a', 1)"]
    days = pd.to_datetime(["2020-01-01", "2020-01-02"])
    assert rank_genes_df(ranked(days), days[1])["group"].unique().tolist() == [str(days[1])]
    assert rank_genes_df(ranked(["a", "b"]), ("b", "a"))["group"].cat.categories.tolist() == ["b", "a"]
    assert rank_genes_df(ranked(["a", "b"]), np.str_("b"))["group"].unique().tolist() == ["b"]


@pytest.mark.parametrize("missing", [float("nan"), np.float64("nan"), pd.NA, pd.NaT, [None], ["a", None], [np.nan]])
def test_missing_labels_are_refused(missing: Any) -> None:
    """Row 35: by name; "nan" is the name of a group that is called so."""
    adata = ranked(["a", "nan", "None"])
    with pytest.raises(ValueError, match=r"group: .* is a missing label.*Valid: 'None', 'a', 'nan'"):
        rank_genes_df(adata, missing)
    assert rank_genes_df(adata, ["nan", "None"])["group"].unique().tolist() == ["nan", "None"]


def test_what_names_a_group_twice_or_none() -> None:
    adata = ranked(LABELS["int"])
    for twice in ([0, "0"], [0, 0.0], ["1", np.int64(1)]):
        with pytest.raises(ValueError, match="names a group twice"):
            rank_genes_df(adata, twice)
    for none in ([], np.array([]), {}):
        with pytest.raises(ValueError, match="names no group"):
            rank_genes_df(adata, none)
    with pytest.raises(ValueError, match=r"group 7 is not in adata\.uns\['rank_genes_groups'\]"):
        rank_genes_df(adata, [0, 7])


def test_labels_of_levels_and_of_moved_results() -> None:
    """Row 35: in the tables of levels, and for `groups` of `rank_genes_to_uns`."""
    adata = labelled(values_of("float32"))
    adata.obs["label"] = np.resize([0.0, 1.0, 2.0], adata.n_obs)
    adata.obs["level"] = np.repeat(["x", "y"], adata.n_obs // 2)
    scpdex.tl.rank_genes_parallel(adata, "label", split_by="level", storage="varm")
    pd.testing.assert_frame_equal(rank_genes_df(adata, 2), rank_genes_df(adata, ["2.0"]), check_exact=True)
    adata = ranked(LABELS["float"], "varm")
    for groups, expected in ((1, ("1.0",)), ([2.5, 0], ("2.5", "0.0")), ("1.0", ("1.0",)), (np.int64(1), ("1.0",))):
        scpdex.tl.rank_genes_to_uns(adata, groups=groups, key_added="some")
        assert adata.uns["some"]["names"].dtype.names == expected
        assert tuple(adata.uns["some"]["pts"].columns) == expected
    with pytest.raises(ValueError, match="names no group"):
        scpdex.tl.rank_genes_to_uns(adata, groups=[], key_added="some")


@pytest.mark.parametrize("storage", ["uns", "varm"])
@pytest.mark.parametrize("arguments", [{}, {"reference": "b"}, {"n_genes": 4}], ids=str)
def test_some_groups_keep_their_fractions(storage: str, arguments: dict[str, Any]) -> None:
    """Whatever the order in which groups are asked for, and moved to scanpy's layout."""
    adata = ranked(["a", "b", "c", "d"], storage, **arguments)
    whole = rank_genes_df(adata)
    for asked in (["c", "a"], ["a", "c"], ["d"], ["d", "c", "a"]):
        expected = pd.concat([whole[whole["group"] == name] for name in asked], ignore_index=True)
        expected["group"] = pd.Categorical(expected["group"].astype(str), categories=asked)
        tables = [rank_genes_df(adata, asked)]
        if storage == "varm":
            scpdex.tl.rank_genes_to_uns(adata, groups=asked, key_added="some")
            tables += [rank_genes_df(adata, key="some")]
        for table in tables:
            pd.testing.assert_frame_equal(table, expected, check_exact=True, check_categorical=False)


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_no_message_where_names_hold(storage: str, messages: Callable[[], str], subtests: pytest.Subtests) -> None:
    """Cells that were left out, labels that are no strings, a column that is gone, groups that were not compared."""
    rows = values_of("float32")
    for labels, arguments in (
        (["a", "b", "c", "d"], {}),
        (["a", "b", "c", "d"], {"reference": "b"}),
        (["a", "b", "c", "d"], {"reference": ["b", "c"]}),
        (["a", "b", "c", "d"], {"exclude": ["d"]}),
        ([0, 1, 2, 3], {}),
        ([0.0, 1.0, 2.0, 3.0], {"min_cells": 5}),
        ([True, False], {}),
        (list(pd.date_range("2020", periods=3)), {}),
    ):
        with subtests.test(labels=labels, arguments=arguments):
            adata = ranked(labels, storage, **arguments)
            column = adata.obs["label"]
            objects = [adata, adata[column != labels[0]].copy(), adata[column != labels[-1]], adata[:0].copy()]
            without, integers = adata.copy(), adata.copy()
            del without.obs["label"]
            objects += [without]
            if labels == [0, 1, 2, 3]:
                integers.obs.loc[integers.obs_names[:9], "label"] = np.nan
                assert integers.obs["label"].dtype == float
                objects += [integers]
            messages()
            for one in objects:
                rank_genes_df(one)
                assert "no longer" not in messages()
    adata = labelled(rows)
    adata.obs["level"] = np.where(adata.obs["group"] == "a", "x", np.resize(["x", "y"], adata.n_obs))
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", min_cells=3, storage=storage)
    messages()
    assert set(rank_genes_df(adata).query("split == 'y'")["group"]) == {"b", "c", "d", "e"}
    assert "no longer" not in messages()
