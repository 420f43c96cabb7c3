"""Results in a Parquet file: the rows of the table, what is read of them, and what is refused."""

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import KEY
from pandas.testing import assert_frame_equal
from ranked import GROUPBY
from stored import FORMS, labelled, values_of

import scpdex
from scpdex.get import rank_genes_df
from scpdex.results import _long_rows, _parquet_result, _parquet_rows

parquet = pytest.importorskip("pyarrow.parquet")

CALLS: dict[str, dict[str, Any]] = {
    "t-test": {},
    "rest": {"method": "wilcoxon", "pts": True, "extras": ["auc", "means", "log10_pvals", "u"]},
    "reference": {"method": "wilcoxon", "pts": True, "reference": "Dendritic", "tie_correct": True},
    "first genes": {"method": "wilcoxon", "n_genes": 20, "pts": True},
    "filters": {"method": "wilcoxon", "min_pct": 0.2, "min_logfc": 0.5, "pts": True},
    "filters and first genes": {"method": "t-test", "min_pct": 0.5, "n_genes": 50},
    "levels": {"method": "wilcoxon", "split_by": "phase", "pts": True},
    "levels against a reference": {"split_by": "phase", "reference": "Dendritic", "min_cells": 2},
    "strata": {"method": "wilcoxon", "strata": "phase"},
    "absolute scores": {"method": "wilcoxon", "rankby_abs": True, "corr_scope": "all"},
    "anderson": {"method": "anderson", "groups": ["CD34+", "CD19+ B"]},
    "intervals": {"method": "brunner-munzel", "min_effect": 0.1, "extras": ["auc_se", "auc_low"], "confidence": 0.9},
    "logistic regression": {"method": "logreg"},
}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "ranked.parquet"


def _rank(adata: ad.AnnData, storage: Any = "uns", **arguments: Any) -> ad.AnnData:
    groupby = arguments.pop("groupby", GROUPBY)
    scpdex.tl.rank_genes_parallel(adata, groupby, storage=storage, **arguments)
    return adata


@pytest.mark.parametrize("call", CALLS)
def test_the_table_is_that_of_uns(pbmc, path, call):
    """To the last bit: through the object, by the path, and as any reader of Parquet files sees it."""
    expected = _rank(pbmc.copy(), **CALLS[call])
    found = _rank(pbmc.copy(), path, **CALLS[call])
    requests: list[dict[str, Any]] = [{}, {"order": "gene"}, {"top_n": 3}, {"group": ["CD34+", "CD19+ B"]}]
    if call != "logistic regression":
        requests.append({"pval_cutoff": 0.05, "log2fc_min": 0.5})
        requests.append({"log2fc_max": 0, "group": "CD19+ B", "columns": ["pvals", "names"]})
    for request in requests:
        table = rank_genes_df(expected, **request)
        assert_frame_equal(rank_genes_df(found, **request), table)
        assert_frame_equal(rank_genes_df(path, **request), table)
    assert_frame_equal(pd.read_parquet(path), rank_genes_df(expected))
    assert str(scpdex.results.read_params(found.uns[KEY])) == str(scpdex.results.read_params(expected.uns[KEY]))


@pytest.mark.parametrize("call", CALLS)
def test_scanpys_layout_is_made_of_it(pbmc, path, call):
    """What ranking with ``storage="uns"`` makes, but for fractions of genes that have no row."""
    expected = _rank(pbmc.copy(), **CALLS[call])
    found = _rank(pbmc.copy(), path, **CALLS[call])
    scpdex.tl.rank_genes_to_uns(found)
    assert found.uns.keys() == expected.uns.keys()
    for key in [key for key in expected.uns if key.startswith(KEY)]:
        assert found.uns[key].keys() == expected.uns[key].keys()
        for field, value in expected.uns[key].items():
            other = found.uns[key][field]
            if isinstance(value, pd.DataFrame):
                known = other[value.columns]
                in_rows = value.loc[known.index].where(known.notna())
                assert_frame_equal(known, in_rows)
                assert known.notna().to_numpy().any()
            elif isinstance(value, np.ndarray) and value.dtype.names:
                assert other.dtype == value.dtype
                assert all(
                    np.array_equal(other[name], value[name], equal_nan=field != "names") for name in value.dtype.names
                )
            else:
                assert str(other) == str(value)
    assert_frame_equal(rank_genes_df(found), rank_genes_df(expected))


