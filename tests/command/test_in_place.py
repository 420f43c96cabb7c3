"""In place: the file has the result, and all else of it is as it was; a file that cannot take it is refused."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pytest
from screens import make_screen

import scpdex
from scpdex.command import _in_place, main

WILCOXON = ["--groupby", "gene", "--method", "wilcoxon"]


def read_contents(path: Path) -> dict[str, Any]:
    """Read all datasets and attributes of a file, with how each is stored, by name."""
    contents: dict[str, Any] = {}

    def add(name: str, element: Any) -> None:
        contents[f"{name} attributes"] = {key: np.asarray(value).tolist() for key, value in element.attrs.items()}
        if isinstance(element, h5py.Dataset):
            storage = (element.dtype.str, element.shape, element.chunks, element.compression)
            contents[name] = (*storage, np.asarray(element).tolist() if element.shape is not None else None)

    with h5py.File(path) as file:
        add("", file)
        file.visititems(add)
    return contents


def is_result(name: str, key: str = "rank_genes_groups") -> bool:
    return name.startswith((f"uns/{key}", f"varm/{key}"))


def rank(path: Path, *options: str) -> None:
    assert main(["rank", str(path), *options, "--in-place"]) == 0
    assert [file.name for file in path.parent.iterdir() if file.suffix == ".scpdex-tmp"] == []


def assert_has_result(path: Path, key: str = "rank_genes_groups", **arguments: Any) -> None:
    """Assert that the file has the result of the same call in memory, and no other matrices of this key."""
    expected = make_screen()
    scpdex.tl.rank_genes_parallel(expected, "gene", storage="varm", key_added=key, **arguments)
    written = ad.read_h5ad(path)
    names = {name for name in expected.varm if name.startswith(key)}
    assert names == {name for name in written.varm if name.startswith(key)}
    assert len(names) > 3
    for name in names:
        assert written.varm[name].dtype == expected.varm[name].dtype
        np.testing.assert_array_equal(written.varm[name], expected.varm[name])
    assert scpdex.get.rank_genes_df(written, key=key).equals(scpdex.get.rank_genes_df(expected, key=key))
    keys = {name for name in expected.uns if name.startswith(key)}
    assert {name for name in written.uns if name.startswith(key)} == keys
    for name in keys:
        params = {parameter: np.asarray(value).tolist() for parameter, value in expected.uns[name]["params"].items()}
        assert {p: np.asarray(value).tolist() for p, value in written.uns[name]["params"].items()} == params


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (WILCOXON, {"method": "wilcoxon"}),
        (["--groupby", "gene", "--pts", "--reference", "kd A"], {"pts": True, "reference": "kd A"}),
        (["--groupby", "gene", "--key", "markers", "--n-genes", "3"], {"key": "markers", "n_genes": 3}),
        (["--groupby", "gene", "--split-by", "batch"], {"split_by": "batch"}),
    ],
)
def test_file_has_the_result_and_all_else(screen, options, arguments):
    before = read_contents(screen)
    assert "obs/gene attributes" in before
    assert "obs/gene/categories" not in before
    rank(screen, *options)
    key = arguments.get("key", "rank_genes_groups")
    after = read_contents(screen)
    assert {name: value for name, value in after.items() if not is_result(name, key)} == before
    assert_has_result(screen, **arguments)


def test_entries_that_nobody_can_read(screen):
    with h5py.File(screen, "r+") as file:
        file["uns"].create_group("unknown").attrs["encoding-type"] = "of another program"
        file["obsm"].create_group("unknown").attrs["encoding-type"] = "of another program"
    before = read_contents(screen)
    rank(screen, *WILCOXON)
    after = read_contents(screen)
    assert {name: value for name, value in after.items() if not is_result(name)} == before
    assert any(map(is_result, after))


def test_earlier_result_is_replaced(screen):
    rank(screen, *WILCOXON, "--pts", "--extras", "auc", "u", "--key", "other")
    rank(screen, *WILCOXON, "--pts", "--extras", "auc", "u")
    rank(screen, "--groupby", "gene", "--method", "t-test")
    assert_has_result(screen, method="t-test")
    assert_has_result(screen, "other", method="wilcoxon", pts=True, extras=["auc", "u"])
    rank(screen, *WILCOXON, "--split-by", "batch")
    rank(screen, *WILCOXON)
    # Levels go with their list.
    assert_has_result(screen, method="wilcoxon")


def test_result_of_scanpys_layout_is_replaced(screen):
    adata = make_screen()
    scpdex.tl.rank_genes_parallel(adata, "gene")
    adata.write_h5ad(screen)
    rank(screen, *WILCOXON)
    assert_has_result(screen, method="wilcoxon")


def test_the_same_call_again_does_not_grow_the_file(screen):
    rank(screen, *WILCOXON)
    sizes = []
    for _ in range(4):
        rank(screen, *WILCOXON)
        sizes.append(screen.stat().st_size)
    assert sizes[-1] - sizes[0] < 20_000


def test_file_without_places_for_results(screen):
    with h5py.File(screen, "r+") as file:
        del file["varm"], file["uns"]
    rank(screen, *WILCOXON)
    assert_has_result(screen, method="wilcoxon")


def test_raw_with_other_genes(tmp_path, capsys):
    adata = make_screen()
    adata.raw = adata
    path = tmp_path / "raw.h5ad"
    adata[:, :20].copy().write_h5ad(path)
    before = path.read_bytes()
    assert main(["rank", str(path), *WILCOXON, "--in-place"]) == 1
    assert "use_raw=False" in capsys.readouterr().err
    assert path.read_bytes() == before
    rank(path, *WILCOXON, "--no-use-raw")
    assert ad.read_h5ad(path).varm["rank_genes_groups_scores"].shape == (20, 4)


def test_foreign_matrices_are_kept(screen, capsys):
    with h5py.File(screen, "r+") as file:
        file["varm/mine_scores"] = np.zeros((30, 2))
    before = screen.read_bytes()
    assert main(["rank", str(screen), *WILCOXON, "--in-place", "--key", "mine"]) == 1
    assert "mine_scores" in capsys.readouterr().err
    assert screen.read_bytes() == before


@pytest.mark.parametrize("options", [WILCOXON, [*WILCOXON, "--pts", "--extras", "means", "--split-by", "batch"]])
def test_lack_of_space(screen, monkeypatch, capsys, options):
    free = 10_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with monkeypatch.context() as patch:
        # Nothing is ranked before the refusal.
        patch.setattr("scpdex.tl._rank_genes_parallel.rank_and_write", lambda *_, **__: pytest.fail("ranked"))
        before = screen.read_bytes()
        assert main(["rank", str(screen), *options, "--in-place"]) == 1
    error = capsys.readouterr().err
    size, result = (int(part.split(" bytes")[0].replace(",", "")) for part in error.split("(")[1:3])
    assert size == len(before)
    assert "10,000 bytes free" in error
    assert screen.read_bytes() == before
    assert [path.name for path in screen.parent.iterdir()] == ["screen.h5ad"]
    free = size + result - 1
    assert main(["rank", str(screen), *options, "--in-place"]) == 1
    free = size + result
    rank(screen, *options)
    written = ad.read_h5ad(screen).varm
    assert result == sum(written[name].nbytes for name in written if is_result(f"varm/{name}"))


def test_where_in_place_cannot_be(screen, tmp_path, capsys):
    store = tmp_path / "x.zarr"
    make_screen().write_zarr(store)
    refused = {"as zarr stores are: use --out": [store], "there are 2 files: use --out": [screen, store]}
    for message, files in refused.items():
        assert main(["rank", *map(str, files), *WILCOXON, "--in-place"]) == 1
        assert message in capsys.readouterr().err
    assert main(["rank", str(tmp_path / "no.h5ad"), *WILCOXON, "--in-place"]) == 1
    assert "there is no file" in capsys.readouterr().err
    (tmp_path / "text.h5ad").write_text("no HDF5")
    assert main(["rank", str(tmp_path / "text.h5ad"), *WILCOXON, "--in-place"]) == 1
    assert "could not be read as an h5ad file" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"screen.h5ad", "x.zarr", "text.h5ad"}


def test_file_that_changes_meanwhile(screen, monkeypatch, capsys):
    write = _in_place.write_entries

    def write_and_change(temporary: Path, changes: Any) -> None:
        write(temporary, changes)
        with h5py.File(screen, "r+") as file:
            file["varm/PCs"][0] = 7

    monkeypatch.setattr(_in_place, "write_entries", write_and_change)
    assert main(["rank", str(screen), *WILCOXON, "--in-place"]) == 1
    assert "was changed while it was ranked" in capsys.readouterr().err
    contents = read_contents(screen)
    assert contents["varm/PCs"][-1][0] == [7, 7, 7]
    assert not any(map(is_result, contents))


def test_link_stays_a_link(screen, tmp_path):
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link.h5ad"
    link.symlink_to(screen)
    rank(link, *WILCOXON)
    assert link.is_symlink()
    assert not screen.is_symlink()
    assert_has_result(screen, method="wilcoxon")
