"""Standard errors and confidence intervals of the AUC: plain placements, coverage, and who may ask for them."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from oracles import all_by_gene, by_scpdex, plain_placements
from scipy import stats
from stored import labelled, values_of

import scpdex

METHODS = ["wilcoxon", "brunner-munzel"]
INTERVAL = ("auc_se", "auc_low", "auc_high")


@pytest.mark.parametrize("confidence", [0.95, 0.5, 0.999])
@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize(("method", "tie_correct"), [*((method, False) for method in METHODS), ("wilcoxon", True)])
def test_against_plain_placements(method, tie_correct, reference, confidence):
    adata = labelled(values_of("float64"))
    # Separated from the rest, separated from b, and constant.
    adata.X[:, 0] = adata.obs["group"].to_numpy() == "a"
    adata.X[:, 1] -= 9 * (adata.obs["group"].to_numpy() == "b")
    adata.X[:, 2] = -1
    arguments = {"method": method, "reference": reference, "confidence": confidence, "tie_correct": tie_correct}
    result = by_scpdex(adata, "group", extras=("auc", *INTERVAL), **arguments)
    assert result["params"].get("confidence", 0.95) == confidence
    labels = adata.obs["group"].to_numpy()
    for group in result["names"].dtype.names:
        others = labels != group if reference == "rest" else labels == reference
        ours = all_by_gene(result, group)
        for j, gene in enumerate(adata.var_names):
            difference, error, freedom = plain_placements(adata.X[labels == group, j], adata.X[others, j])
            margin = stats.t.ppf((1 + confidence) / 2, freedom) * error if error else 0
            expected = [difference + 0.5, error, *np.clip([difference + 0.5 - margin, difference + 0.5 + margin], 0, 1)]
            np.testing.assert_allclose(ours.loc[gene, ["auc", *INTERVAL]].astype(float), expected, rtol=1e-10)


@pytest.mark.parametrize("tie_correct", [False, True])
@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_wilcoxon_is_what_it_was(dtype, reference, tie_correct):
    """Ranked by another kernel, with the same bits."""
    adata = labelled(values_of(dtype))
    arguments = {"method": "wilcoxon", "reference": reference, "tie_correct": tie_correct, "pts": True}
    plain = by_scpdex(adata, "group", extras=("auc", "u", "means", "log10_pvals"), **arguments)
    more = by_scpdex(adata, "group", extras=("auc", "u", "means", "log10_pvals", *INTERVAL), **arguments)
    for group in plain["names"].dtype.names:
        ours = all_by_gene(more, group).drop(columns=list(INTERVAL))
        pd.testing.assert_frame_equal(ours, all_by_gene(plain, group), check_exact=True)


def test_ends_are_cut():
    """Near 0 and 1 a symmetric interval leaves the range of the AUC."""
    values = np.r_[np.arange(4.0), np.arange(4.0) + 3][:, None]
    obs = pd.DataFrame({"group": [*"aaaabbbb"]}, index=[f"cell{i}" for i in range(8)])
    result = by_scpdex(ad.AnnData(values, obs=obs), "group", method="brunner-munzel", extras=("auc", *INTERVAL))
    assert result["auc_high"]["b"][0] == 1
    assert result["auc_low"]["a"][0] == 0
    assert 0 < result["auc_low"]["b"][0] < result["auc"]["b"][0] < 1


@pytest.mark.parametrize("kind", ["shifted", "counts"])
def test_coverage(kind):
    """The interval holds the AUC of the distributions as often as it says, up to the number of draws."""
    rng = np.random.default_rng(0)
    n_genes, sizes = 4_000, (60, 90)
    if kind == "shifted":
        a, b = (
            rng.normal(shift, spread, (n, n_genes)) for n, shift, spread in zip(sizes, (0.7, 0), (1, 2), strict=True)
        )
        auc = stats.norm.cdf(0.7 / np.sqrt(5))
    else:
        a, b = (rng.poisson(mean, (n, n_genes)).astype(float) for n, mean in zip(sizes, (1.4, 0.6), strict=True))
        k = np.arange(40)
        chances, chances_of_b = stats.poisson.pmf(k, 1.4), stats.poisson.pmf(k, 0.6)
        auc = sum(chances[i] * (chances_of_b[:i].sum() + chances_of_b[i] / 2) for i in k)
    obs = pd.DataFrame({"group": np.repeat([*"ab"], sizes)}, index=[f"cell{i}" for i in range(150)])
    adata = ad.AnnData(np.vstack([a, b]), obs=obs)
    for confidence in (0.8, 0.95):
        arguments = {"reference": "b", "extras": INTERVAL, "confidence": confidence}
        result = by_scpdex(adata, "group", method="brunner-munzel", **arguments)
        held = ((result["auc_low"]["a"] <= auc) & (auc <= result["auc_high"]["a"])).mean()
        # Four standard errors of a share of draws, and a hundredth for Satterthwaite's approximation.
        assert abs(held - confidence) < 4 * np.sqrt(confidence * (1 - confidence) / n_genes) + 0.01


@pytest.mark.parametrize("confidence", [0, 1, -0.1, 95, np.nan, True, "0.95", None])
def test_confidence_is_refused(confidence):
    adata = labelled(values_of("float32"))
    for verb in (scpdex.tl.rank_genes_parallel, scpdex.get.plan):
        with pytest.raises(ValueError, match=rf"confidence={confidence!r} is not valid: pass a probability"):
            verb(adata, "group", method="wilcoxon", confidence=confidence)


@pytest.mark.parametrize("extra", INTERVAL)
@pytest.mark.parametrize("method", ["t-test", "t-test_overestim_var", "anderson"])
def test_tests_without_placements(method, extra):
    adata = labelled(values_of("float32"))
    message = rf"extras=\['{extra}'\] are not for method='{method}': pass one of 'brunner-munzel', 'wilcoxon'"
    with pytest.raises(ValueError, match=message):
        scpdex.tl.rank_genes_parallel(adata, "group", method=method, extras=(extra,))


def test_strata_are_refused():
    adata = labelled(values_of("float32"))
    adata.obs["donor"] = np.resize([*"pq"], adata.n_obs)
    with pytest.raises(ValueError, match=r"extras=\['auc_low', 'auc_se'\] are not for strata"):
        scpdex.tl.rank_genes_parallel(
            adata, "group", method="wilcoxon", strata="donor", extras=("auc", "auc_se", "auc_low")
        )


def test_a_group_of_one_cell():
    adata = labelled(values_of("float64"))
    adata.obs["group"] = ["one", *np.resize([*"ab"], adata.n_obs - 1)]
    result = by_scpdex(adata, "group", method="wilcoxon", min_cells=1, extras=("auc", *INTERVAL))
    assert np.isfinite(result["auc"]["one"]).all()
    assert all(np.isnan(result[name]["one"]).all() for name in INTERVAL)
    assert all(np.isfinite(result[name]["a"]).all() for name in INTERVAL)


@pytest.mark.parametrize("storage", ["uns", "varm"])
def test_in_tables(tmp_path, storage):
    """In the order of the columns, and back from a file."""
    adata = labelled(values_of("float32"))
    scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", extras=INTERVAL, storage=storage, confidence=0.9)
    before = scpdex.get.rank_genes_df(adata)
    assert list(before)[-3:] == list(INTERVAL)
    adata.write_h5ad(tmp_path / "ranked.h5ad")
    pd.testing.assert_frame_equal(scpdex.get.rank_genes_df(ad.read_h5ad(tmp_path / "ranked.h5ad")), before)