@settings(max_examples=25, deadline=None)
@given(
    form=st.sampled_from(sorted(FORMS)),
    max_memory=st.sampled_from(["12MB", "20MB", "1GB"]),
    n_jobs=st.integers(1, 4),
    low_memory=st.booleans(),
    rows=st.integers(1, 200),
    copies=st.integers(1, 3),
    pts=st.booleans(),
)
def test_rows_do_not_depend_on_how_they_were_written(
    tmp_path_factory, form, max_memory, n_jobs, low_memory, rows, copies, pts
):
    """Any number of rows written together, any budget and storage; genes may share a name."""
    path = tmp_path_factory.mktemp("rows") / "x.parquet"
    adata = labelled(FORMS[form](values_of("float32")))
    adata.var_names = [f"gene {g // copies}" for g in range(adata.n_vars)]
    arguments = {"method": "wilcoxon", "groupby": "group", "pts": pts}
    expected = rank_genes_df(_rank(adata.copy(), **(arguments | {"pts": False})))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_long_rows, "rows_per_row_group", lambda *_: rows)
        patch.setattr(_parquet_result, "_ROWS_PER_STEP", rows)
        limits = {"max_memory": max_memory, "n_jobs": n_jobs, "low_memory": low_memory or None}
        found = _rank(adata.copy(), path, **arguments, **limits)
        assert_frame_equal(rank_genes_df(found)[expected.columns], expected)
        assert_frame_equal(rank_genes_df(path)[expected.columns], expected)
    fractions = rank_genes_df(found)
    if pts and copies == 1:
        assert_frame_equal(fractions, rank_genes_df(_rank(adata.copy(), **arguments)))


def test_only_what_is_asked_for_is_read(pbmc, path, monkeypatch):
    monkeypatch.setattr(_long_rows, "rows_per_row_group", lambda *_: 765)
    _rank(pbmc, path, method="wilcoxon", use_raw=False, pts=True)
    read = []
    original = parquet.ParquetFile.read_row_group

    def read_row_group(file: Any, i: int, columns: list[str]) -> Any:
        read.append((i, set(columns)))
        return original(file, i, columns=columns)

    monkeypatch.setattr(parquet.ParquetFile, "read_row_group", read_row_group)
    names = pbmc.obs[GROUPBY].cat.categories
    table = rank_genes_df(path, group=[names[7], names[2]], columns=["names", "scores"])
    assert list(table) == ["names", "scores"]
    assert [i for i, _ in read] == [2, 7]
    assert all(columns == {"group", "names", "scores", "pvals"} for _, columns in read)


def test_targets_and_symbols(pbmc, path):
    """By the object, whose obs and var have them; a file alone has neither."""
    adata = pbmc.raw.to_adata()
    adata.obs["target"] = adata.obs[GROUPBY].cat.rename_categories(lambda name: f"symbol {len(name)}").astype(str)
    adata.var["symbol"] = [f"symbol {g}" for g in range(adata.n_vars)]
    for request in ({"on_target": "target", "gene_symbols": "symbol"}, {"gene_symbols": "symbol", "top_n": 2}):
        expected = rank_genes_df(_rank(adata.copy(), method="wilcoxon", pts=True), **request)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_parquet_result, "_ROWS_PER_STEP", 1)
            assert_frame_equal(
                rank_genes_df(_rank(adata.copy(), path, method="wilcoxon", pts=True), **request), expected
            )
    for name in ("on_target", "gene_symbols"):
        with pytest.raises(ValueError, match=f"{name}='symbol' names a column of an AnnData, and a file has none"):
            rank_genes_df(path, **{name: "symbol"})


