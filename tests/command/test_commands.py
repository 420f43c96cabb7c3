"""Commands within this process: files ranked, planned and shown, and refusals with the library's message."""

import gzip
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from screens import make_screen

import scpdex
from scpdex.command import _main, _table, main
from scpdex.command._compile_kernels import CompiledKernels

WILCOXON = ["--groupby", "gene", "--reference", "control", "--method", "wilcoxon"]


def read_expected(path: Path | list[Path], **arguments) -> pd.DataFrame:
    source = ad.read_h5ad(path) if isinstance(path, Path) else path
    return scpdex.get.rank_genes_df(scpdex.tl.rank_genes_parallel(source, "gene", copy=True, **arguments))


def assert_same_table(path: Path, expected: pd.DataFrame) -> None:
    # Some versions of pandas round what they parse.
    written = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert list(written) == list(expected)
    assert len(expected) == 90
    for name, texts in written.items():
        if expected[name].dtype.kind == "f":
            values = np.array([float(text or "nan") for text in texts], dtype=expected[name].dtype)
            np.testing.assert_array_equal(values, expected[name])
        else:
            assert texts.tolist() == expected[name].tolist()


@pytest.mark.parametrize(
    ("name", "normalize"), [("hits.csv", 1e4), ("hits.csv.gz", 1e4), ("hits.csv", "median"), ("hits.csv", "log1p")]
)
def test_rank_one_file(screen, tmp_path, capsys, name, normalize):
    before = screen.read_bytes()
    out = tmp_path / name
    command = ["rank", str(screen), *WILCOXON, "--tie-correct", "--layer", "counts", "--normalize", str(normalize)]
    assert main([*command, "--out", str(out)]) == 0
    arguments = {"reference": "control", "method": "wilcoxon", "tie_correct": True, "layer": "counts"}
    assert_same_table(out, read_expected(screen, normalize=normalize, **arguments))
    assert capsys.readouterr().out == ""
    assert screen.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"screen.h5ad", name}
    if name.endswith("gz"):
        assert gzip.decompress(out.read_bytes()).startswith(b"group,names,")


@pytest.mark.parametrize("n_files", [1, 2])
def test_rank_to_parquet(screen, tmp_path, capsys, n_files):
    pytest.importorskip("pyarrow")
    files = [screen, tmp_path / "other.h5ad"][:n_files]
    make_screen(seed=1).write_h5ad(tmp_path / "other.h5ad")
    out = tmp_path / "hits.parquet"
    assert main(["rank", *map(str, files), *WILCOXON, "--pts", "--out", str(out)]) == 0
    expected = read_expected(files if n_files > 1 else screen, reference="control", method="wilcoxon", pts=True)
    written = scpdex.get.rank_genes_df(out)
    assert len(written) == 90
    pd.testing.assert_frame_equal(written, expected, check_exact=True)
    assert_shows(show(capsys, out, "--top-n", "2"), scpdex.get.rank_genes_df(out, top_n=2))


def test_other_files_are_not_replaced(screen, tmp_path, capsys):
    (tmp_path / "hits.csv").write_text("name,phone\n")
    assert main(["rank", str(screen), *WILCOXON, "--out", str(tmp_path / "hits.csv")]) == 1
    assert "is not a result of scpdex" in capsys.readouterr().err
    assert (tmp_path / "hits.csv").read_text() == "name,phone\n"


def test_rank_several_files(screen, tmp_path):
    other = tmp_path / "other.zarr"
    make_screen(seed=1).write_zarr(other)
    out = tmp_path / "hits.csv"
    assert main(["rank", str(screen), str(other), *WILCOXON, "--strata", "file", "--out", str(out)]) == 0
    expected = read_expected([screen, other], reference="control", method="wilcoxon", strata="file")
    assert_same_table(out, expected)


