"""Scores of markers: every effect, summary and p-value as its definition has it."""

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_markers import EFFECTS, plain_combined, plain_effects, plain_pairwise, plain_pvals, plain_summaries
from scipy import sparse, stats

import scpdex

KEY = "score_markers"


def _values(kind: str, n_cells: int = 90) -> np.ndarray:
    """Cells x genes: the first gene is all zero, the second constant, the third separates the group "a"."""
    rng = np.random.default_rng(1)
    counts = rng.poisson(rng.gamma(1, 1, 9), (n_cells, 9)).astype(np.float64)
    values = {
        "counts": counts,
        "logs": np.log1p(counts / rng.integers(1, 9, (n_cells, 1))),
        "signed": rng.normal(size=(n_cells, 9)) * (counts > 0),
        "negative": -counts,
    }[kind]
    values[:, 0], values[:, 1] = 0, 3
    return values


def _labels(n_cells: int = 90) -> np.ndarray:
    return np.random.default_rng(2).choice(["a", "b", "c", "d"], n_cells, p=[0.2, 0.3, 0.4, 0.1])


def _object(values: np.ndarray, labels: Any, **obs: Any) -> ad.AnnData:
    adata = ad.AnnData(values)
    adata.obs["group"] = labels
    for name, column in obs.items():
        adata.obs[name] = column
    return adata