def test_raw_is_ranked(pbmc, path):
    """Its genes have rows, and the symbols of raw.var."""
    pbmc.raw.var["symbol"] = pbmc.raw.var_names.str.lower()
    expected = rank_genes_df(_rank(pbmc.copy(), use_raw=True), gene_symbols="symbol", top_n=4)
    found = _rank(pbmc.copy(), path, use_raw=True)
    assert_frame_equal(rank_genes_df(found, gene_symbols="symbol", top_n=4), expected)


def test_one_level(pbmc, path):
    for storage in ("uns", path):
        _rank(pbmc, storage, split_by="phase", method="wilcoxon")
        table = rank_genes_df(pbmc, key=f"{KEY}_G1")
        if storage == "uns":
            expected = table
    assert_frame_equal(table, expected)
    assert pbmc.uns[KEY]["path"] == str(path)


def test_some_groups_for_scanpys_plots(pbmc, path):
    _rank(pbmc, path, method="wilcoxon", pts=True)
    with pytest.raises(ValueError, match="would replace the result of all groups"):
        scpdex.tl.rank_genes_to_uns(pbmc, groups=["CD34+"])
    scpdex.tl.rank_genes_to_uns(pbmc, groups=["CD34+", "CD19+ B"], key_added="some")
    expected = rank_genes_df(pbmc, ["CD34+", "CD19+ B"])
    assert_frame_equal(rank_genes_df(pbmc, key="some"), expected)
    frame = sc.get.rank_genes_groups_df(pbmc, "CD34+", key="some")
    assert frame["names"].tolist() == expected[expected["group"] == "CD34+"]["names"].tolist()
    with pytest.raises(ValueError, match="not in adata"):
        scpdex.tl.rank_genes_to_uns(pbmc, groups=["CD99"], key_added="some")
    with pytest.raises(ValueError, match="has its table in the file"):
        scpdex.tl.rank_genes_to_varm(pbmc)


def test_too_little_memory_for_scanpys_layout(pbmc, path, monkeypatch):
    _rank(pbmc, path)
    monkeypatch.setattr("scpdex.machine.resources.default_max_memory", lambda _: 100_000)
    with pytest.raises(MemoryError, match=r"needs .* more in scanpy's layout.*convert some of its groups"):
        scpdex.tl.rank_genes_to_uns(pbmc)
    assert "path" in pbmc.uns[KEY]


def test_a_file_outlives_the_object(pbmc, path, tmp_path):
    """The object is written and read back; the path stays, and a file that is gone is an error that names it."""
    expected = rank_genes_df(_rank(pbmc, path))
    pbmc.write_h5ad(tmp_path / "object.h5ad")
    again = ad.read_h5ad(tmp_path / "object.h5ad")
    assert_frame_equal(rank_genes_df(again), expected)
    path.rename(tmp_path / "moved.parquet")
    for call in (rank_genes_df, scpdex.tl.rank_genes_to_uns):
        with pytest.raises(FileNotFoundError, match=r"ranked\.parquet', which does not exist"):
            call(again)
    again.uns[KEY]["path"] = str(tmp_path / "moved.parquet")
    assert_frame_equal(rank_genes_df(again), expected)
    with pytest.raises(FileNotFoundError, match=r"no file .*ranked\.parquet"):
        rank_genes_df(path)


def test_a_relative_path(pbmc, tmp_path, monkeypatch):
    """uns has the absolute one."""
    monkeypatch.chdir(tmp_path)
    _rank(pbmc, "ranked.parquet")
    assert pbmc.uns[KEY]["path"] == str(tmp_path / "ranked.parquet")
    assert len(rank_genes_df("ranked.parquet"))


