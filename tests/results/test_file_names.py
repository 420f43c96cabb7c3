"""Names that files cannot hold, by what anndata's own writers refuse or bring back as something else."""

import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from packaging.version import Version

import scpdex

_WRITTEN = ("names", "scores", "pts", "groups", "splits")
# Most that HDF5 and zarr have something against, and some that look like it.
NAMES = [
    ".", "..", "", "/", "a/b", "/a", "a/", ":", "a:b", "a\\b", "\0", "a\0b", "_index", "index name", "zarr.json",
    ".zarray", ".zattrs", ".zgroup", ".zmetadata", "x" * 256, "é" * 128, "x" * 5_000,
]  # fmt: skip
FINE = [
    "...", ".a", "a.", "__a", "index", "names", "c", "0", " ", "a b", "a\nb", "*", "?", '"', "'", "|", "<", "%2F", "~",
    "é" * 127, "\U0001f600", "categories", "columns", "A", "a",
]  # fmt: skip


def small(groups: list[str]) -> ad.AnnData:
    """Two cells of each group; its index of var has a name."""
    labels = np.repeat(np.array(groups, dtype=object), 2)
    obs = pd.DataFrame(
        {"label": pd.Categorical(labels, categories=groups)}, index=[f"c{i}" for i in range(labels.size)]
    )
    var = pd.DataFrame(index=pd.Index(["g0", "g1", "g2"], name="index name"))
    values = np.random.default_rng(0).random((labels.size, 3), dtype=np.float32)
    return ad.AnnData(values, obs=obs, var=var)


def is_same(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(is_same(a[name], b[name]) for name in a)
    if isinstance(a, pd.DataFrame):
        names = isinstance(b, pd.DataFrame) and list(a.columns) == list(b.columns) and list(a.index) == list(b.index)
        return names and np.array_equal(a.to_numpy(), b.to_numpy())
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.names is not None:
        return a.dtype.names == b.dtype.names and all(is_same(a[name], b[name]) for name in a.dtype.names)
    return a.shape == b.shape and str(a.tolist()) == str(b.tolist())


def refused_by(adata: ad.AnnData) -> str | None:
    """Write what a call has added to files of each kind; name the first that refuses it, or brings back another."""
    # Few fields, since each is a file of a zarr store; the longest name of a matrix is that of fold changes.
    uns = {
        key: {name: entry[name] for name in _WRITTEN if name in entry}
        | {"params": {"reference": entry.get("params", {}).get("reference")}}
        for key, entry in adata.uns.items()
    }
    varm = {name: matrix for name, matrix in adata.varm.items() if name.endswith("_logfoldchanges")}
    light = ad.AnnData(var=adata.var[[]], uns=uns, varm=varm)
    before = ad.settings.zarr_write_format
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for kind in ("h5ad", "zarr 2", "zarr 3"):
            path = Path(folder) / kind
            try:
                if kind == "h5ad":
                    light.write_h5ad(path)
                    back = ad.read_h5ad(path)
                else:
                    ad.settings.zarr_write_format = int(kind[-1])
                    light.write_zarr(path)
                    back = ad.read_zarr(path)
            except (KeyError, OSError, RuntimeError, TypeError, ValueError, AttributeError, AssertionError):
                return kind
            finally:
                ad.settings.zarr_write_format = before
            if not is_same(light.uns, back.uns) or not is_same(dict(light.varm), dict(back.varm)):
                return kind
    return None


FORMS = {
    "records": {"storage": "uns", "pts": False},
    "records and tables": {"storage": "uns", "pts": True},
    "matrices": {"storage": "varm", "pts": True},
}
pytestmark = pytest.mark.filterwarnings("ignore")


def assert_told(messages: Callable[[], str], adata: ad.AnnData, name: str) -> None:
    """Exactly what some writer refuses is told, once, by its name."""
    said = [line for line in messages().splitlines() if "cannot hold" in line]
    refused = refused_by(adata)
    assert len(said) == (refused is not None), (refused, said)
    assert refused is None or repr(name) in said[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_groups(name: str, form: str, messages: Callable[[], str]) -> None:
    """Row 36: as fields of records, columns of fractions and names of columns of matrices."""
    if name == "a\\b" and FORMS[form]["pts"] and Version(version("zarr")) < Version("3.1.3"):
        pytest.skip("what zarr has written it does not find again before 3.1.3")
    adata = small(["z", name])
    scpdex.tl.rank_genes_parallel(adata, "label", **FORMS[form])
    assert_told(messages, adata, name)


@pytest.mark.parametrize("form", ["records and tables", "matrices"])
@pytest.mark.parametrize("name", ["a/b", "a:b", ".", "a\0b", "fine"], ids=ascii)
def test_references(name: str, form: str, messages: Callable[[], str]) -> None:
    """Row 36: the reference is a column of fractions and no field of records."""
    adata = small(["z", "y", name])
    scpdex.tl.rank_genes_parallel(adata, "label", reference=name, **FORMS[form])
    assert_told(messages, adata, name)


@pytest.mark.parametrize("storage", ["uns", "varm"])
@pytest.mark.parametrize("name", [*NAMES, "x" * 255, "x" * 240, "x" * 230, "\ud800"], ids=ascii)
def test_keys(name: str, storage: str, messages: Callable[[], str]) -> None:
    """Row 36: entries of uns, and of varm, whose names are longer."""
    adata = small(["z", "y"])
    scpdex.tl.rank_genes_parallel(adata, "label", storage=storage, key_added=name)
    assert_told(messages, adata, name)


@pytest.mark.parametrize("storage", ["uns", "varm"])
@pytest.mark.parametrize("name", ["a/b", "a\\b", "a:b", "a\0b", ".", "", "x" * 230, "x" * 240], ids=ascii)
def test_levels(name: str, storage: str, messages: Callable[[], str]) -> None:
    """Row 36: levels are part of the names of entries."""
    adata = small(["z", "y"])
    adata = ad.concat([adata, adata], keys=["level", name], label="level", index_unique="-")
    scpdex.tl.rank_genes_parallel(adata, "label", storage=storage, split_by="level")
    assert_told(messages, adata, name)


def test_names_that_files_hold(messages: Callable[[], str]) -> None:
    """No message where there is nothing to say."""
    adata = small(FINE)
    scpdex.tl.rank_genes_parallel(adata, "label", pts=True)
    scpdex.tl.rank_genes_parallel(adata, "label", pts=True, storage="varm", key_added="matrices")
    for name in FINE:
        scpdex.tl.rank_genes_parallel(adata, "label", groups=["a"], key_added=name)
        if name in FINE[::5]:
            continue
        adata.uns[name] = {}
    assert "cannot hold" not in messages()
    assert refused_by(adata) is None


def test_moved_results(messages: Callable[[], str]) -> None:
    """Row 36: the verbs that move results say so as well, and so does logistic regression."""
    adata = small(["z", "y", "a/b"])
    scpdex.tl.rank_genes_parallel(adata, "label", pts=True, storage="varm")
    assert "cannot hold" not in messages()
    scpdex.tl.rank_genes_to_uns(adata, key_added="moved")
    assert "cannot hold columns of `pts` for the groups 'a/b'" in messages()
    scpdex.tl.rank_genes_to_varm(adata, key="moved", key_added="c/d")
    assert messages().count("the entries that key_added='c/d' names") == 1
    scpdex.tl.rank_genes_parallel(adata, "label", method="logreg", key_added="..")
    assert messages().count("the entries that key_added='..' names") == 1
