"""Groups of one cell: refused by default, left out by min_cells=2, tested by min_cells=1, against scipy and numpy."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from oracles import all_by_gene, assert_same_bits, by_gene, by_scpdex, plain_anderson, plain_rank_sum
from plain import plain_van_elteren
from scipy import stats
from storages import STORAGES
from stored import FORMS, assert_same_tests, budget_for, in_chunks, labelled, on_disk, values_of, without_slack

import scpdex

KEY = "rank_genes_groups"
METHODS = ["wilcoxon", "t-test", "t-test_overestim_var", "anderson", "brunner-munzel"]
REFERENCES = ["rest", "b", "one"]


def with_lone_cells(matrix: object) -> ad.AnnData:
    """Cells of groups a to e, and the groups "one" and "zero" of one cell each, at the ends of the object."""
    adata = labelled(matrix)
    labels = adata.obs["group"].astype(object).tolist()
    adata.obs["group"] = pd.Categorical(["one", *labels[1:-1], "zero"])
    return adata


@pytest.fixture
def cells() -> ad.AnnData:
    """300 cells, of which the last one has no value other than 0."""
    values = values_of("float32")
    values[-1] = 0
    return with_lone_cells(values)


def sides_of(adata: ad.AnnData, group: str, reference: str) -> tuple[np.ndarray, np.ndarray]:
    """Values of a group and of the cells that it is compared with."""
    labels, values = adata.obs["group"].to_numpy(), np.asarray(adata.X, dtype=np.float64)
    return values[labels == group], values[labels != group if reference == "rest" else labels == reference]


@pytest.mark.parametrize("method", [*METHODS, "logreg"])
def test_refused_by_default(cells, method):
    """Row 8: the message names the groups, what leaves them out and what tests them."""
    message = r"groups 'one', 'zero' of 'group' since they only contain one sample\. Leave them out by min_cells=2 or "
    with pytest.raises(
        ValueError, match=message + "`groups`, merge them with other groups, or test them by min_cells=1"
    ):
        scpdex.tl.rank_genes_parallel(cells, "group", method=method)
    with pytest.raises(ValueError, match="groups 'zero' of 'group' since they only contain one sample"):
        scpdex.tl.rank_genes_parallel(cells, "group", groups=["a"], reference="zero", method=method)
    assert KEY not in cells.uns


@pytest.mark.parametrize("given", [-1, False, np.True_, 1.0, "1"], ids=repr)
def test_numbers_that_are_refused(cells, given):
    with pytest.raises(ValueError, match="is not valid: pass a whole number of cells from 1 up, or None"):
        scpdex.tl.rank_genes_parallel(cells, "group", min_cells=given)


def test_logistic_regression_does_not_take_it(cells):
    with pytest.raises(ValueError, match="method='logreg' does not take min_cells"):
        scpdex.tl.rank_genes_parallel(cells, "group", min_cells=1, method="logreg")


@pytest.mark.parametrize("use_continuity", [True, False])
@pytest.mark.parametrize("tie_correct", [True, False])
@pytest.mark.parametrize("reference", REFERENCES)
def test_rank_sums_are_those_of_scipy(cells, reference, tie_correct, use_continuity):
    """Row 8: of a group of one cell, and against a reference of one cell."""
    options = {"tie_correct": tie_correct, "use_continuity": use_continuity}
    extras = ("u", "auc", "log10_pvals")
    ours = by_scpdex(cells, "group", reference=reference, method="wilcoxon", min_cells=1, extras=extras, **options)
    assert ours["names"].dtype.names == tuple(name for name in [*"abcde", "one", "zero"] if name != reference)
    assert ours["params"]["min_cells"] == 1
    assert ours["params"]["skipped"].tolist() == []
    for group in ours["names"].dtype.names:
        x, y = sides_of(cells, group, reference)
        table = all_by_gene(ours, group).loc[cells.var_names]
        z, p = np.transpose([plain_rank_sum(a, b, **options) for a, b in zip(x.T, y.T, strict=True)])
        np.testing.assert_allclose(table["scores"], z, rtol=2e-7)
        np.testing.assert_allclose(table["pvals"], p, rtol=1e-10)
        np.testing.assert_allclose(table["log10_pvals"], np.log10(p), rtol=1e-9, atol=1e-12)
        test = stats.mannwhitneyu(x, y, use_continuity=use_continuity, method="asymptotic")
        assert table["u"].tolist() == test.statistic.tolist()
        np.testing.assert_allclose(table["auc"], test.statistic / len(x) / len(y), rtol=1e-15)
        if tie_correct:
            varies = np.ptp([*x, *y], axis=0) > 0
            np.testing.assert_allclose(table["pvals"][varies], test.pvalue[varies], rtol=1e-10)


@pytest.mark.filterwarnings("ignore:p-value", "ignore:Parameter `variant`")
@pytest.mark.parametrize("reference", REFERENCES)
def test_anderson_is_that_of_scipy(cells, reference):
    """Row 8: scipy defines the statistic for a sample of one value, and so does scpdex."""
    ours = by_scpdex(cells, "group", reference=reference, method="anderson", min_cells=1)
    for group in ours["names"].dtype.names:
        x, y = sides_of(cells, group, reference)
        table = by_gene(ours, group)
        for j, gene in enumerate(cells.var_names):
            a, b = x[:, j], y[:, j]
            if len(a) + len(b) < 4 or np.unique([*a, *b]).size == 1:
                assert table.loc[gene, "pvals"] == 1
                continue
            np.testing.assert_allclose(np.abs(table.loc[gene, "scores"]), plain_anderson(a, b), rtol=1e-6)
            np.testing.assert_allclose(table.loc[gene, "pvals"], stats.anderson_ksamp([a, b]).pvalue, rtol=1e-9)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("method", ["t-test", "t-test_overestim_var"])
@pytest.mark.parametrize("reference", REFERENCES)
def test_t_of_one_cell_is_0(cells, reference, method, alternative):
    """Row 8: one cell has no variance, so that score is 0 and p is 1; other groups are tested as ever."""
    options = {"method": method, "alternative": alternative, "pts": True, "extras": ["log10_pvals", "means"]}
    ours = by_scpdex(cells, "group", reference=reference, min_cells=1, **options)
    for group in ours["names"].dtype.names:
        is_undefined = group in {"one", "zero"} or reference == "one"
        for field, value in {"scores": 0, "pvals": 1, "pvals_adj": 1, "log10_pvals": 0}.items():
            assert np.isfinite(ours[field][group]).all()
            assert not is_undefined or (ours[field][group] == value).all()
        if is_undefined:
            assert ours["names"][group].tolist() == cells.var_names.tolist()
        elif method == "t-test":
            x, y = sides_of(cells, group, reference)
            test = stats.ttest_ind(x, y, equal_var=False, alternative=alternative)
            table = by_gene(ours, group).loc[cells.var_names]
            np.testing.assert_allclose(table["scores"], test.statistic, rtol=2e-7, atol=1e-12)
            np.testing.assert_allclose(table["pvals"], test.pvalue, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reference", ["rest", "b", "one"])
def test_what_is_reported_beside_the_test(cells, reference, method):
    """Means, fractions and fold changes of one cell are those of numpy."""
    values = np.abs(np.asarray(cells.X))
    cells.X = values
    ours = by_scpdex(cells, "group", reference=reference, method=method, min_cells=1, pts=True, extras=["means"])
    for group in ours["names"].dtype.names:
        x, y = sides_of(cells, group, reference)
        names = ours["names"][group]
        np.testing.assert_array_equal(ours["pts"].loc[cells.var_names, group], (x != 0).mean(axis=0))
        for field, side in (("means", x), ("means_reference", y)):
            found = pd.Series(ours[field][group], index=names)[cells.var_names]
            np.testing.assert_allclose(found, side.mean(axis=0), rtol=1e-12)
        changes = np.log2((np.expm1(x.mean(axis=0)) + 1e-9) / (np.expm1(y.mean(axis=0)) + 1e-9))
        found = pd.Series(ours["logfoldchanges"][group], index=names)[cells.var_names]
        np.testing.assert_allclose(found, changes, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("groups", [["a", "a", "b"], ["a", "b"]], ids=str)
def test_rest_of_one_cell(method, groups):
    """Both sides of one cell, too: each number is finite."""
    adata = ad.AnnData(values_of("float32", n_cells=len(groups)), obs=pd.DataFrame({"group": groups}))
    ours = by_scpdex(adata, "group", method=method, min_cells=1, extras=["log10_pvals"])
    for group in ours["names"].dtype.names:
        for field in ("scores", "pvals", "pvals_adj", "log10_pvals"):
            assert np.isfinite(ours[field][group]).all()
        x, y = sides_of(adata, group, "rest")
        if method == "wilcoxon":
            expected = [
                plain_rank_sum(*pair, tie_correct=False, use_continuity=False)[1] for pair in zip(x.T, y.T, strict=True)
            ]
            np.testing.assert_allclose(by_gene(ours, group).loc[adata.var_names, "pvals"], expected, rtol=1e-10)
        elif method != "anderson":
            assert (ours["pvals"][group] == 1).all()


@pytest.mark.parametrize("method", METHODS)
def test_levels(cells, messages, method):
    """Row 8: a level with such a group is compared, as it would be alone."""
    cells.obs["level"] = np.resize(["x", "y"], cells.n_obs)
    ways_out = r"'x': 1 cell of 'one' \(min_cells=2 leaves out such groups only, min_cells=1 tests them\)"
    with pytest.raises(ValueError, match=ways_out):
        scpdex.tl.rank_genes_parallel(cells, "group", split_by="level", method=method)
    scpdex.tl.rank_genes_parallel(cells, "group", split_by="level", method=method, min_cells=1)
    assert "left out" not in messages()
    for level, lone in (("x", "one"), ("y", "zero")):
        subset = cells[(cells.obs["level"] == level).to_numpy()].copy()
        ours = cells.uns[f"{KEY}_{level}"]
        assert ours["names"].dtype.names == (*"abcde", lone)
        assert_same_bits(ours, by_scpdex(subset, "group", method=method, min_cells=1))


def test_strata(cells):
    """A group of one cell is in one stratum; a group without a cell in any is left out, as by min_cells=2."""
    donors = np.resize(["p", "q", "r"], cells.n_obs).astype(object)
    donors[cells.obs["group"] == "zero"] = None
    cells.obs["donor"] = pd.Categorical(donors)
    options = {"method": "wilcoxon", "strata": "donor", "min_cells": 1}
    ours = by_scpdex(cells, "group", **options)
    assert ours["names"].dtype.names == (*"abcde", "one")
    labels, values = cells.obs["group"].to_numpy(), np.asarray(cells.X, dtype=np.float64)
    for group in ("a", "one"):
        is_group = labels == group
        table = by_gene(ours, group)
        for j, gene in enumerate(cells.var_names):
            sides = [(values[(donors == h) & is_group, j], values[(donors == h) & ~is_group, j]) for h in "pqr"]
            z, p, _, _ = plain_van_elteren(sides)
            np.testing.assert_allclose(table.loc[gene, "scores"], z, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(table.loc[gene, "pvals"], p, rtol=1e-9)
    for min_cells in (1, 2):
        named = by_scpdex(cells, "group", groups=["a", "zero"], **(options | {"min_cells": min_cells}))
        assert named["names"].dtype.names == ("a",)
        assert named["params"]["skipped"].tolist() == ["zero"]
        with pytest.raises(ValueError, match=f"reference 'zero' has 0 cells, and {min_cells} are needed"):
            by_scpdex(cells, "group", reference="zero", **(options | {"min_cells": min_cells}))


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("method", METHODS)
def test_storages_agree_to_the_bit(tmp_path, monkeypatch, method, reference):
    """In memory, on disk in each way, and in chunks of dask."""
    without_slack(monkeypatch)
    values = values_of("float32")
    arguments = {"method": method, "reference": reference, "min_cells": 1, "pts": True}
    expected = by_scpdex(with_lone_cells(values), "group", n_jobs=1, **arguments)
    for storage in STORAGES.values():
        adata = with_lone_cells(storage(values))
        assert_same_bits(by_scpdex(adata, "group", n_jobs=2, gene_chunk_size=7, **arguments), expected)
    for form in ("CSR", "CSC"):
        stored = on_disk(with_lone_cells(FORMS[form](values)), tmp_path, "h5ad")
        strategy = "column blocks" if form == "CSC" else "row passes" if "t-test" in method else "row buckets"
        budget = budget_for(stored, strategy, **arguments)
        assert_same_bits(by_scpdex(stored, "group", max_memory=budget, **arguments), expected)
    memory = with_lone_cells(FORMS["CSR"](values))
    if method == "anderson":
        assert_same_bits(by_scpdex(in_chunks(memory, 70, 30), "group", **arguments), expected)
    else:
        assert_same_tests(monkeypatch, in_chunks(memory, 70, 30), memory, **arguments)