def test_what_is_replaced(pbmc, path):
    """An earlier result; nothing else, and that is refused before work begins."""
    _rank(pbmc, path)
    _rank(pbmc, path, method="wilcoxon")
    before = path.read_bytes()
    assert scpdex.results.ParquetResult.open(path).params(0)["method"] == "wilcoxon"
    pbmc.uns[KEY] = "as before"
    others = {
        "table": lambda file: pd.DataFrame({"a": [1]}).to_parquet(file),
        "text": lambda file: file.write_text("x"),
    }
    for name, write in others.items():
        other = path.with_name(f"{name}.parquet")
        write(other)
        content = other.read_bytes()
        with pytest.raises(ValueError, match=rf"{name}\.parquet' exists and is not a result of scpdex"):
            _rank(pbmc, other)
        assert other.read_bytes() == content
        with pytest.raises(ValueError, match=rf"{name}\.parquet' is not a result of scpdex"):
            rank_genes_df(other)
    path.with_name("folder.parquet").mkdir()
    with pytest.raises(ValueError, match=r"folder\.parquet' is a folder"):
        _rank(pbmc, path.with_name("folder.parquet"))
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        _rank(pbmc, path.parent / "nowhere" / "x.parquet")
    path.with_name("link.parquet").symlink_to(path.parent / "nowhere" / "x.parquet")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        _rank(pbmc, path.with_name("link.parquet"))
    with pytest.raises(NotADirectoryError, match="there is no folder"):
        _rank(pbmc, path / "x.parquet")
    assert pbmc.uns[KEY] == "as before"
    assert path.read_bytes() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_call_that_fails_leaves_the_old_file(pbmc, path, monkeypatch, error):
    _rank(pbmc, path)
    before, entry = path.read_bytes(), pbmc.uns[KEY]
    monkeypatch.setattr(_long_rows, "rows_per_row_group", lambda *_: 3000)
    written = []

    def write(*_: Any) -> None:
        written.append(_)
        if len(written) == 2:
            raise error

    monkeypatch.setattr(_parquet_rows.ParquetRows, "_write", write)
    with pytest.raises(type(error) if isinstance(error, OSError) else error):
        _rank(pbmc, path, method="wilcoxon")
    assert len(written) == 2
    assert path.read_bytes() == before
    assert pbmc.uns[KEY] is entry
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_was_changed(pbmc, path):
    """Rows that are not those that were written are refused, not read as others."""
    import pyarrow as pa

    _rank(pbmc, path, method="wilcoxon")
    table = parquet.read_table(path)
    kept = parquet.read_metadata(path).metadata
    for changed in (table.slice(10), table.sort_by("pvals"), pa.concat_tables([table, table])):
        parquet.write_table(changed.replace_schema_metadata(dict(changed.schema.metadata or {}) | dict(kept)), path)
        with pytest.raises(ValueError, match="has other rows than scpdex wrote"):
            rank_genes_df(path)


@pytest.mark.parametrize("other", [{"method": "wilcoxon"}, {"split_by": "phase"}, {"reference": "CD34+"}], ids=str)
def test_a_file_that_another_call_replaced(pbmc, path, other):
    """The first result is gone: its entry does not take the numbers of the other one for its own."""
    for first, second in (({}, other), (other, {})):
        _rank(pbmc, path, key_added="first", **first)
        _rank(pbmc, path, key_added="second", **second)
        assert len(rank_genes_df(pbmc, key="second"))
        for call in (rank_genes_df, scpdex.tl.rank_genes_to_uns):
            with pytest.raises(ValueError, match=r"the table of adata.uns\['first.*'\] was replaced"):
                call(pbmc, key="first")


def test_a_file_that_is_replaced_while_it_is_read(pbmc, path, monkeypatch):
    monkeypatch.setattr(_parquet_result, "_ROWS_PER_STEP", 1)
    _rank(pbmc, path)
    file = scpdex.results.ParquetResult.open(path)
    steps = file.read_steps(0, file.groups(0), file.fields)
    next(steps)
    _rank(pbmc, path, method="wilcoxon")
    with pytest.raises(ValueError, match="was replaced while it was read"):
        next(steps)


def test_levels_have_parts_of_the_file_of_their_own(pbmc, path, monkeypatch):
    """Each is read apart."""
    monkeypatch.setattr(_long_rows, "_LEAST_ROWS_OF_LEVEL", 1000)
    _rank(pbmc, path, split_by="phase", use_raw=False)
    result, metadata = scpdex.results.ParquetResult.open(path), parquet.read_metadata(path)
    n_rows = [765 * len(result.groups(level)) for level in range(2)]
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == n_rows


