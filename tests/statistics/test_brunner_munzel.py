"""The Brunner-Munzel test against scipy and plain placements, over references, storages and edges."""

import warnings
from itertools import combinations_with_replacement

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from oracles import all_by_gene, assert_same_bits, by_scpdex, plain_placements
from scipy import stats
from storages import STORAGES
from stored import FORMS, budget_for, in_chunks, labelled, on_disk, values_of, without_slack
from tied_objects import REFERENCES, objects, pairs

import scpdex
from scpdex.statistics.brunner_munzel import estimate_auc

EXTRAS = ("auc", "auc_se", "auc_low", "auc_high", "log10_pvals", "u")
# scipy asks whether the first sample, the others, is the lower one.
ALTERNATIVES = {"two-sided": "two-sided", "greater": "less", "less": "greater"}


def by_scipy(x: np.ndarray, y: np.ndarray, alternative: str = "two-sided") -> tuple[float, float]:
    """Statistic and p of a group x beside the others y; NaN or infinite where the variance is 0."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = stats.brunnermunzel(y, x, alternative=ALTERNATIVES[alternative])
    return found.statistic, found.pvalue


def ranked(values: np.ndarray, labels: np.ndarray, **arguments: object) -> dict:
    """Rank cells x genes by the Brunner-Munzel test."""
    obs = pd.DataFrame({"group": pd.Categorical(labels)}, index=[f"cell{i}" for i in range(labels.size)])
    return by_scpdex(ad.AnnData(values, obs=obs), "group", method="brunner-munzel", **arguments)


@settings(deadline=None, max_examples=100)
@given(objects(), REFERENCES)
def test_against_plain_placements(adata, reference):
    result = by_scpdex(adata, "label", method="brunner-munzel", reference=reference, extras=EXTRAS)
    for group, (x, y) in pairs(adata, reference).items():
        ours = all_by_gene(result, group)
        for j, gene in enumerate(adata.var_names):
            a, b = x[:, j], y[:, j]
            difference, error, freedom = plain_placements(a, b)
            np.testing.assert_allclose(ours.loc[gene, "auc"] - 0.5, difference, rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(ours.loc[gene, "auc_se"], error, rtol=1e-12)
            score = difference / error if error else 0
            np.testing.assert_allclose(ours.loc[gene, "scores"], score, rtol=2e-7)
            p = 2 * stats.t.sf(abs(score), freedom) if error else 1
            np.testing.assert_allclose(ours.loc[gene, "pvals"], p, rtol=1e-9)
            statistic, of_scipy = by_scipy(a, b)
            if np.isfinite(statistic):
                np.testing.assert_allclose([score, p], [statistic, of_scipy], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("kind", ["counts", "negative", "continuous", "float32"])
def test_against_scipy(kind, alternative):
    """Gene by gene, groups of very different sizes."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c", "d"], [5, 60, 300, 900])
    values = {
        "counts": rng.poisson(0.7, (labels.size, 4)),
        "negative": np.round(rng.normal(size=(labels.size, 4)), 2),
        "continuous": np.where(rng.random((labels.size, 4)) < 0.4, rng.gamma(2, size=(labels.size, 4)), 0),
        "float32": rng.lognormal(size=(labels.size, 4)) - 0.5,
    }[kind].astype(np.float32 if kind == "float32" else np.float64)
    values[:65] += rng.choice([0, 1, 2], size=(65, 4))
    for reference in ("rest", "c", ["c", "d"]):
        result = ranked(values, labels, reference=reference, alternative=alternative, extras=EXTRAS)
        for group in result["names"].dtype.names:
            ours = all_by_gene(result, group)
            others = labels != group if reference == "rest" else np.isin(labels, reference)
            for j in range(4):
                # scipy's statistic of float32 is float32.
                x, y = (values[cells, j].astype(np.float64) for cells in (labels == group, others))
                statistic, p = by_scipy(x, y, alternative)
                row = ours.loc[str(j)]
                np.testing.assert_allclose((row["auc"] - 0.5) / row["auc_se"], statistic, rtol=1e-10, atol=1e-10)
                np.testing.assert_allclose(row["scores"], statistic, rtol=1e-7, atol=1e-9)
                np.testing.assert_allclose(row["pvals"], p, rtol=1e-10)
                np.testing.assert_allclose(row["log10_pvals"], np.log10(p), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("reference", ["rest", "b"])
def test_separated_and_constant_genes(reference):
    """Where scipy has infinity and NaN: finite, and before all others; nothing is said of a constant gene."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], [7, 11, 13])
    values = rng.poisson(1.0, (31, 5)).astype(np.float64)
    values[:, 0] = np.where(labels == "a", 9, rng.random(31))
    values[:, 1] = np.where(labels == "a", -3, rng.random(31))
    values[:, 2] = 4
    values[:, 3] = 0
    # One cell of the group is tied with one of the others: as near to separated as can be.
    values[:, 4] = np.where(labels == "a", 2, 1)
    values[[0, 7], 4] = 1.5
    result = ranked(values, labels, groups=["a", "b"], reference=reference, extras=EXTRAS)
    assert list(result["names"]["a"][[0, 1, -1]]) == ["0", "4", "1"]
    ours, n_others = all_by_gene(result, "a"), 24 if reference == "rest" else 11
    for gene, sign in (("0", 1), ("1", -1)):
        np.testing.assert_allclose(ours.loc[gene, "scores"], sign * 7 * n_others / np.sqrt(2), rtol=1e-7)
        freedom = 4 / (1 / 6 + 1 / (n_others - 1))
        p = 2 * stats.t.sf(7 * n_others / np.sqrt(2), freedom)
        np.testing.assert_allclose(ours.loc[gene, "pvals"], p, rtol=1e-10)
        np.testing.assert_allclose(ours.loc[gene, "auc_se"], 1 / (np.sqrt(2) * 7 * n_others), rtol=1e-12)
    for gene in "23":
        expected = {"scores": 0, "pvals": 1, "auc": 0.5, "auc_se": 0, "auc_low": 0.5, "auc_high": 0.5, "log10_pvals": 0}
        assert ours.loc[gene, list(expected)].to_dict() == expected


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_one_side_of_separated_and_constant_genes(alternative):
    labels = np.repeat(["a", "b"], [4, 6])
    values = np.where(labels == "a", 1.0, 0)[:, None] * [1, -1, 0]
    ours = all_by_gene(ranked(values, labels, reference="b", alternative=alternative, extras=EXTRAS), "a")
    score, freedom = 24 / np.sqrt(2), 4 / (1 / 3 + 1 / 5)
    sign = 1 if alternative == "greater" else -1
    tails = stats.t.sf([sign * score, -sign * score], freedom)
    np.testing.assert_allclose(ours["scores"], [score, -score, 0], rtol=1e-7)
    np.testing.assert_allclose(ours["pvals"], [*tails, 1], rtol=1e-10)
    np.testing.assert_allclose(ours["log10_pvals"], [*np.log10(tails), 0], rtol=1e-10)


@pytest.mark.parametrize(("n1", "n2"), [*combinations_with_replacement(range(2, 5), 2)])
def test_smallest_positive_variance(n1, n2):
    """Of all ways in which a few cells can be tied and ordered, separated sides apart, whose variance is 0."""
    x, y = (np.array([*combinations_with_replacement(range(n1 + n2), n)]) for n in (n1, n2))
    x, y = np.repeat(x, len(y), axis=0), np.tile(y, (len(x), 1))
    above = (x[:, :, None] > y[:, None, :]) + (x[:, :, None] == y[:, None, :]) / 2
    variances = above.mean(axis=2).var(axis=1, ddof=1) / n1 + above.mean(axis=1).var(axis=1, ddof=1) / n2
    is_zero = variances < 1e-20
    np.testing.assert_allclose(variances[~is_zero].min(), 1 / (2 * n1**2 * n2**2), rtol=1e-12)
    auc = above.mean(axis=(1, 2))
    assert {*auc[is_zero]} == {0, 0.5, 1}
    assert (np.ptp(np.hstack([x, y])[is_zero & (auc == 0.5)], axis=1) == 0).all()
    assert is_zero[(auc == 0) | (auc == 1)].all()


def _in_64_bits(*values: int) -> list[np.ndarray]:
    return [np.array([[value % 2**64]], dtype=np.uint64).view(np.int64) for value in values]


def test_largest_variance():
    """Half of the group lies below all others, and half above: squared deviations need the 64th bit."""
    n1, n2 = 1_600_000, 3_200_000
    squares = _in_64_bits(n1 // 2 * (2 * n2) ** 2, n2 * n1**2)
    estimate = estimate_auc(np.array([[n1 * n2]]), *squares, np.array([n1]), np.array([n2]))
    assert estimate.difference[0, 0] == 0
    np.testing.assert_allclose(estimate.standard_error[0, 0], np.sqrt(1 / (4 * (n1 - 1))), rtol=1e-12)


@pytest.mark.parametrize(("k", "is_exact", "tolerance"), [(1, True, 1e-12), (1_000, True, 1e-12), (1_000, False, 1e-6)])
def test_variances_of_many_cells(k, is_exact, tolerance):
    """Sums of squares wrap around, or are float64: nearly separated sides keep the digits of their variance."""
    n1, n2 = 1_000_003, 3_800_007
    # k cells of the group are below k of the others, all else is separated.
    twice_u = 2 * (n1 * n2 - k * k)
    group = (n1 - k) * (2 * n2) ** 2 + k * (2 * (n2 - k)) ** 2
    other = k * (2 * k) ** 2
    squares = _in_64_bits(group, other) if is_exact else [np.array([[float(value)]]) for value in (group, other)]
    estimate = estimate_auc(np.array([[twice_u]]), *squares, np.array([n1]), np.array([n2]))
    spread_group = k * k * k * (1 - k / n1) / (n1 - 1)
    spread_other = k * k * k * (1 - k / n2) / (n2 - 1)
    expected = np.sqrt(spread_group / (n1 * n2**2) + spread_other / (n2 * n1**2))
    np.testing.assert_allclose(estimate.standard_error[0, 0], expected, rtol=tolerance)


def test_float64_sums_of_squares(monkeypatch):
    """Of millions of cells, sums are float64: the same of a few cells."""
    values, labels = values_of("float64"), np.resize([*"aabc"], 300)
    expected = {ref: ranked(values, labels, reference=ref, extras=EXTRAS) for ref in ("rest", "b")}
    monkeypatch.setattr("scpdex.run._sufficient_statistics.EXACT_SQUARES_BELOW", 10)
    for reference, exact in expected.items():
        found = ranked(values, labels, reference=reference, extras=EXTRAS)
        for name in ("scores", "pvals", "auc_se"):
            for group in exact["names"].dtype.names:
                a, b = (all_by_gene(result, group)[name] for result in (found, exact))
                np.testing.assert_allclose(a, b, rtol=1e-6 if name == "scores" else 1e-9)


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", ["brunner-munzel", "wilcoxon"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_storages_agree_to_the_bit(tmp_path, monkeypatch, dtype, method, reference):
    without_slack(monkeypatch)
    values = values_of(dtype)
    arguments = {"method": method, "reference": reference, "extras": EXTRAS, "tie_correct": method == "wilcoxon"}
    arguments |= {"min_effect": 0.05} if method == "brunner-munzel" else {}
    expected = by_scpdex(labelled(values), "group", n_jobs=1, **arguments)

    def hold(found: dict) -> None:
        for group in expected["names"].dtype.names:
            pd.testing.assert_frame_equal(all_by_gene(found, group), all_by_gene(expected, group), check_exact=True)

    for name, storage in STORAGES.items():
        matrix = storage(values)
        hold(by_scpdex(labelled(matrix), "group", n_jobs=2, gene_chunk_size=3, **arguments))
        if name == "scipy.sparse.csr_matrix":
            stored = on_disk(labelled(matrix), tmp_path, "h5ad")
            budget = budget_for(stored, "row buckets", **arguments)
            hold(by_scpdex(stored, "group", max_memory=budget, **arguments))
            hold(by_scpdex(in_chunks(labelled(matrix), 70, 30), "group", **arguments))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["brunner-munzel", "wilcoxon", "t-test"])
def test_stores_agree_to_the_bit(tmp_path, monkeypatch, method, form):
    """Files, low_memory, threads and gene_chunk_size, the minimal effect of t-tests as well."""
    without_slack(monkeypatch)
    extras = ("log10_pvals",) if method == "t-test" else EXTRAS
    arguments = {"method": method, "extras": extras} | ({} if method == "wilcoxon" else {"min_effect": 0.05})
    adata = labelled(FORMS[form](values_of("float32")))
    expected = by_scpdex(adata, "group", n_jobs=1, **arguments)
    assert_same_bits(by_scpdex(adata, "group", n_jobs=3, low_memory=True, gene_chunk_size=4, **arguments), expected)
    for store in ("h5ad", "zarr"):
        stored = on_disk(adata, tmp_path, store)
        assert_same_bits(by_scpdex(stored, "group", n_jobs=2, **arguments), expected)
        if form != "CSR":
            budget = budget_for(stored, "column blocks", low_memory=True, **arguments)
            in_parts = by_scpdex(stored, "group", low_memory=True, max_memory=budget, **arguments)
            assert_same_bits(in_parts, expected)


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", ["brunner-munzel", "wilcoxon"])
def test_levels_are_separate_calls(method, reference):
    """Intervals and minimal effects of each level are those of its cells alone."""
    adata = labelled(FORMS["CSR"](values_of("float32")))
    adata.obs["level"] = np.resize([*"xyy"], adata.n_obs)
    arguments = {"method": method, "reference": reference, "extras": EXTRAS, "confidence": 0.9}
    arguments |= {"min_effect": 0.05} if method == "brunner-munzel" else {"tie_correct": True}
    alone = {level: by_scpdex(adata[adata.obs["level"] == level].copy(), "group", **arguments) for level in "xy"}
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", key_added="k", **arguments)
    for level, expected in alone.items():
        assert_same_bits(adata.uns[f"k_{level}"], expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strata": "donor"}, "strata needs method='wilcoxon': method='brunner-munzel'"),
        ({"use_continuity": True}, "use_continuity=True needs method='wilcoxon'"),
        ({"tie_correct": True}, "tie_correct=True is not for method='brunner-munzel'"),
    ],
)
def test_refusals(arguments, message):
    adata = labelled(values_of("float32"))
    adata.obs["donor"] = np.resize([*"pq"], adata.n_obs)
    with pytest.raises(ValueError, match=message):
        scpdex.tl.rank_genes_parallel(adata, "group", method="brunner-munzel", **arguments)
    assert "rank_genes_groups" not in adata.uns


def test_one_cell():
    """Refused, as by t-tests, or without a variance."""
    values, labels = np.random.default_rng(0).random((9, 3)), np.array([*"abbbbcccc"])
    with pytest.raises(ValueError, match="'a'"):
        ranked(values, labels)
    ours = all_by_gene(ranked(values, labels, min_cells=1, extras=EXTRAS), "a")
    assert (ours["scores"] == 0).all()
    assert (ours["pvals"] == 1).all()
    assert ours[["auc_se", "auc_low", "auc_high"]].isna().all(axis=None)


@pytest.mark.parametrize("reference", ["rest", "a"])
def test_one_cell_on_the_other_side(reference):
    values, labels = np.random.default_rng(0).random((9, 3)), np.array([*"abbbbbbbb"])
    arguments = {"groups": ["b"], "reference": reference, "min_cells": 1, "extras": EXTRAS}
    ours = all_by_gene(ranked(values, labels, **arguments), "b")
    np.testing.assert_array_equal(ours["auc"], (values[1:] > values[0]).mean(axis=0))
    assert (ours["scores"] == 0).all()
    assert (ours["pvals"] == 1).all()
    assert ours[["auc_se", "auc_low", "auc_high"]].isna().all(axis=None)
