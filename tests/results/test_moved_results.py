"""Results that are moved between uns and varm: bit for bit, a slice of groups at a time, and whole or not at all."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from oracles import KEY, assert_same_bits
from ranked import ranked

import scpdex
from scpdex.get import rank_genes_df

N_GENES, N_GROUPS = 1_500, 800
# Code that runs for the first time, records' data types with a field for each group, and other threads.
SLACK = 3e6


def made_up(n_genes: int, n_groups: int, n_ranks: int | None = None) -> ad.AnnData:
    """A result in varm with ties and NaN, made up; genes beyond ``n_ranks`` have neither rank nor numbers."""
    rng = np.random.default_rng(0)
    adata = ad.AnnData(np.zeros((2, n_genes), dtype=np.float32))
    scores = rng.integers(-20, 20, (n_genes, n_groups)).astype(np.float32)
    ranks = np.argsort(np.argsort(-scores, axis=0, kind="stable"), axis=0).astype(np.int32)
    pvals = rng.random(scores.shape)
    pvals[rng.random(scores.shape) < 0.1] = np.nan
    # Genes that a filter left out have a rank and no numbers.
    scores[5], pvals[5] = np.nan, np.nan
    matrices = {"ranks": ranks, "scores": scores, "logfoldchanges": np.float32(2) * scores, "pvals": pvals}
    matrices["pvals_adj"] = np.sqrt(pvals)
    if n_ranks is not None:
        is_left_out = ranks >= n_ranks
        for name, matrix in matrices.items():
            matrix[is_left_out] = -1 if name == "ranks" else np.nan
    for name, matrix in matrices.items():
        adata.varm[f"{KEY}_{name}"] = matrix
    adata.uns[KEY] = {
        "params": {"storage": "varm", "method": "wilcoxon", "reference": "rest"},
        "groups": np.array([f"group {i}" for i in range(n_groups)], dtype=object),
        "fields": np.array(list(matrices), dtype=object),
    }
    return adata


def bytes_of_slice(n_threads: int = 2) -> int:
    """What threads hold of 16 groups each: 100 bytes a gene and group."""
    return n_threads * 16 * N_GENES * 100


def traced_peak(work: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def _two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scpdex.machine.resources.joblib.cpu_count", lambda: 2)


@pytest.mark.usefixtures("_two_threads")
def test_moving_holds_a_slice() -> None:
    """Beside the old result and the new one: no order, and no names, of all groups and genes."""
    scpdex.tl.rank_genes_to_uns(made_up(40, 20))
    scpdex.tl.rank_genes_to_varm(ranked(pts=False))
    adata = made_up(N_GENES, N_GROUPS)
    n_pairs = N_GENES * N_GROUPS
    to_uns = traced_peak(lambda: scpdex.tl.rank_genes_to_uns(adata))
    assert to_uns - (8 + 24) * n_pairs < bytes_of_slice() + SLACK
    to_varm = traced_peak(lambda: scpdex.tl.rank_genes_to_varm(adata))
    assert to_varm - (4 + 24) * n_pairs < bytes_of_slice() + SLACK


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_a_table_of_one_group_holds_no_others(storage: str) -> None:
    """Fractions too, which are read as stored."""
    adata = made_up(N_GENES, N_GROUPS)
    entry = adata.uns[KEY]
    for name in ("pts", "pts_rest"):
        adata.varm[f"{KEY}_{name}"] = np.random.default_rng(1).random((N_GENES, N_GROUPS))
        entry[f"{name}_groups"] = entry["groups"]
    entry["fields"] = np.append(entry["fields"], ["pts", "pts_rest"])
    expected = rank_genes_df(adata)
    if storage == "uns":
        scpdex.tl.rank_genes_to_uns(adata)
    rank_genes_df(adata, "group 3")
    tables: list[pd.DataFrame] = []
    peak = traced_peak(lambda: tables.append(rank_genes_df(adata, "group 7")))
    assert peak < SLACK
    chosen = expected[expected["group"] == "group 7"].drop(columns="group").reset_index(drop=True)
    pd.testing.assert_frame_equal(tables[0].drop(columns="group"), chosen, check_exact=True)


@pytest.mark.parametrize("n_ranks", [None, 1, 7])
@pytest.mark.parametrize("n_groups", [1, 15, 16, 17, 50])
def test_there_and_back(n_groups: int, n_ranks: int | None) -> None:
    """Slices of any width, ties, NaN, genes without numbers, and the first genes only: bit for bit."""
    adata = made_up(30, n_groups, n_ranks)
    matrices = {name: matrix.copy() for name, matrix in adata.varm.items()}
    scpdex.tl.rank_genes_to_uns(adata, key_added="records")
    entry = adata.uns["records"]
    assert entry["names"].size == (n_ranks or 30)
    scpdex.tl.rank_genes_to_varm(adata, key="records", key_added="back")
    for name, matrix in matrices.items():
        np.testing.assert_array_equal(adata.varm[name], matrix, strict=True)
        np.testing.assert_array_equal(adata.varm[name.replace(KEY, "back")], matrix, strict=True)
    scpdex.tl.rank_genes_to_uns(adata, key="back")
    assert_same_bits(adata.uns["back"], entry)
    pd.testing.assert_frame_equal(rank_genes_df(adata, key="back"), rank_genes_df(adata), check_exact=True)


@pytest.mark.parametrize("arguments", [{}, {"reference": "b"}, {"n_genes": 5}, {"min_pct": 0.5}, {"extras": ["u"]}])
def test_of_a_ranking_there_and_back(arguments: dict[str, Any]) -> None:
    """Row 38: results of all kinds, with fractions."""
    for storage, there, back in (
        ("uns", scpdex.tl.rank_genes_to_varm, scpdex.tl.rank_genes_to_uns),
        ("varm", scpdex.tl.rank_genes_to_uns, scpdex.tl.rank_genes_to_varm),
    ):
        adata, expected = ranked(storage, **arguments), ranked(storage, **arguments)
        there(adata)
        back(adata)
        assert adata.varm.keys() == expected.varm.keys()
        for name, matrix in expected.varm.items():
            np.testing.assert_array_equal(adata.varm[name], matrix, strict=True)
        if storage == "uns":
            assert_same_bits(adata.uns[KEY], expected.uns[KEY])


def test_chosen_groups_in_any_order() -> None:
    """Columns that are not neighbours."""
    adata = made_up(30, 50)
    scpdex.tl.rank_genes_to_uns(adata, key_added="all")
    chosen = [f"group {i}" for i in (49, 3, 4, 20, *range(30, 48))]
    scpdex.tl.rank_genes_to_uns(adata, groups=chosen, key_added="some")
    assert list(adata.uns["some"]["names"].dtype.names) == chosen
    for field in ("names", "scores", "pvals"):
        for group in chosen:
            np.testing.assert_array_equal(adata.uns["some"][field][group], adata.uns["all"][field][group])


def test_arrays_of_other_types() -> None:
    """Files and converters change the order of bytes and of dimensions, and make ranks floats."""
    adata = made_up(30, 20, 9)
    expected = rank_genes_df(adata)
    other = adata.copy()
    other.varm[f"{KEY}_ranks"] = np.where(other.varm[f"{KEY}_ranks"] < 0, np.nan, other.varm[f"{KEY}_ranks"])
    other.varm[f"{KEY}_scores"] = np.asfortranarray(other.varm[f"{KEY}_scores"])
    other.varm[f"{KEY}_pvals"] = other.varm[f"{KEY}_pvals"].astype(">f8")
    pd.testing.assert_frame_equal(rank_genes_df(other), expected, check_exact=True)
    scpdex.tl.rank_genes_to_uns(other)
    pd.testing.assert_frame_equal(rank_genes_df(other), expected, check_exact=True)


def test_a_view_of_some_genes() -> None:
    """The view becomes an object of its own; its parent keeps what it has."""
    adata = made_up(30, 20)
    part = adata[:, ::-2]
    expected = rank_genes_df(part.copy())
    scpdex.tl.rank_genes_to_uns(part)
    pd.testing.assert_frame_equal(rank_genes_df(part), expected, check_exact=True)
    assert f"{KEY}_scores" in adata.varm
    assert "names" not in adata.uns[KEY]


def test_what_stays_shares_nothing() -> None:
    """Fractions of the new result are those of the old one, as a copy."""
    adata = ranked("varm")
    scpdex.tl.rank_genes_to_uns(adata, key_added="records")
    before = adata.varm[f"{KEY}_pts"].copy()
    adata.uns["records"]["pts"].iloc[:] = 0
    np.testing.assert_array_equal(adata.varm[f"{KEY}_pts"], before)


def _state(adata: ad.AnnData) -> list[Any]:
    return [{**adata.uns}, {**adata.varm}]


def _same_objects(a: list[Any], b: list[Any]) -> bool:
    return all(x.keys() == y.keys() and all(x[key] is y[key] for key in x) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_too_little_memory(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before anything is allocated, with the bytes and what to do; the object stays as it was."""
    adata = made_up(N_GENES, N_GROUPS)
    move, way_out = scpdex.tl.rank_genes_to_uns, "convert some of its groups"
    if storage == "uns":
        move(adata)
        move, way_out = scpdex.tl.rank_genes_to_varm, "rank again with storage='varm'"
    before = _state(adata)
    monkeypatch.setattr("scpdex.machine.default_budget.available_memory", lambda _: 50_000_000)

    def refused() -> None:
        with pytest.raises(MemoryError, match=rf"needs [\d.]+ MB more .* may take 25 MB, half .*{way_out}"):
            move(adata)

    assert traced_peak(refused) < SLACK
    assert _same_objects(before, _state(adata))
    monkeypatch.setattr("scpdex.machine.default_budget.available_memory", lambda _: 500_000_000)
    move(adata)


