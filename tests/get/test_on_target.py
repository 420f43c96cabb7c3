"""The effect of each perturbation on its own target, in tables of pandas and polars."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from ranked import GROUPBY, rank
from scipy import stats

from scpdex.get import rank_genes_df


def perturbed(*, symbols: bool = False) -> ad.AnnData:
    """Perturbations of genes 0 to 3 and of one that was not measured, and a control."""
    rng = np.random.default_rng(0)
    targets = ["gene0", "gene1", "gene2", "gene3", "unmeasured", "control"]
    labels = np.repeat(targets, 40)
    values = rng.poisson(2, (labels.size, 8)).astype(np.float32)
    for j, target in enumerate(targets[:4]):
        values[labels == target, j] = rng.poisson(0.5 + 0.4 * j, 40)
    obs = pd.DataFrame({GROUPBY: pd.Categorical(labels + " guide", categories=[f"{t} guide" for t in targets])})
    obs["target"] = pd.Series(np.where(labels == "control", None, labels), dtype=object)
    adata = ad.AnnData(np.log1p(values), obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(8)]))
    if symbols:
        adata.var["symbol"] = adata.var_names.to_numpy()
        adata.var_names = [f"ENSG{j}" for j in range(8)]
    return adata


@pytest.mark.parametrize("symbols", [False, True])
def test_on_target(storage, symbols):
    adata = perturbed(symbols=symbols)
    names = {"gene_symbols": "symbol"} if symbols else {}
    rank(adata, storage, reference="control guide")
    whole = rank_genes_df(adata, **names)
    table = rank_genes_df(adata, on_target="target", **names)
    assert table["group"].tolist() == list(adata.obs[GROUPBY].cat.categories[:5])
    assert table["names"].tolist() == ["gene0", "gene1", "gene2", "gene3", "unmeasured"]
    numbers = ["scores", "logfoldchanges", "pvals", "pct_nz_group", "pct_nz_reference"]
    for i in range(4):
        rows = whole[(whole["group"] == table["group"][i]) & (whole[names.get("gene_symbols", "names")] == f"gene{i}")]
        np.testing.assert_array_equal(table.loc[i, numbers].to_numpy(float), rows[numbers].to_numpy(float)[0])
    np.testing.assert_allclose(table["pvals_adj"][:4], stats.false_discovery_control(table["pvals"][:4]))
    assert table.loc[4, [*numbers, "pvals_adj"]].isna().all()
    # filters and groups: adjusted over the rows of these groups
    assert rank_genes_df(adata, on_target="target", pval_cutoff=1.1, **names)["names"].tolist()[-1] == "gene3"
    two = rank_genes_df(adata, ["gene2 guide", "gene3 guide"], on_target="target", **names)
    np.testing.assert_allclose(two["pvals_adj"], stats.false_discovery_control(table["pvals"][2:4]))
    assert len(rank_genes_df(adata, "gene2 guide", on_target="target", **names)) == 1


def test_on_target_of_masked_genes(storage):
    """Not tested is as not measured."""
    adata = perturbed()
    rank(adata, storage, reference="control guide", mask_var=np.arange(8) != 1)
    table = rank_genes_df(adata, on_target="target")
    assert table["pvals"].isna().tolist() == [False, True, False, False, True]
    np.testing.assert_allclose(
        table["pvals_adj"].dropna(), stats.false_discovery_control(table["pvals"].dropna()), rtol=1e-12
    )


def test_on_target_of_groups_without_any(storage):
    """Against the rest, the control has a row too, and no target."""
    adata = perturbed()
    rank(adata, storage)
    table = rank_genes_df(adata, on_target="target")
    assert table["names"].isna().tolist() == [False] * 5 + [True]
    assert table["pvals_adj"].isna().tolist() == [False] * 4 + [True] * 2


def test_polars(pbmc, storage):
    pl = pytest.importorskip("polars")
    rank(pbmc, use_raw=False, storage=storage)
    expected, ours = rank_genes_df(pbmc, top_n=50), rank_genes_df(pbmc, top_n=50, backend="polars")
    assert ours.columns == list(expected.columns)
    assert ours.schema["group"] == pl.Enum(expected["group"].cat.categories.tolist())
    assert ours.schema["names"] == pl.String
    assert ours.schema["scores"] == pl.Float32
    assert ours["group"].to_list() == expected["group"].tolist()
    assert ours["names"].to_list() == expected["names"].tolist()
    assert ours["logfoldchanges"].null_count() == expected["logfoldchanges"].isna().sum() > 0
    np.testing.assert_array_equal(ours["pvals_adj"].to_numpy(), expected["pvals_adj"])
    adata = perturbed()
    rank(adata, "uns")
    assert rank_genes_df(adata, on_target="target", backend="polars")["names"].to_list()[-2:] == ["unmeasured", None]


def test_on_target_needs_all_genes(pbmc):
    """In the top genes, a target that is not there cannot be told from one that was not measured."""
    pbmc.obs["target"] = "CD79A"
    rank(pbmc, "uns", n_genes=5)
    with pytest.raises(ValueError, match=r"on_target needs all genes .* has 5 of them: rank with n_genes=None"):
        rank_genes_df(pbmc, on_target="target")
    sc.tl.rank_genes_groups(pbmc, GROUPBY, method="wilcoxon", n_genes=5)
    with pytest.raises(ValueError, match="needs all genes"):
        rank_genes_df(pbmc, on_target="target")


def test_groups_that_are_gone():
    adata = perturbed()
    rank(adata, "uns")
    adata = adata[40:].copy()
    with pytest.raises(ValueError, match=r"groups 'gene0 guide' of the result are not in adata\.obs"):
        rank_genes_df(adata, on_target="target")
