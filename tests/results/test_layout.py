"""The result is of scanpy's kind, so that its getters, filter, plots and files take it."""

import anndata as ad
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from oracles import assert_same_bits, by_scanpy, by_scpdex

import scpdex

mpl.use("Agg")

GROUPBY = "bulk_labels"


@pytest.mark.parametrize("arguments", [{"method": "wilcoxon", "pts": True}, {"method": "logreg", "n_genes": 5}])
@pytest.mark.parametrize("reference", ["rest", "Dendritic"])
def test_kinds(pbmc, arguments, reference):
    ours = by_scpdex(pbmc, GROUPBY, reference=reference, **arguments)
    scanpys = by_scanpy(pbmc, GROUPBY, reference=reference, **arguments)
    assert ours.keys() == scanpys.keys()
    for key, value in scanpys.items():
        assert type(ours[key]) is type(value)
        if isinstance(value, np.ndarray):
            assert ours[key].dtype == value.dtype
            assert ours[key].shape == value.shape
            assert isinstance(ours[key][0], type(value[0]))
    assert ours["params"].items() >= scanpys["params"].items()
    added = ours["params"].keys() - scanpys["params"].keys() - {"mean_in_log_space"}
    assert added - {"n_genes"} == {"tie_correct", "use_continuity", "version"}
    assert ours["params"].get("n_genes") == arguments.get("n_genes")
    assert ours["params"]["version"] == scpdex.__version__


def test_only_uns_is_changed(pbmc):
    before = pbmc.copy()
    scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, key_added="ours", method="wilcoxon")
    assert pbmc.uns.keys() - before.uns.keys() == {"ours"}
    del pbmc.uns["ours"]
    np.testing.assert_array_equal(pbmc.X, before.X)
    assert (pbmc.raw.X != before.raw.X).nnz == 0
    pd.testing.assert_frame_equal(pbmc.obs, before.obs)
    pd.testing.assert_frame_equal(pbmc.var, before.var)


def test_copy(pbmc):
    copy = scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, key_added="ours", copy=True)
    assert copy is not pbmc
    assert "ours" in copy.uns
    assert "ours" not in pbmc.uns
    assert scpdex.tl.rank_genes_parallel(pbmc, GROUPBY) is None


def test_equal_scores_stay_in_var_order(pbmc):
    """Genes of equal float64 score, here copies of two genes, in var order for every direction of ranking."""
    values = pbmc.raw.X[:, [0, 1] * 20].toarray()
    adata = ad.AnnData(values, obs=pbmc.obs, var=pd.DataFrame(index=[f"g{j:02}" for j in range(40)]))
    for rankby_abs in (False, True):
        result = by_scpdex(adata, GROUPBY, method="wilcoxon", rankby_abs=rankby_abs)
        for group in result["names"].dtype.names:
            names = result["names"][group]
            assert list(names[:20]) == sorted(names[:20])
            assert list(names[20:]) == sorted(names[20:])


def test_rankby_abs_keeps_signs(pbmc):
    result = by_scpdex(pbmc, GROUPBY, method="t-test", rankby_abs=True)
    for group in result["scores"].dtype.names:
        scores = result["scores"][group]
        assert (np.diff(np.abs(scores)) <= 0).all()
        assert (scores < 0).any()


@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_n_genes_keeps_the_top(pbmc, method):
    whole = by_scpdex(pbmc, GROUPBY, method=method)
    top = by_scpdex(pbmc, GROUPBY, method=method, n_genes=9)
    for field in ("names", "scores", "pvals", "pvals_adj", "logfoldchanges"):
        assert top[field].shape == (9,)
        for group in top[field].dtype.names:
            np.testing.assert_array_equal(top[field][group], whole[field][group][:9])
    assert by_scpdex(pbmc, GROUPBY, n_genes=10**6)["names"].shape == (pbmc.raw.n_vars,)


