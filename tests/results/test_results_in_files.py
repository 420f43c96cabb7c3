"""Results in files: both forms come back, thousands of groups too, and what h5ad cannot hold is said."""

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from oracles import KEY, assert_same_bits
from ranked import GROUPBY, rank, without_raw
from scipy import sparse
from stored import labelled, values_of

import scpdex
from scpdex.results import exceed_hdf5_limit


@pytest.mark.parametrize("store", ["h5ad", "zarr"])
@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_files(pbmc, tmp_path, store, storage):
    """Odd names survive files, with slashes in both forms; numpy's records cannot have an empty one."""
    adata = without_raw(pbmc)
    labels = adata.obs[GROUPBY].cat
    adata.obs["label"] = labels.rename_categories(
        ["a/b", "" if storage == "varm" else "c d", "_index", "ü ", *labels.categories[4:]]
    )
    expected = rank(adata, "uns", "label", pts=False).copy()
    fractions = rank(adata, "uns", "label", key_added="with fractions")
    del adata.uns["with fractions"]
    if storage == "varm":
        rank(adata, storage, "label")
    path = tmp_path / f"x.{store}"
    getattr(adata, f"write_{store}")(path)
    back = getattr(ad, f"read_{store}")(path)
    if storage == "varm":
        table = scpdex.get.rank_genes_df(back)
        pd.testing.assert_frame_equal(table, scpdex.get.rank_genes_df(adata), check_exact=True)
        scpdex.tl.rank_genes_to_uns(back)
        assert_same_bits(back.uns[KEY], expected | {name: fractions[name] for name in ("pts", "pts_rest")})
    else:
        table = scpdex.get.rank_genes_df(back)
        pd.testing.assert_frame_equal(table, scpdex.get.rank_genes_df(adata), check_exact=True)
    assert table["group"].cat.categories.tolist() == list(expected["names"].dtype.names)


@pytest.fixture(scope="module")
def screen() -> ad.AnnData:
    """2,000 groups of 2 or 3 cells x 500 genes, ranked: h5ad files hold the records of half as many groups."""
    rng = np.random.default_rng(0)
    labels = np.resize([f"gene{i}" for i in range(2_000)], 5_000)
    values = sparse.random(labels.size, 500, density=0.02, format="csr", dtype=np.float32, random_state=rng)
    obs = pd.DataFrame({"gene": pd.Categorical(labels)}, index=[f"cell{i}" for i in range(labels.size)])
    adata = ad.AnnData(values, obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(500)]))
    rank(adata, "varm", "gene", reference="gene7")
    return adata


@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_thousands_of_groups_in_files(screen, tmp_path, store):
    """What h5ad files cannot hold in scanpy's layout makes the round trip, and is scanpy's again: exactly."""
    path = tmp_path / f"x.{store}"
    getattr(screen, f"write_{store}")(path)
    back = getattr(ad, f"read_{store}")(path)
    assert back.uns[KEY]["params"].keys() == screen.uns[KEY]["params"].keys()
    expected = screen.copy()
    scpdex.tl.rank_genes_to_uns(back)
    rank(expected, "uns", "gene", reference="gene7")
    assert_same_bits(back.uns[KEY], expected.uns[KEY])
    table = sc.get.rank_genes_groups_df(back, "gene5")
    assert len(table) == 500
    with pytest.raises(Exception, match="header message is too large"):
        back.write_h5ad(tmp_path / "again.h5ad")


@pytest.mark.parametrize("letters", ["x", "äö"])
def test_what_hdf5_cannot_hold(tmp_path, letters):
    """The first number of groups that is called too many is the first that cannot be written."""
    names = [f"{i:04}{letters * (i % 5)}" for i in range(1_200)]
    most = next(n for n in range(1, 1_200) if exceed_hdf5_limit(names[: n + 1]))
    for n, fits in ((most, True), (most + 1, False)):
        dtype = np.dtype([(name, h5py.string_dtype()) for name in names[:n]])
        with h5py.File(tmp_path / f"{n}.h5", "w") as file:
            if fits:
                file.create_dataset("names", shape=(2,), dtype=dtype)
            else:
                with pytest.raises(Exception, match="header message is too large"):
                    file.create_dataset("names", shape=(2,), dtype=dtype)


def test_says_once_what_a_file_cannot_hold(messages):
    """Row 1: when results are made, with the way out; not where that is taken, or not needed."""
    labels = np.repeat([f"perturbation of gene {i}" for i in range(900)], 2)
    adata = ad.AnnData(np.eye(1_800, 3), obs=pd.DataFrame({"gene": labels}, index=[str(i) for i in range(1_800)]))
    rank(adata, "uns", "gene", pts=False)
    told = messages()
    assert told.count("an h5ad file cannot hold the records of 900 groups: pass storage='varm'") == 1
    assert "scpdex.tl.rank_genes_to_varm(adata)" in told
    rank(adata, "varm", "gene", pts=False)
    rank(adata, "uns", "gene", pts=False, groups=labels[::4])
    assert "cannot hold" not in messages()


def test_names_that_files_cannot_hold_as_columns(messages):
    adata = labelled(values_of("float32"))
    adata.obs["label"] = adata.obs["group"].cat.rename_categories({"a": "a/b"})
    rank(adata, "uns", "label")
    assert "cannot hold columns of `pts` for the groups 'a/b'" in messages()
    rank(adata, "varm", "label")
    assert "a/b" not in messages()
