"""strata: van Elteren's test against a plain implementation from scipy's ranks in each stratum."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_same_bits, by_gene, by_scpdex
from plain import plain_van_elteren
from storages import STORAGES
from stored import FORMS, budget_for, in_chunks, labelled, on_disk, values_of, without_slack
from tied_objects import REFERENCES, objects

import scpdex


def by_stratum(adata: ad.AnnData, group: str, reference: str, gene: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Values of both sides in each stratum."""
    labels, strata = adata.obs["label"].to_numpy(), adata.obs["donor"].to_numpy()
    values = np.asarray(adata.X[:, gene], dtype=np.float64)
    other = labels != group if reference == "rest" else labels == reference
    return [
        (values[(strata == h) & (labels == group)], values[(strata == h) & other])
        for h in pd.unique(strata[~pd.isna(strata)])
    ]


@settings(deadline=None, max_examples=150)
@given(objects(), REFERENCES, st.data())
def test_against_the_plain_formula(adata, reference, data):
    donors = data.draw(st.lists(st.sampled_from(["p", "q", "r", None]), min_size=adata.n_obs, max_size=adata.n_obs))
    adata.obs["donor"] = pd.Categorical(donors, categories=["p", "q", "r"])
    numbers = adata.obs["label"][adata.obs["donor"].notna()].value_counts()
    if (numbers.reindex(adata.obs["label"].cat.categories) < 2).any():
        return
    others = [group for group in adata.obs["label"].cat.categories if group != reference]
    sides = [by_stratum(adata, group, reference, 0) for group in others]
    if not any(a.size and b.size for of_group in sides for a, b in of_group):
        with pytest.raises(ValueError, match="no group shares a stratum with what it is compared with"):
            by_scpdex(adata, "label", method="wilcoxon", reference=reference, strata="donor")
        return
    result = by_scpdex(
        adata, "label", method="wilcoxon", reference=reference, strata="donor", extras=("auc", "u", "log10_pvals")
    )
    for group in result["names"].dtype.names:
        ours = by_gene(result, group)
        for field in ("auc", "u", "log10_pvals"):
            ours[field] = pd.Series(result[field][group], index=result["names"][group])
        for j, gene in enumerate(adata.var_names):
            z, p, u, pairs = plain_van_elteren(by_stratum(adata, group, reference, j))
            np.testing.assert_allclose(ours.loc[gene, "scores"], z, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(ours.loc[gene, "pvals"], p, rtol=1e-9)
            np.testing.assert_allclose(ours.loc[gene, "log10_pvals"], np.log10(p), rtol=1e-9, atol=1e-12)
            assert ours.loc[gene, "u"] == u
            np.testing.assert_allclose(ours.loc[gene, "auc"], u / pairs if pairs else np.nan, rtol=1e-12)


@pytest.mark.parametrize("reference", ["rest", "b"])
def test_one_stratum_is_the_rank_sum_test(monkeypatch, reference):
    adata = labelled(values_of("float32"))
    adata.obs["donor"] = "one"
    kept = []
    from scpdex.run import order_table

    def keep(table, *others):
        (level,) = table.comparisons
        kept.append({name: level.columns.read(name, slice(None)) for name in ("scores", "pvals", "logfoldchanges")})
        return order_table(table, *others)

    monkeypatch.setattr("scpdex.tl._rank_and_write.order_table", keep)
    arguments = {"method": "wilcoxon", "reference": reference, "tie_correct": True}
    scpdex.tl.rank_genes_parallel(adata, "group", strata="donor", **arguments)
    scpdex.tl.rank_genes_parallel(adata, "group", **arguments)
    for name in ("scores", "pvals"):
        np.testing.assert_allclose(kept[0][name], kept[1][name], rtol=1e-13, err_msg=name)
    np.testing.assert_array_equal(kept[0]["logfoldchanges"], kept[1]["logfoldchanges"])


def test_differences_between_strata_do_not_count():
    """Donors of another level, and in other proportions: only what lies within them counts."""
    rng = np.random.default_rng(0)
    donor = np.repeat([0, 1], 500)
    group = np.where(rng.random(1000) < np.where(donor == 0, 0.2, 0.8), "a", "b")
    values = np.abs(rng.normal(size=(1000, 20)) + 3 * donor[:, None] + 4)
    adata = ad.AnnData(values, obs=pd.DataFrame({"group": group, "donor": donor}, index=map(str, range(1000))))
    plain = by_scpdex(adata, "group", method="wilcoxon")
    stratified = by_scpdex(adata, "group", method="wilcoxon", strata="donor")
    assert (plain["pvals"]["a"] < 1e-30).all()
    assert (stratified["pvals"]["a"] > 1e-3).all()
    assert stratified["params"]["strata"] == "donor"
    assert stratified["params"]["tie_correct"] is True


def test_means_and_fractions_are_of_all_strata():
    """Log fold changes and pts are those of the cells that have a stratum, whatever it is."""
    adata = labelled(values_of("float32"))
    adata.obs["donor"] = np.resize(["p", "q", "r", "s"], adata.n_obs)
    arguments = {"method": "wilcoxon", "pts": True, "extras": ["means"], "tie_correct": True}
    ours, expected = (by_scpdex(adata, "group", strata=strata, **arguments) for strata in ("donor", None))
    for group in "abcde":
        a, b = by_gene(ours, group), by_gene(expected, group)
        np.testing.assert_allclose(a["logfoldchanges"], b["logfoldchanges"], rtol=1e-5)
    for field in ("pts", "pts_rest"):
        pd.testing.assert_frame_equal(ours[field], expected[field], check_exact=True)


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_storages_agree_to_the_bit(tmp_path, monkeypatch, dtype, reference):
    without_slack(monkeypatch)
    values = values_of(dtype)

    def with_donors(matrix):
        adata = labelled(matrix)
        adata.obs["donor"] = np.random.default_rng(2).choice(["p", "q", "r"], adata.n_obs)
        return adata

    arguments = {"method": "wilcoxon", "reference": reference, "strata": "donor", "extras": ["auc", "means"]}
    expected = by_scpdex(with_donors(values), "group", n_jobs=1, **arguments)
    for name, storage in STORAGES.items():
        adata = with_donors(storage(values))
        assert_same_bits(by_scpdex(adata, "group", n_jobs=2, gene_chunk_size=7, **arguments), expected)
        if name == "scipy.sparse.csr_matrix":
            stored = on_disk(adata, tmp_path, "h5ad")
            budget = budget_for(stored, "row buckets", **arguments)
            assert_same_bits(by_scpdex(stored, "group", max_memory=budget, **arguments), expected)
            assert_same_bits(by_scpdex(in_chunks(adata, 70, 30), "group", **arguments), expected)


def test_first_codes_without_a_cell(monkeypatch):
    """The first stratum lacks the first groups: where their values end is written all the same, whatever was there."""
    from scpdex.matrix._gene_block import BlockBuffers

    make = BlockBuffers.of

    def dirty(*arguments):
        room = make(*arguments)
        room.ends[:] = 1 << 20
        return room

    for module in ("_dense", "_sparse"):
        monkeypatch.setattr(f"scpdex.matrix.memory.{module}.BlockBuffers.of", dirty)
    values = values_of("float32")
    labels = np.array(["c"] * 100 + ["b", "c"] * 50 + ["a", "b"] * 50)
    obs = pd.DataFrame({"group": labels, "donor": np.repeat(["p", "q", "r"], 100)}, index=map(str, range(300)))
    results = [
        by_scpdex(ad.AnnData(storage(values), obs=obs.copy()), "group", method="wilcoxon", strata="donor", n_jobs=n)
        for storage in STORAGES.values()
        for n in (1, 2)
    ]
    for result in results[1:]:
        assert_same_bits(result, results[0])


def test_groups_without_a_stratum(messages):
    adata = labelled(values_of("float32"))
    adata.obs["donor"] = pd.Categorical(np.where(adata.obs["group"] == "a", None, "p"))
    result = by_scpdex(adata, "group", method="wilcoxon", strata="donor")
    assert "groups 'a' are left out: they have no cell with a value of 'donor'" in messages()
    assert result["names"].dtype.names == ("b", "c", "d", "e")
    with pytest.raises(ValueError, match="groups 'a' of 'group' since they only contain one sample, or none"):
        by_scpdex(adata, "group", groups=["a", "b"], method="wilcoxon", strata="donor")
    result = by_scpdex(adata, "group", groups=["a", "b"], method="wilcoxon", strata="donor", min_cells=2)
    assert result["params"]["skipped"].tolist() == ["a"]


def test_groups_that_share_no_stratum(messages):
    adata = labelled(values_of("float32"))
    adata.obs["donor"] = np.where(adata.obs["group"] == "a", "p", "q")
    result = by_scpdex(adata, "group", method="wilcoxon", reference="b", strata="donor", extras=["auc"])
    assert "groups 'a' have scores of 0: they share no stratum of 'donor' with the cells" in messages()
    assert (result["scores"]["a"] == 0).all()
    assert (result["pvals"]["a"] == 1).all()
    assert np.isnan(result["auc"]["a"]).all()
    assert result["params"]["apart"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"method": "t-test"}, ValueError, "strata needs method='wilcoxon': method='t-test' has no stratified form"),
        ({"method": "anderson"}, ValueError, "strata needs method='wilcoxon'"),
        ({"method": "wilcoxon", "use_continuity": True}, ValueError, "use_continuity=True is not for strata"),
        ({"method": "wilcoxon", "strata": "group"}, ValueError, "strata='group' is groupby too"),
        ({"method": "wilcoxon", "strata": "donr"}, KeyError, "strata='donr' names no column .* Did you mean 'donor'"),
        ({"method": "wilcoxon", "split_by": "donor"}, ValueError, "strata='donor' is split_by too"),
    ],
    ids=str,
)
def test_refused(wrong, error, message):
    adata = labelled(values_of("float32"))
    adata.obs["donor"] = np.resize(["p", "q"], adata.n_obs)
    with pytest.raises(error, match=message):
        scpdex.tl.rank_genes_parallel(adata, "group", **{"strata": "donor"} | wrong)
    assert not adata.uns


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_level_whose_groups_share_no_stratum(form):
    """Its cells take no part, and the other level is what it is alone."""
    adata = labelled(form(values_of("float32", 120)))
    adata.obs["group"] = pd.Categorical(np.resize(["a", "b", "a", "b", "c", "a"], 120))
    adata.obs["level"] = np.repeat(["x", "y"], 60)
    apart = np.where(adata.obs["group"] == "a", "p", np.where(adata.obs["group"] == "b", "q", "r"))
    adata.obs["donor"] = np.where(adata.obs["level"] == "x", apart, np.resize(["p", "q"], 120))
    arguments = {"method": "wilcoxon", "strata": "donor"}
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="level", **arguments)
    assert adata.uns["rank_genes_groups"]["splits"] == ["y"]
    alone = by_scpdex(adata[60:].copy(), "group", **arguments)
    assert_same_bits(adata.uns["rank_genes_groups_y"], alone)