def test_getter_and_filter(pbmc):
    scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon", pts=True)
    table = sc.get.rank_genes_groups_df(pbmc, None, pval_cutoff=0.05, log2fc_min=1)
    assert set(table.columns) >= {"group", "names", "scores", "pvals_adj", "pct_nz_group", "pct_nz_reference"}
    assert (table["pvals_adj"] < 0.05).all()
    sc.tl.filter_rank_genes_groups(pbmc, min_fold_change=2)
    filtered = pd.DataFrame(pbmc.uns["rank_genes_groups_filtered"]["names"])
    assert 0 < filtered.notna().to_numpy().sum() < filtered.size


@pytest.mark.parametrize(
    "plot", ["", "_dotplot", "_matrixplot", "_stacked_violin", "_heatmap", "_tracksplot", "_violin"]
)
def test_plots(pbmc, plot):
    pbmc.uns.pop(f"{GROUPBY}_colors", None)
    scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon")
    sc.tl.dendrogram(pbmc, GROUPBY)
    getattr(sc.pl, f"rank_genes_groups{plot}")(pbmc, n_genes=2, show=False)
    mpl.pyplot.close("all")


@pytest.mark.parametrize("method", ["wilcoxon", "logreg"])
@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_round_trip(pbmc, tmp_path, store, method):
    pbmc.obs["label"] = pbmc.obs[GROUPBY].cat.rename_categories(lambda name: name.replace("/", " "))
    scpdex.tl.rank_genes_parallel(pbmc, "label", method=method, pts=True, n_genes=50)
    getattr(pbmc, f"write_{store}")(tmp_path / f"x.{store}")
    back = ad.read_h5ad(tmp_path / "x.h5ad") if store == "h5ad" else ad.read_zarr(tmp_path / "x.zarr")
    ours, read = pbmc.uns["rank_genes_groups"], back.uns["rank_genes_groups"]
    for field in ours.keys() - {"params", "names", "pts", "pts_rest"}:
        np.testing.assert_array_equal(read[field], ours[field])
    for group in ours["names"].dtype.names:
        np.testing.assert_array_equal(read["names"][group].astype(str), ours["names"][group].astype(str))
    pd.testing.assert_frame_equal(
        sc.get.rank_genes_groups_df(back, "Dendritic"),
        sc.get.rank_genes_groups_df(pbmc, "Dendritic"),
        check_dtype=False,
    )


def test_messages(pbmc, messages):
    """One line says what was chosen; nothing at scanpy's default verbosity, nothing twice."""
    scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon", n_jobs=2)
    assert messages() == ""
    before = sc.settings.verbosity
    sc.settings.verbosity = 2
    try:
        scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon", n_jobs=2)
    finally:
        sc.settings.verbosity = before
    told = messages()
    assert "ranking genes of 10 groups of 'bulk_labels' against the rest by wilcoxon" in told
    assert "CSR float32 in memory, 700 cells x 765 genes" in told
    assert "genes ranked in 1 block of up to 765 genes on 2 threads" in told
    assert told.count("\n") == 3


def test_raw_counts_are_remarked_on(papalexi_counts, papalexi, messages):
    scpdex.tl.rank_genes_parallel(papalexi_counts, "gene", method="wilcoxon")
    assert messages().count("adata.X looks like raw counts") == 1
    scpdex.tl.rank_genes_parallel(papalexi, "gene", method="wilcoxon")
    assert messages() == ""


def test_few_cells_are_a_hint(pbmc, messages):
    before = sc.settings.verbosity
    sc.settings.verbosity = 3
    try:
        scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon", reference="CD34+")
    finally:
        sc.settings.verbosity = before
    assert (
        messages().count("z is approximate in 9 of the comparisons: they have few cells (at most 25) on one side") == 1
    )


@pytest.mark.parametrize("show", [True, False, None])
def test_progress_bar(pbmc, capfd, show):
    """Forced on or off; by default nothing is drawn where nobody watches."""
    scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon", show_progress=show)
    assert ("765/765" in capfd.readouterr().err) == (show is True)


def test_n_jobs_minus_one_is_all(pbmc):
    assert_same_bits(by_scpdex(pbmc, GROUPBY, n_jobs=-1), by_scpdex(pbmc, GROUPBY, n_jobs=1))