def _scores(adata: ad.AnnData, **options: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Matrices of a result by field, and its entry."""
    assert scpdex.tl.score_markers(adata, "group", **options) is None
    entry = adata.uns[KEY]
    return {name: adata.varm[f"{KEY}_{name}"] for name in entry["fields"]}, entry


def _check(adata: ad.AnnData, values: np.ndarray, blocks: np.ndarray | None = None, limit: int = 500) -> None:
    """Compare all numbers of an object's markers with the definitions."""
    scores, entry = _scores(adata, pairwise=True, strata=None if blocks is None else "block", min_rank_limit=limit)
    groups = list(entry["groups"])
    assert groups == list(entry["others"])
    effects = plain_pairwise(values, np.asarray(adata.obs["group"], dtype=object).astype(str), groups, blocks)
    for effect in EFFECTS:
        np.testing.assert_allclose(entry["pairwise"][effect], effects[effect], rtol=0, atol=1e-9)
        for summary, expected in plain_summaries(entry["pairwise"][effect], limit).items():
            actual = scores[f"{effect}_{summary}"]
            assert actual.dtype == (np.int32 if summary == "min_rank" else np.float64)
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9, err_msg=f"{effect}_{summary}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["counts", "logs", "signed", "negative"])
def test_effects_and_summaries(kind, dtype):
    values, labels = _values(kind).astype(dtype), _labels()
    values[labels == "a", 2], values[labels != "a", 2] = 7, 0
    _check(_object(values, labels), values.astype(np.float64))


@pytest.mark.parametrize("limit", [1, 4, 9, 500])
def test_ranks_up_to_a_limit(limit):
    values = _values("counts")
    _check(_object(sparse.csr_matrix(values), _labels()), values, limit=limit)


def test_groups_of_one_cell():
    """A group of one cell takes the other's variance; two such groups have no d."""
    labels = _labels().astype(object)
    labels[:3] = ["one", "two", "three"]
    values = _values("logs")
    adata = _object(values, labels)
    _check(adata, values)
    groups = list(adata.uns[KEY]["groups"])
    i, j = groups.index("one"), groups.index("two")
    assert np.isnan(adata.uns[KEY]["pairwise"]["cohens_d"][i, j]).all()
    assert not np.isnan(adata.uns[KEY]["pairwise"]["auc"][i, j]).any()


def test_two_groups_of_one_cell():
    scores, _ = _scores(_object(np.array([[0.0, 2.0, 1.0], [1.0, 1.0, 1.0]]), ["a", "b"]))
    assert scores["auc_median"].T.tolist() == [[0, 1, 0.5], [1, 0, 0.5]]
    assert np.isnan(scores["cohens_d_mean"]).all()
    assert (scores["cohens_d_min_rank"] == 3).all()


def test_a_tie_of_ranks_keeps_the_order_of_var():
    values = np.array([[1.0, 1, 0, 2], [1, 1, 0, 2], [0, 0, 0, 0], [0, 0, 0, 0]])
    scores, _ = _scores(_object(values, list("aabb")))
    assert scores["auc_min_rank"][:, 0].tolist() == [1, 2, 4, 3]
    assert scores["cohens_d_min_rank"][:, 0].tolist() == [1, 2, 4, 3]


@pytest.mark.parametrize("kind", ["counts", "signed"])
def test_strata(kind):
    """Effects are averaged over strata; c and d share none."""
    rng = np.random.default_rng(3)
    values, labels = _values(kind), _labels()
    blocks = rng.choice(["x", "y", "z"], labels.size)
    blocks[labels == "c"], blocks[labels == "d"] = "x", "y"
    blocks[:2], labels[:2] = ["z", "y"], ["d", "a"]
    blocks[labels == "d"] = "y"
    adata = _object(values, labels, block=blocks)
    _check(adata, values, blocks)
    groups = list(adata.uns[KEY]["groups"])
    i, j = groups.index("c"), groups.index("d")
    for effect in EFFECTS:
        assert np.isnan(adata.uns[KEY]["pairwise"][effect][i, j]).all()


def test_many_cells_of_a_block_weigh_as_1000():
    values = np.random.default_rng(4).normal(size=(3300, 2))
    labels = np.resize(["a", "b"], 3300)
    blocks = np.where(np.arange(3300) < 3000, "x", "y")
    scores, _ = _scores(_object(values, labels, block=blocks), strata="block", effects=("delta_mean",))
    of_blocks = [
        [plain_effects(*(values[(blocks == block) & (labels == k), g] for k in "ab"))["delta_mean"] for block in "xy"]
        for g in range(2)
    ]
    weights = [1, 0.15**2]
    np.testing.assert_allclose(scores["delta_mean_mean"][:, 0], np.average(of_blocks, axis=1, weights=weights))


@pytest.mark.parametrize("kind", ["counts", "logs", "signed"])
def test_pvals(kind):
    """Pair by pair those of scipy, combined by Simes and by the maximum, adjusted over genes."""
    values, labels = _values(kind), _labels()
    scores, entry = _scores(_object(values, labels), pvals=True, pairwise=True, effects=("auc",))
    pvals = plain_pvals(values, labels, list(entry["groups"]))
    np.testing.assert_allclose(entry["pairwise"]["pvals"], pvals, rtol=1e-12, atol=1e-12)
    for name, expected in plain_combined(pvals).items():
        np.testing.assert_allclose(scores[f"pvals_{name}"], expected, rtol=1e-12, atol=1e-12)


def test_pvals_over_strata():
    """Pair by pair those of the stratified test of two groups."""
    values, labels = _values("counts"), _labels()
    blocks = np.random.default_rng(3).choice(["x", "y", "z"], labels.size)
    adata = _object(values, labels, block=blocks)
    _, entry = _scores(adata, pvals=True, pairwise=True, strata="block")
    groups = list(entry["groups"])
    for i, j in ((0, 2), (2, 0), (3, 1)):
        pair = adata[adata.obs["group"].isin([groups[i], groups[j]])].copy()
        options = {"reference": groups[j], "strata": "block", "method": "wilcoxon", "alternative": "greater"}
        scpdex.tl.rank_genes_parallel(pair, "group", groups=[groups[i]], storage="varm", **options)
        np.testing.assert_allclose(entry["pairwise"]["pvals"][i, j], pair.varm["rank_genes_groups_pvals"][:, 0])


@pytest.mark.parametrize("corr_method", ["bonferroni", "holm", "fdr_by"])
def test_other_corrections(corr_method):
    from statsmodels.stats.multitest import multipletests

    scores, _ = _scores(_object(_values("logs"), _labels()), pvals=True, corr_method=corr_method)
    expected = multipletests(scores["pvals_any"][:, 1], method=corr_method)[1]
    np.testing.assert_allclose(scores["pvals_any_adj"][:, 1], expected)


def test_some_groups_against_all_others():
    values, labels = _values("logs"), _labels()
    adata = _object(values, labels)
    whole, all_pairs = _scores(adata, pvals=True, pairwise=True)
    some, entry = _scores(adata, pvals=True, pairwise=True, groups=["d", "b"])
    assert list(entry["groups"]) == ["d", "b"]
    assert list(entry["others"]) == ["a", "b", "c", "d"]
    for name, matrix in some.items():
        np.testing.assert_array_equal(matrix, whole[name][:, [3, 1]])
    for name, array in entry["pairwise"].items():
        np.testing.assert_array_equal(array, all_pairs["pairwise"][name][[3, 1]])


def test_small_groups_and_missing_labels_are_left_out():
    values, labels = _values("logs"), _labels().astype(object)
    few, missing = labels.copy(), labels.copy()
    few[:2], missing[:2] = "few", None
    left, entry = _scores(_object(values, few), min_cells=3)
    assert list(entry["groups"]) == ["a", "b", "c", "d"]
    for other in (_object(values, missing), _object(values[2:], labels[2:])):
        expected, _ = _scores(other)
        for name, matrix in left.items():
            np.testing.assert_array_equal(matrix, expected[name])


def test_labels_that_are_numbers():
    adata = _object(_values("logs"), np.random.default_rng(2).integers(8, 12, 90))
    scores, entry = _scores(adata, groups=[10, "9"])
    assert list(entry["groups"]) == ["10", "9"]
    assert scores["auc_min"].shape == (9, 2)


def test_masked_genes_have_no_scores():
    values, labels = _values("counts"), _labels()
    mask = np.array([1, 1, 0, 1, 0, 1, 1, 1, 0], dtype=bool)
    masked, entry = _scores(_object(values, labels), mask_var=mask, pvals=True, pairwise=True)
    alone, of_alone = _scores(_object(values[:, mask], labels), pvals=True, pairwise=True)
    for name, matrix in masked.items():
        np.testing.assert_array_equal(matrix[mask], alone[name])
        assert (matrix[~mask] == -1).all() if name.endswith("rank") else np.isnan(matrix[~mask]).all()
    for name, array in entry["pairwise"].items():
        np.testing.assert_array_equal(array[..., mask], of_alone["pairwise"][name])
        assert np.isnan(array[..., ~mask]).all()


def test_layers_raw_and_counts_that_are_normalized():
    values, labels = _values("counts"), _labels()
    logs = values / np.maximum(values.sum(axis=1, keepdims=True), 1) * 1e4
    logs = np.log1p(logs)
    expected, _ = _scores(_object(logs, labels))
    adata = _object(values, labels)
    adata.layers["logs"] = logs
    adata.raw = _object(logs, labels)
    for options in ({"layer": "logs", "use_raw": False}, {"use_raw": True}, {}, {"normalize": 1e4, "use_raw": False}):
        scores, entry = _scores(adata.copy(), **options)
        assert entry["params"]["use_raw"] is options.get("use_raw", True)
        for name, matrix in scores.items():
            np.testing.assert_allclose(matrix, expected[name], rtol=0, atol=1e-12)


def test_some_effects_and_summaries():
    adata = _object(_values("logs"), _labels())
    whole, _ = _scores(adata)
    some, entry = _scores(adata, effects=["delta_mean", "auc", "auc"], summaries=("min_rank", "median"))
    fields = ["auc_median", "auc_min_rank", "delta_mean_median", "delta_mean_min_rank"]
    assert list(entry["fields"]) == list(some) == fields
    assert not [name for name in adata.varm if name.startswith(KEY) and name.removeprefix(f"{KEY}_") not in fields]
    for name, matrix in some.items():
        np.testing.assert_array_equal(matrix, whole[name])


def test_parameters():
    adata = _object(_values("logs"), _labels(), block=np.resize(["x", "y"], 90))
    _, entry = _scores(adata, strata="block", min_cells=2, pvals=True, min_rank_limit=7)
    params = entry["params"]
    assert params["method"] == "score_markers"
    assert params["groupby"] == "group"
    assert params["strata"] == "block"
    assert (params["min_cells"], params["min_rank_limit"]) == (2, 7)
    assert params["corr_method"] == "benjamini-hochberg"
    assert (params["layer"], params["use_raw"]) == (None, False)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_holds_of_all_scores(seed):
    """Names do not matter; two opposite AUCs sum to 1; a further group never raises the least effect of the others."""
    rng = np.random.default_rng(seed)
    values = rng.choice([0.0, 0, 0, 1, 2, -1, 0.5], (int(rng.integers(12, 60)), 4))
    labels = np.concatenate([np.repeat(list("abc"), 2), rng.choice(list("abcd"), values.shape[0] - 6)])
    scores, entry = _scores(_object(values, labels), pairwise=True)
    auc = entry["pairwise"]["auc"]
    off_diagonal = ~np.eye(auc.shape[0], dtype=bool)
    np.testing.assert_allclose((auc + auc.transpose(1, 0, 2))[off_diagonal], 1, rtol=0, atol=1e-12)
    for effect in ("cohens_d", "delta_mean", "delta_detected"):
        of_pairs = entry["pairwise"][effect]
        np.testing.assert_array_equal(of_pairs[off_diagonal], -of_pairs.transpose(1, 0, 2)[off_diagonal])
    renamed, _ = _scores(_object(values, np.char.translate(labels, str.maketrans("abcd", "dcba"))))
    n_groups = len(entry["groups"])
    if n_groups == 4:
        for name, matrix in renamed.items():
            np.testing.assert_allclose(matrix, scores[name][:, ::-1], rtol=0, atol=1e-12)
    three, _ = _scores(_object(values[labels != "d"], labels[labels != "d"]))
    for effect in EFFECTS:
        assert (scores[f"{effect}_min"][:, :3] <= three[f"{effect}_min"]).all()
        assert (scores[f"{effect}_max"][:, :3] >= three[f"{effect}_max"]).all()


def test_scipy_says_the_same_of_an_auc():
    values, labels = _values("logs"), _labels()
    _, entry = _scores(_object(values, labels), pairwise=True)
    x, y = values[labels == "a"], values[labels == "c"]
    u = stats.mannwhitneyu(x, y).statistic
    np.testing.assert_allclose(entry["pairwise"]["auc"][0, 2], u / (len(x) * len(y)))


@pytest.mark.parametrize("n_groups", [2, 3, 9, 10, 11, 40, 41])
def test_medians_of_many_groups(n_groups):
    """Few are sorted, many are selected from; some are equal, and some infinite."""
    rng = np.random.default_rng(n_groups)
    labels = np.repeat(np.arange(n_groups), 3)
    values = np.stack([rng.normal(size=labels.size), labels % 4, rng.integers(0, 3, labels.size)], axis=1)
    scores, entry = _scores(_object(values.astype(np.float64), labels), pairwise=True)
    for effect in EFFECTS:
        expected = plain_summaries(entry["pairwise"][effect])
        for summary in ("min", "mean", "median", "max"):
            np.testing.assert_allclose(scores[f"{effect}_{summary}"], expected[summary], rtol=1e-12, err_msg=summary)


def test_categories_in_their_own_order():
    labels = pd.Categorical(_labels(), categories=["c", "unused", "d", "a", "b"])
    _, entry = _scores(_object(_values("logs"), labels))
    assert list(entry["groups"]) == ["c", "d", "a", "b"]


def test_what_is_told(messages):
    values, labels = _values("counts"), _labels().astype(object)
    labels[:2] = "few"
    blocks = np.where(labels == "c", "x", np.where(labels == "d", "y", np.resize(["x", "y"], 90)))
    adata = _object(values, labels, block=blocks)
    sc.settings.verbosity = 2
    scpdex.tl.score_markers(adata, "group", min_cells=3, strata="block")
    told = messages()
    assert "scoring markers of 4 groups of 'group', against each of the 3 others within 'block'" in told
    assert "groups 'few' have fewer than min_cells=3 cells, and are neither scored nor compared with" in told
    assert "groups 'c' and 'd' share no value of 'block': they have no effect" in told
    scpdex.tl.score_markers(adata, "group", groups=["a"], strata="block")
    told = messages()
    assert "scoring markers of group 'a' of 'group', against each of the 4 others" in told
    assert "share no value" not in told


def test_groups_without_strata(messages):
    blocks = np.resize(np.array(["x", "y"], dtype=object), 90)
    labels = _labels()
    blocks[labels == "d"] = None
    adata = _object(_values("counts"), labels, block=blocks)
    sc.settings.verbosity = 2
    scpdex.tl.score_markers(adata, "group", strata="block")
    told = messages()
    assert "groups 'd' have no cell with a value of 'block', and are neither scored nor compared with" in told
    assert "cells have no value of 'block' and take no part" in told
    assert list(adata.uns[KEY]["groups"]) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="groups 'd' of 'group' have no cell with a stratum"):
        scpdex.tl.score_markers(adata, "group", strata="block", groups=["d"])


@pytest.mark.parametrize("key", ["a/b", "", "x" * 240])
def test_keys_that_files_refuse(messages, key):
    adata = _object(_values("counts"), _labels())
    scpdex.tl.score_markers(adata, "group", key_added=key)
    assert f"cannot hold the entries that key_added={key!r} names" in messages()
    assert list(adata.uns) == [key]


def test_names_of_groups_that_files_refuse(messages):
    labels = np.array([{"a": "T\0"}.get(name, name) for name in _labels()], dtype=object)
    scpdex.tl.score_markers(_object(_values("counts"), labels), "group")
    assert "cannot hold the names of groups" in messages()
    labels = np.array([{"a": "T/NK"}.get(name, name) for name in _labels()], dtype=object)
    scpdex.tl.score_markers(_object(_values("counts"), labels), "group")
    assert not messages()