def test_plan(screen, capsys):
    command = ["plan", str(screen), *WILCOXON, "--n-jobs", "1", "--max-memory", "100MB"]
    with_target = [[*command, "--in-place"], [*command, "--out", "hits.csv"], [*command, "--out", "hits.parquet"]]
    before = screen.read_bytes()
    texts = []
    for options in [command, *with_target]:
        assert main(options) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0].startswith("CSR float32 in an HDF5 file, 120 cells x 30 genes")
    assert "100 MB memory" in texts[0]
    assert texts[0].count("\n") == 1
    assert screen.read_bytes() == before
    assert [path.name for path in screen.parent.iterdir()] == ["screen.h5ad"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--groupby", "gnee"], "gnee"),
        ([*WILCOXON, "--method", "foo"], "'foo'"),
        ([*WILCOXON, "--reference", "absent"], "absent"),
        ([*WILCOXON, "--label", "plate"], "label='plate' is for a list of files"),
        ([*WILCOXON, "--out", "hits.xlsx"], ".parquet, .csv.gz, .csv"),
        ([*WILCOXON, "--out", "no/folder/hits.csv"], "no/folder"),
    ],
)
def test_refused(screen, capsys, monkeypatch, options, message):
    monkeypatch.chdir(screen.parent)
    out = [] if "--out" in options else ["--out", "hits.csv"]
    assert main(["rank", str(screen), *options, *out]) == 1
    output, error = capsys.readouterr()
    assert not output
    assert error.startswith("scpdex: error: ")
    assert message in error
    # A KeyError's text would be within quotes.
    assert not error.startswith(('scpdex: error: "', "scpdex: error: '"))
    assert [path.name for path in screen.parent.iterdir()] == ["screen.h5ad"]


def test_the_message_is_the_librarys(screen, capsys):
    with pytest.raises(KeyError) as refused:
        scpdex.tl.rank_genes_parallel(ad.read_h5ad(screen), "gnee")
    main(["rank", str(screen), "--groupby", "gnee", "--out", "hits.csv"])
    assert capsys.readouterr().err == f"scpdex: error: {refused.value.args[0]}\n"


def test_absent_file(capsys):
    assert main(["rank", "no.h5ad", "--groupby", "gene", "--out", "hits.csv"]) == 1
    assert "there is no file 'no.h5ad'" in capsys.readouterr().err


def test_bugs_keep_their_traceback(screen, monkeypatch):
    def fail(*_, **__):
        raise AttributeError

    monkeypatch.setattr("scpdex.command._plan.plan", fail)
    with pytest.raises(AttributeError):
        main(["plan", str(screen), "--groupby", "gene"])


