"""The Anderson-Darling test against scipy and the plain formula, over references, storages and edges."""

import math
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_same_bits, by_gene, by_scpdex, plain_anderson
from scipy import stats
from storages import STORAGES
from stored import budget_for, in_chunks, labelled, on_disk, values_of, without_slack
from tied_objects import REFERENCES, objects, pairs

from scpdex.statistics.anderson_darling import _harmonic_sums, anderson_darling_test


def by_scipy(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Statistic and p; NaN and 1 where scipy refuses, which is where all values are one."""
    if np.unique([*x, *y]).size < 2:
        return np.nan, 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = stats.anderson_ksamp([x, y])
    return found.statistic, found.pvalue


@settings(deadline=None, max_examples=150)
@given(objects(), REFERENCES)
def test_against_scipy(adata, reference):
    result = by_scpdex(adata, "label", method="anderson", reference=reference)
    for group, (x, y) in pairs(adata, reference).items():
        ours = by_gene(result, group)
        for j, gene in enumerate(adata.var_names):
            a, b = x[:, j], y[:, j]
            u = stats.mannwhitneyu(a, b).statistic
            square = plain_anderson(a, b)
            np.testing.assert_allclose(
                ours.loc[gene, "scores"], (-1 if 2 * u < a.size * b.size else 1) * square, rtol=2e-7, atol=1e-12
            )
            np.testing.assert_allclose(ours.loc[gene, "pvals"], by_scipy(a, b)[1], rtol=1e-9)


@pytest.mark.parametrize("kind", ["counts", "negative", "continuous"])
def test_large_groups(kind):
    """Groups of very different sizes; against the rest the small ones are added up from running sums."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c", "d"], [5, 60, 700, 2_300])
    values = {
        "counts": rng.poisson(0.7, (labels.size, 4)),
        "negative": np.round(rng.normal(size=(labels.size, 4)), 2),
        "continuous": np.where(rng.random((labels.size, 4)) < 0.4, rng.gamma(2, size=(labels.size, 4)), 0),
    }[kind].astype(np.float64)
    values[:65] += rng.choice([0, 1, 2], size=(65, 4))
    adata = ad.AnnData(values, obs=pd.DataFrame({"label": labels}, index=[str(i) for i in range(labels.size)]))
    for reference in ("rest", "c", "d"):
        result = by_scpdex(adata, "label", method="anderson", reference=reference, tie_correct=True)
        for group, (x, y) in pairs(adata, reference, labels=np.array(["a", "b", "c", "d"])).items():
            ours = by_gene(result, group)
            expected = [plain_anderson(x[:, j], y[:, j]) for j in range(4)]
            np.testing.assert_allclose(np.abs(ours["scores"].loc[[*"0123"]]), expected, rtol=2e-7)
            of_scipy = [by_scipy(x[:, j], y[:, j])[1] for j in range(4)]
            np.testing.assert_allclose(ours["pvals"].loc[[*"0123"]], of_scipy, rtol=1e-9)
            adjusted = stats.false_discovery_control(ours["pvals"])
            np.testing.assert_allclose(ours["pvals_adj"], adjusted, rtol=1e-12)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_statistic_and_p(group, other):
    sizes = (np.array([len(group)]), np.array([len(other)]))
    square = plain_anderson(np.array(group), np.array(other)) if len({*group, *other}) > 1 else np.nan
    statistic, p = anderson_darling_test(np.array([[square]]), *sizes)
    expected = by_scipy(np.array(group), np.array(other)) if len(group) + len(other) > 3 else (np.nan, 1)
    np.testing.assert_allclose([statistic[0, 0], p[0, 0]], expected, rtol=1e-9, atol=1e-12)


def plain_harmonic_sums(n: int) -> tuple[float, float]:
    """The sums that the paper defines, term by term."""
    g = sum((math.fsum(1 / (n - i) for i in range(1, j)) / j for j in range(2, n)), start=0.0)
    return math.fsum(1 / i for i in range(1, n)), g


def test_harmonic_sums():
    sizes = [*range(2, 101), 200, 500, 1_000]
    expected = np.array([plain_harmonic_sums(n) for n in sizes]).T
    np.testing.assert_allclose(_harmonic_sums(np.array(sizes, dtype=np.float64)), expected, rtol=1e-14, atol=1e-15)


def test_groups_of_a_quadrillion_cells():
    """Sums to n are not added up term by term, and the variance tends to 2 (pi**2 - 9) / 3 (Anderson and Darling)."""
    sizes = np.array([10**15, 2 * 10**15])
    squares = np.array([[1.5, 2.0]])
    statistics, _ = anderson_darling_test(squares, sizes, sizes[::-1])
    np.testing.assert_allclose(statistics, (squares - 1) / np.sqrt(2 * (np.pi**2 - 9) / 3), rtol=1e-12)


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_storages_agree_to_the_bit(tmp_path, monkeypatch, dtype, reference):
    without_slack(monkeypatch)
    values = values_of(dtype)
    arguments = {"method": "anderson", "reference": reference, "pts": True}
    expected = by_scpdex(labelled(values), "group", n_jobs=1, **arguments)
    for name, storage in STORAGES.items():
        matrix = storage(values)
        assert_same_bits(by_scpdex(labelled(matrix), "group", n_jobs=2, **arguments), expected)
        if name == "scipy.sparse.csr_matrix":
            stored = on_disk(labelled(matrix), tmp_path, "h5ad")
            budget = budget_for(stored, "row buckets", **arguments)
            assert_same_bits(by_scpdex(stored, "group", max_memory=budget, **arguments), expected)
            lazy = in_chunks(labelled(matrix), 70, 30)
            assert_same_bits(by_scpdex(lazy, "group", **arguments), expected)


def test_a_group_that_holds_every_cell():
    adata = ad.AnnData(np.eye(8, 3), obs=pd.DataFrame({"label": ["a"] * 8}, index=[*"01234567"]))
    result = by_scpdex(adata, "label", method="anderson")
    assert (result["scores"]["a"] == 0).all()
    assert (result["pvals"]["a"] == 1).all()


def test_p_is_bounded(pbmc):
    result = by_scpdex(pbmc, "bulk_labels", method="anderson")
    pvals = np.stack([result["pvals"][group] for group in result["pvals"].dtype.names])
    assert pvals.min() == 0.001
    assert pvals.max() == 0.25


def test_a_spread_that_ranks_do_not_see():
    """Equal rank sums: the score is A squared all the same."""
    values = np.r_[-4.0, -3, 3, 4, -2, -1, 1, 2][:, None]
    adata = ad.AnnData(values, obs=pd.DataFrame({"group": [*"aaaabbbb"]}, index=[f"cell{i}" for i in range(8)]))
    result = by_scpdex(adata, "group", method="anderson", groups=["a"], reference="b")
    assert result["scores"]["a"][0] == pytest.approx(plain_anderson(values[:4, 0], values[4:, 0]))
    assert result["scores"]["a"][0] > 1
