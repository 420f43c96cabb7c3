"""Who is compared: several groups as one reference, groups that are left out, groups that are too small."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from oracles import assert_same_bits, assert_same_numbers, by_scanpy, by_scpdex
from stored import labelled, values_of

import scpdex

KEY = "rank_genes_groups"
METHODS = ["wilcoxon", "t-test", "anderson", "brunner-munzel"]


@pytest.fixture
def cells() -> ad.AnnData:
    """300 cells of groups a to e, some of them unlabelled."""
    return labelled(values_of("float32"))


def merged(adata: ad.AnnData, **names: str) -> ad.AnnData:
    """Give groups other names."""
    other = adata.copy()
    labels = other.obs["group"].astype(object)
    other.obs["group"] = pd.Categorical(labels.map(lambda label: names.get(label, label)))
    return other


@pytest.mark.parametrize("method", METHODS)
def test_several_groups_as_reference(cells, method):
    """As if they had one label."""
    ours = by_scpdex(cells, "group", reference=["b", "d"], method=method, pts=True)
    expected = by_scpdex(merged(cells, b="b + d", d="b + d"), "group", reference="b + d", method=method, pts=True)
    assert ours["params"]["reference"] == "b + d"
    assert ours["params"]["references"].tolist() == ["b", "d"]
    pts = ours["pts"].columns
    assert sorted(pts) == sorted(expected["pts"].columns)
    expected["pts"] = expected["pts"][pts]
    assert_same_bits(ours, expected)


def test_a_tuple_may_be_a_label(cells):
    cells.obs["group"] = pd.Categorical.from_codes(
        cells.obs["group"].cat.codes, pd.Index([(name, 1) for name in "abcde"], tupleize_cols=False)
    )
    ours = by_scpdex(cells, "group", reference=("b", 1), method="wilcoxon")
    assert ours["params"]["reference"] == "('b', 1)"


def test_missing_labels_are_no_reference(cells):
    with pytest.raises(ValueError, match="reference: <NA> is not a group"):
        scpdex.tl.rank_genes_parallel(cells, "group", reference=[pd.NA, "a"])


def test_one_group_in_a_list_is_that_group(cells):
    ours, expected = (by_scpdex(cells, "group", reference=r, method="wilcoxon") for r in (["b"], "b"))
    assert_same_bits(ours, expected)
    assert ours["params"] == expected["params"]


def test_reference_that_would_be_called_like_a_group(cells):
    with pytest.raises(ValueError, match=r"together would be called like the group 'a \+ b'"):
        scpdex.tl.rank_genes_parallel(merged(cells, c="a + b"), "group", reference=["a", "b"])


def test_reference_of_several_against_scanpy(pbmc):
    together = ["CD34+", "Dendritic"]
    other = pbmc.copy()
    labels = other.obs["bulk_labels"]
    names = [*labels.cat.categories.drop(together), " + ".join(together)]
    other.obs["bulk_labels"] = pd.Categorical(labels.astype(str).where(~labels.isin(together), names[-1]), names)
    expected = by_scanpy(other, "bulk_labels", reference=" + ".join(together), method="wilcoxon")
    assert_same_numbers(by_scpdex(pbmc, "bulk_labels", reference=together, method="wilcoxon"), expected)


def test_scanpys_plots_and_filter_take_a_reference_of_several(pbmc):
    import scanpy as sc

    scpdex.tl.rank_genes_parallel(pbmc, "bulk_labels", reference=["CD34+", "Dendritic"], method="wilcoxon")
    sc.pl.rank_genes_groups(pbmc, show=False)
    sc.pl.rank_genes_groups_dotplot(pbmc, n_genes=2, show=False)
    assert len(sc.get.rank_genes_groups_df(pbmc, "CD56+ NK")) == pbmc.n_vars


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", METHODS)
def test_exclude(cells, method, reference):
    """As on an object without those cells."""
    ours = by_scpdex(cells, "group", exclude=["d"], reference=reference, method=method, pts=True)
    kept = cells[(cells.obs["group"] != "d").to_numpy()].copy()
    assert_same_bits(ours, by_scpdex(kept, "group", reference=reference, method=method, pts=True))
    assert ours["params"]["exclude"].tolist() == ["d"]


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA, "nan"])
def test_exclude_cells_without_a_label(cells, missing):
    ours = by_scpdex(cells, "group", exclude=[missing, "a"], method="wilcoxon")
    labels = cells.obs["group"]
    kept = cells[(labels.notna() & (labels != "a")).to_numpy()].copy()
    assert_same_bits(ours, by_scpdex(kept, "group", method="wilcoxon"))
    assert_same_numbers(ours, by_scanpy(kept, "group", method="wilcoxon"))
    assert ours["params"]["exclude"].tolist() == ["a", "nan"]


@pytest.mark.parametrize("reference", ["rest", "a"])
def test_min_cells(cells, messages, reference):
    """Small groups are not tested, and stay in the rest."""
    cells.obs["group"] = pd.Categorical(["tiny"] + ["small"] * 4 + cells.obs["group"].astype(object).tolist()[5:])
    ours = by_scpdex(cells, "group", min_cells=5, reference=reference, method="wilcoxon", pts=True)
    assert "groups 'small', 'tiny' are not tested: they have fewer than min_cells=5 cells" in messages()
    groups = [group for group in "abcde" if group != reference]
    assert ours["names"].dtype.names == tuple(groups)
    assert ours["params"]["skipped"].tolist() == ["small", "tiny"]
    expected = by_scpdex(cells, "group", groups=groups, reference=reference, method="wilcoxon", pts=True)
    # Of named groups the reference comes last.
    expected["pts"] = expected["pts"][ours["pts"].columns]
    assert_same_bits(ours, expected)
    without = by_scpdex(merged(cells, tiny="a", small="a"), "group", min_cells=2, method="wilcoxon")
    assert without["params"]["skipped"].tolist() == []
    messages()


def test_groups_of_just_min_cells_are_tested(cells):
    n_cells = int((cells.obs["group"] == "c").sum())
    assert "c" in by_scpdex(cells, "group", min_cells=n_cells, method="wilcoxon")["names"].dtype.names
    assert "c" in by_scpdex(cells, "group", min_cells=n_cells + 1, method="wilcoxon")["params"]["skipped"]


def test_min_cells_of_requested_groups(cells, messages):
    cells.obs["group"] = pd.Categorical(["tiny", *cells.obs["group"].astype(object).tolist()[1:]])
    ours = by_scpdex(cells, "group", min_cells=2, groups=["tiny", "c"], method="t-test")
    assert ours["names"].dtype.names == ("c",)
    assert "tiny" in messages()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"reference": []}, r"reference=\[\] is not valid: name groups of 'group' \('a', 'b'"),
        ({"reference": ["a", "rest"]}, "together are the reference, or pass 'rest' by itself"),
        ({"reference": ["a", "x"]}, "reference: 'x' is not a group"),
        (
            {"reference": ["a", "b"], "groups": ["a"]},
            r"groups=\['a'\] leaves nothing to compare with reference='a \+ b'",
        ),
        ({"exclude": "a"}, r"exclude='a' is not a sequence of groups: pass a list such as \['a'\], or None"),
        ({"exclude": ["x"]}, "exclude: 'x' is not a group"),
        ({"exclude": ["a"], "groups": ["a", "b"]}, "exclude leaves out 'a', which groups names"),
        ({"exclude": ["a"], "reference": "a"}, "exclude leaves out 'a', which reference names"),
        ({"exclude": [*"abcde"]}, "leaves nothing to compare with reference='rest'"),
        ({"min_cells": 0}, "min_cells=0 is not valid: pass a whole number of cells from 1 up, or None"),
        ({"min_cells": 2.5}, "min_cells=2.5 is not valid"),
        ({"min_cells": True}, "min_cells=True is not valid: pass a whole number of cells from 1 up, or None"),
        ({"min_cells": 1000}, "no group has min_cells=1000 cells: the largest of 'group', 'a' has 86 cells"),
        ({"min_cells": 60, "reference": "b"}, "reference 'b' has 43 cells, and 60 are needed"),
    ],
    ids=str,
)
def test_refused(cells, wrong, message):
    with pytest.raises(ValueError, match=message):
        scpdex.tl.rank_genes_parallel(cells, "group", **wrong)
    assert KEY not in cells.uns


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"exclude": ["a"]}, "exclude"),
        ({"min_cells": 3}, "min_cells"),
        ({"reference": ["a", "b"]}, "several groups as reference"),
        ({"split_by": "half"}, "split_by"),
        ({"extras": ["means"]}, "extras"),
        ({"min_pct": 0.1}, "min_pct"),
        ({"min_logfc": 0.1}, "min_logfc"),
        ({"alternative": "less"}, "alternative"),
        ({"corr_scope": "all"}, "corr_scope"),
    ],
    ids=str,
)
def test_logistic_regression_takes_none_of_these(cells, given, named):
    cells.obs["half"] = np.resize(["x", "y"], cells.n_obs)
    with pytest.raises(ValueError, match=f"method='logreg' does not take {named}: leave it out"):
        scpdex.tl.rank_genes_parallel(cells, "group", method="logreg", **given)
    with pytest.raises(ValueError, match="strata needs method='wilcoxon'"):
        scpdex.tl.rank_genes_parallel(cells, "group", method="logreg", strata="half")