def test_interruption(screen, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("scpdex.command._plan.plan", interrupt)
    assert main(["plan", str(screen), "--groupby", "gene"]) == 130
    assert capsys.readouterr().err == "scpdex: error: interrupted\n"


def test_verbose(screen, messages, tmp_path):
    command = ["rank", str(screen), *WILCOXON, "--out", str(tmp_path / "hits.csv")]
    messages()
    main(command)
    assert not messages()
    main([*command, "-v"])
    assert "CSR float32 in an HDF5 file" in messages()


@pytest.fixture
def ranked() -> ad.AnnData:
    """A screen with two results, one of which has levels."""
    adata = make_screen()
    scpdex.tl.rank_genes_parallel(adata, "gene", method="wilcoxon", storage="varm", pts=True)
    scpdex.tl.rank_genes_parallel(adata, "gene", split_by="batch", key_added="split")
    return adata


@pytest.fixture
def path(ranked: ad.AnnData, tmp_path: Path) -> Path:
    """The file of the ranked screen."""
    ranked.write_h5ad(tmp_path / "ranked.h5ad")
    return tmp_path / "ranked.h5ad"


def show(capsys, path: Path, *options: str) -> list[list[str]]:
    """Give the cells of the table that is printed."""
    assert main(["table", str(path), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    # Two blanks or more are between columns.
    return [[cell.strip() for cell in line.split("  ") if cell] for line in lines]


def assert_shows(shown: list[list[str]], table: pd.DataFrame) -> None:
    header, *rows = shown
    assert header == list(table)
    assert len(rows) == len(table)
    for row, expected in zip(rows, table.to_numpy().tolist(), strict=True):
        for cell, value in zip(row, expected, strict=True):
            assert cell == (f"{value:.4g}" if isinstance(value, float) else str(value)).replace("nan", "NaN")


def test_table(ranked, path, capsys):
    before = path.read_bytes()
    assert_shows(show(capsys, path), scpdex.get.rank_genes_df(ranked))
    some = show(capsys, path, "--group", "kd A", "--top-n", "3", "--log2fc-min", "0")
    assert_shows(some, scpdex.get.rank_genes_df(ranked, "kd A", top_n=3, log2fc_min=0))
    two = show(capsys, path, "--group", "kd B", "kd A", "--pval-cutoff", "0.9", "--order", "gene")
    assert_shows(two, scpdex.get.rank_genes_df(ranked, ["kd B", "kd A"], pval_cutoff=0.9, order="gene"))
    assert_shows(show(capsys, path, "--key", "split"), scpdex.get.rank_genes_df(ranked, key="split"))
    assert path.read_bytes() == before


def test_table_is_aligned(path, capsys):
    main(["table", str(path), "--top-n", "2"])
    header, *rows = capsys.readouterr().out.splitlines()
    for name in ("scores", "pvals", "pct_nz_group"):
        end = header.index(f" {name}") + len(name) + 1
        assert all(row[end - 1] != " " and row[end : end + 1] in {"", " "} for row in rows)


def test_table_of_parquet_in_parts(ranked, tmp_path, capsys, monkeypatch):
    pytest.importorskip("pyarrow")
    out = tmp_path / "hits.parquet"
    scpdex.tl.rank_genes_parallel(ranked, "gene", split_by="batch", storage=out)
    whole = show(capsys, out, "--columns", "split", "group", "names")
    assert whole[0] == ["split", "group", "names"]
    monkeypatch.setattr(_table, "_MAX_ROWS", 60)
    in_parts = show(capsys, out, "--columns", "split", "group", "names")
    assert sorted(in_parts) == sorted(whole)
    assert len(whole) == 1 + 2 * 4 * 30
    assert in_parts != whole


@pytest.mark.parametrize("key", ["rank_genes_groups", "split"])
def test_table_in_parts(path, capsys, monkeypatch, key):
    whole = show(capsys, path, "--key", key)
    calls = []
    read = _table.rank_genes_df
    monkeypatch.setattr(_table, "_MAX_ROWS", 70)
    monkeypatch.setattr(_table, "rank_genes_df", lambda **call: (calls.append(call["group"]), read(**call))[1])
    in_parts = show(capsys, path, "--key", key)
    assert len(calls) == (2 if key == "rank_genes_groups" else 4)
    assert in_parts[0] == whole[0]
    # Of a result with levels, each part has the levels of its groups.
    assert in_parts == whole if key == "rank_genes_groups" else sorted(in_parts) == sorted(whole)


def test_table_of_zarr(ranked, tmp_path, capsys):
    ranked.write_zarr(tmp_path / "ranked.zarr")
    assert_shows(show(capsys, tmp_path / "ranked.zarr"), scpdex.get.rank_genes_df(ranked))


def test_table_of_scanpys_layout(tmp_path, capsys):
    adata = make_screen()
    scpdex.tl.rank_genes_parallel(adata, "gene")
    adata.write_h5ad(tmp_path / "records.h5ad")
    assert_shows(show(capsys, tmp_path / "records.h5ad"), scpdex.get.rank_genes_df(adata))


def test_table_without_rows(path, capsys):
    (header,) = show(capsys, path, "--pval-cutoff", "0")
    assert header[0] == "group"


def test_no_table(screen, path, capsys):
    assert main(["table", str(screen)]) == 1
    assert "adata.uns['rank_genes_groups'] holds no ranked genes. Results: none." in capsys.readouterr().err
    assert main(["table", str(path), "--key", "colors"]) == 1
    assert "Results: 'rank_genes_groups', 'split', 'split_x', 'split_y'." in capsys.readouterr().err
    assert main(["table", str(path), "--group", "kd Z"]) == 1
    assert "kd Z" in capsys.readouterr().err


def test_descriptions_of_errors():
    assert _main._describe(KeyError("no 'x'")) == "no 'x'"
    assert _main._describe(MemoryError()) == "not enough memory"


def test_compile(monkeypatch, capsys):
    kernels = CompiledKernels(n_compiled=1200, n_loaded=3, folder="/cache", cpu_name="znver3")
    monkeypatch.setattr("scpdex.command._compile.compile_kernels", lambda: kernels)
    assert main(["compile"]) == 0
    assert capsys.readouterr().out == "1,200 kernels compiled and 3 loaded for znver3, in /cache\n"


def test_compile_without_a_folder(monkeypatch, capsys):
    """A container that is built without a cache is no success; one that finds all kernels is."""
    for n_compiled, status in ((2, 1), (0, 0)):
        kernels = CompiledKernels(n_compiled=n_compiled, n_loaded=3, folder=None, cpu_name="znver3")
        monkeypatch.setattr("scpdex.command._compile.compile_kernels", lambda kernels=kernels: kernels)
        assert main(["compile"]) == status
    assert "no folder can be written to for compiled kernels: set NUMBA_CACHE_DIR" in capsys.readouterr().err