@pytest.mark.parametrize("storage", ["uns", "varm"])
@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_failure_within_a_slice(storage: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    """The object stays as it was, and the next call works."""
    adata = made_up(30, 50)
    move, kernel = scpdex.tl.rank_genes_to_uns, "_ranked_result.write_ordered_columns"
    if storage == "uns":
        move(adata)
        move, kernel = scpdex.tl.rank_genes_to_varm, "_ranked_result.write_columns"
    before = _state(adata)

    def fail(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"scpdex.results.{kernel}", fail)
        with pytest.raises(error):
            move(adata)
    assert _same_objects(before, _state(adata))
    move(adata)


def test_names_without_a_row() -> None:
    """All are named, in the order of the groups, wherever their slices are; the object stays as it was."""
    adata = made_up(30, 50)
    scpdex.tl.rank_genes_to_uns(adata)
    names = adata.uns[KEY]["names"]
    names["group 40"][0], names["group 2"][3] = "late", "early"
    before = _state(adata)
    with pytest.raises(ValueError, match="genes 'early', 'late' are absent there, or repeated"):
        scpdex.tl.rank_genes_to_varm(adata)
    names["group 2"][3], names["group 40"][0] = names["group 2"][4], names["group 40"][1]
    with pytest.raises(ValueError, match=f"genes '{names['group 2'][4]}', '{names['group 40'][1]}' are absent"):
        scpdex.tl.rank_genes_to_varm(adata)
    names["group 2"][3], names["group 40"][0] = np.nan, np.nan
    with pytest.raises(ValueError, match="was filtered and lacks genes"):
        scpdex.tl.rank_genes_to_varm(adata)
    assert _same_objects(before, _state(adata))


def test_groups_of_different_lengths() -> None:
    """They cannot be records, also where another slice has the longest."""
    adata = made_up(30, 50)
    adata.varm[f"{KEY}_ranks"][3, 45] = -1
    before = _state(adata)
    with pytest.raises(ValueError, match="have different numbers of genes"):
        scpdex.tl.rank_genes_to_uns(adata)
    assert _same_objects(before, _state(adata))
    assert rank_genes_df(adata).groupby("group", observed=True).size().eq(30).sum() == 49
