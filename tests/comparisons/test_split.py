"""split_by: the same comparison inside every level of a column, against scanpy and scpdex on each subset."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from oracles import SCANPY_TESTS, assert_same_bits, assert_same_numbers, by_scanpy
from storages import STORAGES
from stored import FORMS, assert_same_tests, budget_for, in_chunks, labelled, on_disk, values_of, without_slack

import scpdex
from scpdex.results import read_steps

KEY = "rank_genes_groups"
LEVELS = ["x", "y", "z"]


def with_levels(matrix: object) -> ad.AnnData:
    """Cells of groups a to e in levels x, y and z, some without a level."""
    adata = labelled(matrix)
    rng = np.random.default_rng(1)
    adata.obs["level"] = pd.Categorical(rng.choice([*LEVELS, None], adata.n_obs, p=[0.4, 0.3, 0.2, 0.1]))
    return adata


def split(adata: ad.AnnData, **arguments: object) -> dict[str, dict]:
    """Rank by level, and take the results out of the object again."""
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", key_added="k", **arguments)
    entry = adata.uns.pop("k")
    return {level: adata.uns.pop(f"k_{level}") for level in entry["splits"]}


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", SCANPY_TESTS)
def test_each_level_is_what_scanpy_gives_of_it(method, reference):
    adata = with_levels(values_of("float32"))
    found = split(adata, method=method, reference=reference, pts=True)
    assert list(found) == LEVELS
    for level, result in found.items():
        subset = adata[(adata.obs["level"] == level).to_numpy()].copy()
        assert_same_numbers(result, by_scanpy(subset, "group", method=method, reference=reference, pts=True))
        assert result["params"]["split_by"] == "level"
        assert result["params"]["split"] == level


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", ["wilcoxon", "t-test", "t-test_overestim_var", "anderson", "brunner-munzel"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_each_level_is_what_scpdex_gives_of_it(dtype, method, reference):
    """Bit for bit, in every storage."""
    values = values_of(dtype)
    arguments = {"method": method, "reference": reference, "pts": True, "mean_in_log_space": False}
    alone = with_levels(values)
    expected = {}
    for level in LEVELS:
        subset = alone[(alone.obs["level"] == level).to_numpy()].copy()
        scpdex.tl.rank_genes_parallel(subset, "group", **arguments)
        expected[level] = subset.uns[KEY]
    for storage in STORAGES.values():
        found = split(with_levels(storage(values)), n_jobs=2, **arguments)
        for level in LEVELS:
            assert_same_bits(found[level], expected[level])


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", ["wilcoxon", "t-test", "anderson", "brunner-munzel"])
def test_levels_of_fewer_groups(method, reference):
    """Each level is ranked in scratch that is sized for the level with most groups."""
    adata = with_levels(values_of("float32"))
    labels = adata.obs["group"].astype(object).to_numpy().copy()
    labels[(adata.obs["level"] == "y").to_numpy() & np.isin(labels, ["c", "d", "e"])] = "a"
    adata.obs["group"] = pd.Categorical(labels)
    arguments = {"method": method, "reference": reference, "tie_correct": method == "wilcoxon"}
    for level, result in split(adata, **arguments).items():
        subset = adata[(adata.obs["level"] == level).to_numpy()].copy()
        scpdex.tl.rank_genes_parallel(subset, "group", **arguments)
        assert_same_bits(result, subset.uns[KEY])


@pytest.mark.parametrize("form", ["CSR", "CSC", "dense"])
@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_on_disk(tmp_path, monkeypatch, dtype, method, form):
    without_slack(monkeypatch)
    adata = with_levels(FORMS[form](values_of(dtype, n_cells=2_000)))
    arguments = {"method": method, "reference": "b", "pts": True}
    expected = split(adata, **arguments)
    stored = on_disk(adata, tmp_path, "h5ad")
    strategy = "column blocks" if form != "CSR" else "row passes" if method == "t-test" else "row buckets"
    budget = budget_for(stored, strategy, split_by="level", **arguments)
    found = split(stored, max_memory=budget, **arguments)
    for level in LEVELS:
        assert_same_bits(found[level], expected[level])


@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_dask(monkeypatch, dtype, method):
    adata = with_levels(values_of(dtype))
    arguments = {"method": method, "split_by": "level", "reference": "b"}
    if method == "t-test":
        assert_same_tests(monkeypatch, in_chunks(adata, 70, 30), adata, **arguments)
        return
    found = split(in_chunks(adata, 70, 30), method=method, reference="b")
    expected = split(adata, method=method, reference="b")
    for level in LEVELS:
        assert_same_bits(found[level], expected[level])


def test_levels_and_groups_that_are_too_small(messages):
    """A level in which a group has one cell is left out; with min_cells only that group is."""
    adata = with_levels(values_of("float32"))
    where = adata.obs["level"].to_numpy() == "y"
    labels = adata.obs["group"].astype(object).to_numpy().copy()
    labels[where & (labels == "c")] = "a"
    labels[np.flatnonzero(where)[0]] = "c"
    lone = adata.obs["level"].astype(object).to_numpy().copy()
    lone[np.flatnonzero(labels == "d")[:4]] = "only d"
    adata.obs["group"], adata.obs["level"] = pd.Categorical(labels), pd.Categorical(lone)
    found = split(adata, method="wilcoxon")
    assert list(found) == ["x", "z"]
    told = messages()
    assert "levels of 'level' are left out. 'only d': all cells are of 'd'. 'y': 1 cell of 'c' (min_cells=2 " in told
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", method="wilcoxon", min_cells=2)
    told = messages()
    assert "groups 'c in y' are not tested: they have fewer than min_cells=2 cells" in told
    entry = adata.uns[KEY]
    assert entry["splits"].tolist() == LEVELS
    assert entry["params"]["skipped_splits"].tolist() == ["only d"]
    assert adata.uns[f"{KEY}_y"]["params"]["skipped"].tolist() == ["c"]
    assert adata.uns[f"{KEY}_y"]["names"].dtype.names == ("a", "b", "d", "e")
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", reference="a", groups=["e", "c"], min_cells=2)
    assert entry["groups"].tolist() == [*"abcde"]
    assert adata.uns[KEY]["groups"].tolist() == ["e", "c"]


def test_no_level_can_be_compared():
    adata = with_levels(values_of("float32"))
    adata.obs["level"] = adata.obs["group"]
    adata.obs["other"] = adata.obs["group"].astype(object).map(lambda label: f"level {label}")
    with pytest.raises(
        ValueError, match=r"no level of split_by='other' can be compared. 'level a': all cells are of 'a'"
    ):
        scpdex.tl.rank_genes_parallel(adata, "group", split_by="other")
    with pytest.raises(ValueError, match="split_by='group' is groupby too"):
        scpdex.tl.rank_genes_parallel(adata, "group", split_by="group")
    with pytest.raises(KeyError, match="split_by='levels' names no column of adata"):
        scpdex.tl.rank_genes_parallel(adata, "group", split_by="levels")
    with pytest.raises(TypeError, match=r"split_by=.* is not the name of a column of adata\.obs: pass a string"):
        scpdex.tl.rank_genes_parallel(adata, "group", split_by=["level"])
    assert KEY not in adata.uns


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_one_long_table(storage):
    adata = with_levels(values_of("float32"))
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", method="wilcoxon", pts=True, storage=storage)
    table = scpdex.get.rank_genes_df(adata)
    assert list(table["split"].cat.categories) == LEVELS
    assert list(table["group"].cat.categories) == [*"abcde"]
    for level in LEVELS:
        of_level = table[table["split"] == level].drop(columns="split").reset_index(drop=True)
        pd.testing.assert_frame_equal(of_level, scpdex.get.rank_genes_df(adata, key=f"{KEY}_{level}"))
    best = scpdex.get.rank_genes_df(adata, ["c", "a"], top_n=1)
    assert best["group"].astype(str).tolist() == ["c", "a"] * 3
    assert len(best) == 6
    with pytest.raises(ValueError, match="group 'q' is not in"):
        scpdex.get.rank_genes_df(adata, "q")


def test_long_table_of_polars():
    adata = with_levels(values_of("float32"))
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", method="wilcoxon", min_cells=2)
    table, expected = (scpdex.get.rank_genes_df(adata, backend=backend) for backend in ("polars", "pandas"))
    assert table.columns == list(expected.columns)
    for name in table.columns:
        ours, theirs = np.array(table[name].to_list()), expected[name].to_numpy()
        if theirs.dtype.kind == "f":
            np.testing.assert_array_equal(ours.astype(theirs.dtype), theirs)
        else:
            assert ours.tolist() == list(theirs)
    assert table["split"].dtype.categories.to_list() == LEVELS


@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_forms_and_files(tmp_path, store):
    """All levels move between the two forms at once, and through files."""
    adata = with_levels(values_of("float32"))
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", method="wilcoxon", min_cells=2)
    expected = {level: adata.uns[f"{KEY}_{level}"] for level in LEVELS}
    scpdex.tl.rank_genes_to_varm(adata, key_added="m")
    assert adata.uns["m"]["splits"].tolist() == LEVELS
    assert "m_x_scores" in adata.varm
    path = tmp_path / f"x.{store}"
    getattr(adata, f"write_{store}")(path)
    back = getattr(ad, f"read_{store}")(path)
    assert back.uns[KEY]["splits"].tolist() == LEVELS
    scpdex.tl.rank_genes_to_uns(back, key="m")
    for level in LEVELS:
        assert_same_bits(back.uns[f"m_{level}"], expected[level])
    with pytest.raises(ValueError, match="groups= is for one result"):
        scpdex.tl.rank_genes_to_uns(back, key="m", groups=["a"], key_added="n")


def test_plots_of_a_level():
    adata = with_levels(values_of("float32"))
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", method="wilcoxon")
    sc.pl.rank_genes_groups(adata, key=f"{KEY}_x", show=False)
    sc.pl.rank_genes_groups_dotplot(adata, key=f"{KEY}_y", groupby="group", n_genes=2, show=False, dendrogram=False)
    with pytest.raises(KeyError, match=f"It lists those of levels: '{KEY}_x', '{KEY}_y', '{KEY}_z'"):
        read_steps(adata, KEY, ())


def test_results_of_levels_replace_nothing_else():
    """Levels of an earlier call go; what is no result of a level stays, and is an error before work begins."""
    adata = with_levels(values_of("float32"))
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", storage="varm")
    adata.obs["level"] = adata.obs["level"].cat.remove_categories("z")
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", method="wilcoxon")
    assert set(adata.uns) == {KEY, f"{KEY}_x", f"{KEY}_y"}
    assert not adata.varm.keys()
    scpdex.tl.rank_genes_parallel(adata, "group")
    assert set(adata.uns) == {KEY}
    sc.tl.filter_rank_genes_groups(adata, use_raw=False)
    adata.obs["level"] = adata.obs["level"].cat.rename_categories({"x": "filtered"})
    before = adata.uns[f"{KEY}_filtered"]
    with pytest.raises(ValueError, match=f"The result of level 'filtered' would replace adata.uns.'{KEY}_filtered'."):
        scpdex.tl.rank_genes_parallel(adata, "group", split_by="level")
    assert adata.uns[f"{KEY}_filtered"] is before


def test_matrices_of_levels_do_not_meet():
    adata = with_levels(values_of("float32"))
    adata.obs["level"] = adata.obs["level"].cat.rename_categories({"y": "x_log10"})
    arguments = {"split_by": "level", "method": "wilcoxon", "extras": (name for name in ["log10_pvals"])}
    with pytest.raises(ValueError, match=r"level 'x_log10' and one of level 'x' would both be called .*_x_log10_pvals"):
        scpdex.tl.rank_genes_parallel(adata, "group", storage="varm", **arguments)
    assert not adata.uns


def test_hundreds_of_levels_are_told_in_short():
    adata = with_levels(values_of("float32"))
    adata.obs["level"] = np.arange(adata.n_obs) / 7
    with pytest.raises(ValueError, match=r"and \d+ more: reference 'a' has 0 cells") as refused:
        scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", reference="a")
    assert len(str(refused.value)) < 3_000


def test_levels_that_files_cannot_hold(messages):
    adata = with_levels(values_of("float32"))
    adata.obs["level"] = adata.obs["level"].cat.rename_categories({"x": "T/NK"})
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level")
    assert "cannot hold the entries of `uns` that levels 'T/NK' name" in messages()


def test_on_target_of_each_level():
    adata = with_levels(values_of("float32"))
    adata.obs["target"] = adata.obs["group"].astype(object).map({"a": "gene0", "b": "gene3", "c": "gene5"})
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", reference="e", method="wilcoxon")
    table = scpdex.get.rank_genes_df(adata, on_target="target")
    assert len(table) == 3 * 4
    for level in LEVELS:
        of_level = table[table["split"] == level].drop(columns="split").reset_index(drop=True)
        alone = scpdex.get.rank_genes_df(adata, on_target="target", key=f"{KEY}_{level}")
        pd.testing.assert_frame_equal(of_level, alone, check_categorical=False)


def test_messages_of_the_call(messages):
    adata = with_levels(values_of("float32"))
    sc.settings.verbosity = 2
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", method="wilcoxon")
    assert (
        "ranking genes of 5 groups of 'group' against the rest by wilcoxon in each of 3 levels of 'level'" in messages()
    )


def test_on_target_of_a_level_without_targets():
    """All names of that level are missing, which polars must be told are names."""
    adata = with_levels(values_of("float32"))
    labels = adata.obs["group"].astype(object).where(adata.obs["level"] != "x", "e")
    labels.iloc[np.flatnonzero(adata.obs["level"] == "x")[::2]] = "b"
    adata.obs["group"] = pd.Categorical(labels)
    adata.obs["target"] = labels.map({"a": "gene0", "c": "gene5"})
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", reference="e", method="wilcoxon")
    pytest.importorskip("polars")
    table = scpdex.get.rank_genes_df(adata, on_target="target", backend="polars")
    expected = scpdex.get.rank_genes_df(adata, on_target="target")
    assert table["names"].is_null().to_list() == expected["names"].isna().to_list()
    assert table["names"].drop_nulls().to_list() == expected["names"].dropna().tolist()
