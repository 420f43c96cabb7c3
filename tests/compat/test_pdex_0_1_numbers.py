"""The drop-in for pdex 0.1 against scipy, row by row; against pdex itself it is held in tests/beside_peers."""

import warnings
from contextlib import suppress
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pdex_calls import compare
from scipy import stats
from storages import STORAGES
from stored import in_chunks, labelled, on_disk, values_of, without_slack
from tied_objects import objects

from scpdex.machine.scratch_file import Scratch

COLUMNS = [
    *("target", "reference", "feature", "target_mean", "reference_mean", "percent_change", "fold_change"),
    *("p_value", "statistic", "fdr"),
]


def of_scipy(metric: str, x: np.ndarray, y: np.ndarray, *, tie_correct: bool, alternative: str) -> tuple[float, float]:
    """Statistic and p; NaN and 1 where scipy has none."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if metric == "anderson":
            if np.unique([*x, *y]).size < 2 or x.size + y.size < 4:
                return np.nan, 1.0
            found = stats.anderson_ksamp([x, y])
        elif metric == "t-test":
            if np.ptp(x) == np.ptp(y) == 0 and x.size + y.size > 2:
                difference = x[0] - y[0]
                return (np.sign(difference) * np.inf, _tail(difference, alternative)) if difference else (np.nan, 1.0)
            found = stats.ttest_ind(x, y, alternative=alternative)
        else:
            found = stats.mannwhitneyu(x, y, use_continuity=tie_correct, alternative=alternative)
    return found.statistic, 1.0 if np.isnan(found.pvalue) else found.pvalue


def _tail(difference: float, alternative: str) -> float:
    return float(alternative == ("less" if difference > 0 else "greater"))


@settings(deadline=None, max_examples=200)
@given(
    objects(least=1),
    st.sampled_from(["wilcoxon", "anderson", "t-test"]),
    st.booleans(),
    st.sampled_from(["two-sided", "less", "greater"]),
)
def test_against_scipy(adata, metric, tie_correct, alternative):
    further = {} if metric == "anderson" else {"alternative": alternative}
    table = compare(adata, metric=metric, tie_correct=tie_correct, is_log1p=False, **further)
    labels = adata.obs["label"].to_numpy()
    values = adata.X.astype(np.float64)
    targets = [label for label in pd.unique(labels) if label != "b" and isinstance(label, str)]
    assert list(table.columns) == COLUMNS
    assert table["target"].tolist() == np.repeat(targets, adata.n_vars).tolist()
    assert table["feature"].tolist() == adata.var_names.tolist() * len(targets)
    rows = iter(table.itertuples())
    for target in targets:
        for j in range(adata.n_vars):
            x, y, row = values[labels == target, j], values[labels == "b", j], next(rows)
            statistic, p = of_scipy(metric, x, y, tie_correct=tie_correct, alternative=alternative)
            # a spread near rounding is all error
            if metric == "t-test" and 0 < np.ptp(x) + np.ptp(y) <= 1e-6 * np.abs([*x, *y]).max():
                continue
            np.testing.assert_allclose(row.statistic, statistic, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(row.p_value, p, rtol=1e-9, atol=1e-300)
            np.testing.assert_allclose([row.target_mean, row.reference_mean], [x.mean(), y.mean()], rtol=1e-12)
    np.testing.assert_allclose(table["fdr"], stats.false_discovery_control(table["p_value"]), rtol=1e-12)


@pytest.mark.parametrize("larger", ["reference", "target"])
def test_exact_distribution_of_large_groups(larger):
    """At most 8 untied cells on a side, hundreds on the other; one more cell, or a tie, and it is asymptotic."""
    rng = np.random.default_rng(0)
    for n, ties in ((8, False), (9, False), (8, True)):
        values = rng.permutation(300 + n)[:, None] + 0.5
        if ties:
            values[0] = values[1]
        # By a quarter more, since whole steps would make ties.
        values[:n] -= 100.25
        few, many = ("a", "b") if larger == "reference" else ("b", "a")
        adata = ad.AnnData(values.astype(np.float32), obs=pd.DataFrame({"label": [few] * n + [many] * 300}))
        sides = (values[:n, 0], values[n:, 0])
        expected = stats.mannwhitneyu(*(sides if larger == "reference" else sides[::-1]))
        row = compare(adata, is_log1p=False).iloc[0]
        np.testing.assert_allclose([row.p_value, row.statistic], [expected.pvalue, expected.statistic], rtol=1e-10)


@pytest.mark.parametrize("metric", ["wilcoxon", "anderson", "t-test"])
def test_storages_agree_to_the_bit(tmp_path, metric):
    rng = np.random.default_rng(0)
    values = np.log1p(rng.poisson(1, (150, 12))).astype(np.float32)
    obs = pd.DataFrame({"label": np.resize([*"bacbde"], 150)}, index=[str(i) for i in range(150)])

    def table(x: Any, adata: ad.AnnData | None = None, **arguments: Any) -> pd.DataFrame:
        return compare(ad.AnnData(x, obs=obs) if adata is None else adata, metric=metric, **arguments)

    expected = table(values)
    for storage in STORAGES.values():
        pd.testing.assert_frame_equal(table(storage(values), num_workers=2, num_threads=1), expected, check_exact=True)
    csr = ad.AnnData(STORAGES["scipy.sparse.csr_matrix"](values), obs=obs)
    for arguments in ({"low_memory": True, "gene_chunk_size": 5}, {"gene_chunk_size": 3, "num_threads": 2}):
        stored = on_disk(csr, tmp_path, "h5ad")
        pd.testing.assert_frame_equal(table(None, stored, **arguments), expected, check_exact=True)
    if metric != "t-test":
        pd.testing.assert_frame_equal(table(None, in_chunks(csr, 40, 12)), expected, check_exact=True)
    backwards = csr[:, ::-1]
    expected = table(values[:, ::-1].copy()).drop(columns="feature")
    pd.testing.assert_frame_equal(table(None, backwards).drop(columns="feature"), expected, check_exact=True)


@pytest.mark.parametrize("metric", ["wilcoxon", "anderson", "t-test"])
def test_within_little_memory(tmp_path, monkeypatch, metric):
    """Values and statistics that go to scratch are the same numbers."""
    without_slack(monkeypatch)
    adata = labelled(STORAGES["scipy.sparse.csr_matrix"](values_of("float32", 60, 1500)))
    arguments = {"key": "group", "metric": metric, "is_log1p": True, "exp_post_agg": metric == "t-test"}
    expected = compare(adata, **arguments)
    written = []
    write = Scratch.write
    monkeypatch.setattr(Scratch, "write", lambda scratch, *arrays: written.extend(arrays) or write(scratch, *arrays))
    stored = on_disk(adata, tmp_path, "h5ad")
    for available in range(2 * 10**5, 4 * 10**6, 5 * 10**4):
        monkeypatch.setattr("scpdex.machine.default_budget.available_memory", lambda _, available=available: available)
        with suppress(ValueError):
            pd.testing.assert_frame_equal(compare(stored, gene_chunk_size=4, **arguments), expected, check_exact=True)
            break
    assert any(values.dtype == np.float64 and len(values) == 4 for values in written)


@pytest.mark.parametrize("exp_post_agg", [True, False])
@pytest.mark.parametrize("is_log1p", [True, False])
@pytest.mark.parametrize("clip_value", [20.0, 3, None])
def test_means_and_changes(is_log1p, exp_post_agg, clip_value):
    values = np.array([[0, 0, 2, 1, 1], [0, 0, 1, 0, 1], [0, 3, 0, 2, 1], [0, 1, 0, 0, 1]], dtype=np.float64)
    adata = ad.AnnData(values, obs=pd.DataFrame({"label": [*"aabb"]}))
    table = compare(adata, is_log1p=is_log1p, exp_post_agg=exp_post_agg, clip_value=clip_value)
    a, b = values[:2], values[2:]
    if is_log1p:
        a, b = (np.expm1(x.mean(axis=0)) if exp_post_agg else np.expm1(x).mean(axis=0) for x in (a, b))
    else:
        a, b = a.mean(axis=0), b.mean(axis=0)
    clipped = [np.nan, 0, np.nan] if clip_value is None else [1, 1 / clip_value, clip_value]
    np.testing.assert_allclose(table["target_mean"], a)
    np.testing.assert_allclose(table["reference_mean"], b)
    np.testing.assert_allclose(table["fold_change"], [*clipped, a[3] / b[3], 1])
    np.testing.assert_allclose(table["percent_change"], [np.nan, -1, np.nan, (a[3] - b[3]) / b[3], 0], atol=1e-15)


def test_labels(messages):
    """Integers stay integers, unused categories and cells without a label are left out, rest is a name like others."""
    values = np.random.default_rng(0).poisson(2, (12, 3))
    labels = pd.Categorical(["rest", "x/y", None, "rest", "x/y", "z"] * 2, categories=["unused", "x/y", "z", "rest"])
    table = compare(ad.AnnData(values, obs=pd.DataFrame({"label": labels})), "rest")
    assert table["target"].unique().tolist() == ["x/y", "z"]
    assert set(table["reference"]) == {"rest"}
    numbers = ad.AnnData(values, obs=pd.DataFrame({"label": [3, 1, 2] * 4}))
    table = compare(numbers, 1)
    assert table["target"].tolist() == [3] * 3 + [2] * 3
    assert table["target"].dtype == table["reference"].dtype == np.int64
    pd.testing.assert_frame_equal(compare(numbers, "1", groups=["2", 3]), table)
    assert messages() == ""
    assert compare(numbers, 1, groups=[2, 7, 1])["target"].unique().tolist() == [2]
    assert "groups '7' are left out: they label no cell of adata.obs['label']" in messages()


def test_x_is_compared_whatever_raw_holds(pbmc):
    table = compare(pbmc, "Dendritic", "bulk_labels", is_log1p=False)
    assert table["feature"].nunique() == pbmc.n_vars
    means = pbmc.X[pbmc.obs["bulk_labels"] == "Dendritic"].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(table["reference_mean"][: pbmc.n_vars], means, rtol=1e-6, atol=1e-9)


def test_nan_is_refused():
    adata = ad.AnnData(np.array([[1.0, 2], [np.nan, 1], [0, 1], [2, 2]]), obs=pd.DataFrame({"label": [*"abab"]}))
    with pytest.raises(ValueError, match=r"adata\.X holds 1 NaN or infinite values .* gene '0'"):
        compare(adata)