def test_without_pyarrow(pbmc, path, monkeypatch):
    _rank(pbmc, path)
    monkeypatch.setattr(_parquet_rows, "find_spec", lambda _: None)
    for call in (lambda: _rank(pbmc, path), lambda: rank_genes_df(path), lambda: rank_genes_df(pbmc)):
        with pytest.raises(ImportError, match=r"needs pyarrow, which is not installed: .*scpdex\[parquet\]"):
            call()


@pytest.mark.parametrize("name", ["groups", "genes"])
def test_names_that_are_no_text(path, name):
    """Refused before work begins, and before there is a file."""
    adata = labelled(values_of("float32"))
    if name == "genes":
        adata.var.index = pd.Index(["\ud800", *adata.var_names[1:]], dtype=object)
    else:
        names = pd.Index(["\udfff", *adata.obs["group"].cat.categories[1:]], dtype=object)
        adata.obs["group"] = pd.Categorical.from_codes(adata.obs["group"].cat.codes, categories=names)
    with pytest.raises(ValueError, match=f"cannot hold the names of {name}"):
        _rank(adata, path, groupby="group")
    assert not list(path.parent.iterdir())


def test_objects_that_hold_no_result(pbmc, path, tmp_path):
    """A view of a file, and a list of files, may be written to a file: that is then all that the call does."""
    pbmc.write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    view = backed[backed.obs["phase"] == "G1"]
    expected = rank_genes_df(_rank(pbmc[pbmc.obs["phase"] == "G1"].copy(), method="wilcoxon"))
    assert scpdex.tl.rank_genes_parallel(view, GROUPBY, method="wilcoxon", storage=path) is None
    assert view.is_view
    assert_frame_equal(rank_genes_df(path), expected)
    expected = rank_genes_df(_rank(pbmc.copy(), method="wilcoxon"))
    assert scpdex.tl.rank_genes_parallel([tmp_path / "a.h5ad"], GROUPBY, method="wilcoxon", storage=path) is None
    assert_frame_equal(rank_genes_df(path), expected)
    _rank(backed, path, method="wilcoxon")
    assert_frame_equal(rank_genes_df(backed), expected)
    copy = scpdex.tl.rank_genes_parallel([tmp_path / "a.h5ad"], GROUPBY, method="wilcoxon", storage=path, copy=True)
    assert_frame_equal(rank_genes_df(copy), expected)
    backed.file.close()


def test_arguments(pbmc, path):
    _rank(pbmc, path)
    for storage in ("ranked.csv", "x.parquet.gz", b"x.parquet", None, 3):
        with pytest.raises(ValueError, match=r"is not valid: pass 'uns' or 'varm', or a path that ends in '\.parquet'"):
            _rank(pbmc, storage)
    with pytest.raises(ValueError, match=r"columns: 'score' is not a column of the table. Did you mean 'scores'\?"):
        rank_genes_df(path, columns=["score"])
    with pytest.raises(ValueError, match="columns is empty"):
        rank_genes_df(path, columns=[])
    with pytest.raises(ValueError, match="columns='scores' is not a list of names"):
        rank_genes_df(pbmc, columns="scores")
    with pytest.raises(ValueError, match=r"group 'CD99' is not in '.*ranked\.parquet'"):
        rank_genes_df(path, "CD99")
    with pytest.raises(TypeError, match="adata is a int; pass an AnnData, or the path of a Parquet file"):
        rank_genes_df(3)


def test_the_plan_says_where_statistics_wait(path):
    """They are in no result until genes are ordered."""
    adata = ad.AnnData(np.ones((600, 3000), dtype=np.float32), obs={"group": pd.Categorical(np.arange(600) % 200)})
    arguments = {"method": "wilcoxon", "low_memory": True, "max_memory": "30MB"}
    assert scpdex.get.plan(adata, "group", **arguments).scratch == 0
    assert scpdex.get.plan(adata, "group", storage=path, **arguments).scratch == 200 * 3000 * 20
