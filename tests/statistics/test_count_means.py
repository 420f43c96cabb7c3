"""Mean counts and mean logs beside the means of the values: second means, by numpy, on every way through the data."""

from typing import Any

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from oracles import by_scpdex
from scipy import sparse
from stored import budget_for, in_chunks, labelled, on_disk, values_of, without_slack

import scpdex
from scpdex.statistics import options
from scpdex.statistics.value_transform import ValueTransform


def logs(dtype: str = "float64") -> np.ndarray:
    return np.log1p(np.abs(values_of("int16"))).astype(dtype)


def assert_count_means(adata: ad.AnnData, result: Any, values: np.ndarray, *, rtol: float = 1e-12) -> None:
    """Of log values, cells x genes; ``result`` is against the rest or the reference that its parameters name."""
    labels, reference = adata.obs["group"].to_numpy(), result["params"]["reference"]
    counts = np.expm1(values.astype(np.float64))
    for group in result["names"].dtype.names:
        is_other = labels != group if reference == "rest" else labels == reference
        order = adata.var_names.get_indexer(result["names"][group])
        for name, cells in (("count_means", labels == group), ("count_means_reference", is_other)):
            np.testing.assert_allclose(result[name][group], counts[cells].mean(axis=0)[order], rtol=rtol, atol=1e-15)


@pytest.mark.parametrize(
    ("method", "reference", "mean_in_log_space"),
    [("wilcoxon", "rest", True), ("wilcoxon", "b", False), ("t-test", "b", True), ("anderson", "rest", False)],
)
def test_storages(storage, method, reference, mean_in_log_space):
    """All else keeps its bits."""
    values = logs("float32")
    adata = labelled(storage(values))
    arguments = {"method": method, "reference": reference, "mean_in_log_space": mean_in_log_space}
    plain = by_scpdex(adata, "group", extras=["means"], **arguments)
    result = by_scpdex(adata, "group", extras=["count_means", "means"], **arguments)
    assert_count_means(adata, result, values)
    for name in ("names", "scores", "pvals", "logfoldchanges", "means", "means_reference"):
        np.testing.assert_array_equal(result[name], plain[name])
    in_parts = by_scpdex(adata, "group", extras=["count_means"], low_memory=True, gene_chunk_size=5, **arguments)
    for name in ("count_means", "count_means_reference"):
        np.testing.assert_array_equal(in_parts[name], result[name])


@pytest.mark.parametrize("strategy", ["row buckets", "row passes"])
@pytest.mark.parametrize("method", ["wilcoxon", "t-test"])
def test_row_strategies(monkeypatch, strategy, method):
    """Whole numbers, so that rows may pass twice with tallies."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 100)
    if strategy == "row buckets":
        monkeypatch.setattr("scpdex.plan.strategies.row_passes.propose", lambda *_: None)
    values = np.abs(values_of("int16"))
    adata = labelled(sparse.csr_matrix(values))
    arguments = {"method": method, "low_memory": True, "extras": ["count_means"]}
    result = by_scpdex(adata, "group", max_memory=budget_for(adata, strategy, **arguments), **arguments)
    assert_count_means(adata, result, values)
    np.testing.assert_array_equal(result["count_means"], by_scpdex(adata, "group", **arguments)["count_means"])


def test_stores(tmp_path):
    """dask adds parts up in another order."""
    values = logs()
    adata = labelled(sparse.csr_matrix(values))
    arguments = {"method": "wilcoxon", "extras": ["count_means"], "copy": True}
    for form in ("h5ad", "zarr"):
        result = scpdex.tl.rank_genes_parallel(on_disk(adata, tmp_path, form), "group", **arguments)
        assert_count_means(adata, result.uns["rank_genes_groups"], values)
    result = scpdex.tl.rank_genes_parallel(in_chunks(adata, 30, 7), "group", **arguments)
    assert_count_means(adata, result.uns["rank_genes_groups"], values, rtol=1e-11)


def test_normalized_counts():
    """The counts that are normalized, not the raw ones."""
    counts = labelled(sparse.csr_matrix(np.abs(values_of("int16")).astype(np.float64)))
    normalized = counts.copy()
    sc.pp.normalize_total(normalized, target_sum=100)
    sc.pp.log1p(normalized)
    result = by_scpdex(counts, "group", normalize=100, extras=["count_means"])
    assert_count_means(normalized, result, normalized.X.toarray())


def test_levels_strata_and_base():
    """Means of all strata together; values times the natural log of their base."""
    values = logs() / np.log(2)
    adata = labelled(values)
    adata.uns["log1p"] = {"base": 2.0}
    adata.obs["donor"] = np.resize(["x", "y", "z"], adata.n_obs)
    result = by_scpdex(adata, "group", method="wilcoxon", strata="donor", extras=["count_means"])
    assert_count_means(adata, result, values * np.log(2))
    scpdex.tl.rank_genes_parallel(adata, "group", split_by="donor", extras=["count_means"])
    level = adata.obs["donor"] == "y"
    result = adata.uns["rank_genes_groups_y"]
    assert_count_means(adata[level], result, values[level] * np.log(2))


def test_transform():
    """One second mean for all columns that need it; none where none does."""
    assert options.TestOptions(extras=("means",)).transform is None
    for arguments in ({"extras": ("count_means",)}, {"mean_in_log_space": False}):
        assert options.TestOptions(log_base=2, **arguments).transform == ValueTransform(np.log(2))
    assert options.TestOptions("wilcoxon", column_names=("pvals", "log_means")).transform == ValueTransform(None)


def test_refused_for_logistic_regression():
    with pytest.raises(ValueError, match="does not take extras"):
        by_scpdex(labelled(logs()), "group", method="logreg", extras=["count_means"])
