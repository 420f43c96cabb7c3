"""Genes of 40,000 cells, each kind of values by its own way to ranks: scipy agrees, storages to the bit."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from oracles import assert_same_bits, by_gene, by_scpdex, plain_rank_sum
from scipy import stats
from storages import STORAGES

N_CELLS = 40_000


def _counts(rng: np.random.Generator) -> np.ndarray:
    return rng.negative_binomial(2, 0.4, (N_CELLS, 3)).astype(np.float32)


KINDS = {
    "counts: a table": _counts,
    "log-normalised: buckets": lambda rng: np.log1p(_counts(rng) * rng.lognormal(1, 0.3, (N_CELLS, 1)).round(2)),
    "log-normalised and negative: buckets": lambda rng: -np.log1p(_counts(rng) / rng.lognormal(1, 0.3, (N_CELLS, 1))),
    "both signs: a sort": lambda rng: (rng.normal(size=(N_CELLS, 3)) * (_counts(rng) > 2)).round(3),
    "float64: a sort": lambda rng: np.log1p(_counts(rng) / rng.lognormal(1, 0.3, (N_CELLS, 1))).astype(np.float64),
}


def _object(kind: str) -> ad.AnnData:
    rng = np.random.default_rng(0)
    values = KINDS[kind](rng)
    values = values if "float64" in kind else values.astype(np.float32)
    labels = rng.choice(["a", "b", "c", "d"], N_CELLS, p=[0.6, 0.3, 0.0999, 0.0001])
    return ad.AnnData(values, obs=pd.DataFrame({"label": labels}, index=np.arange(N_CELLS).astype(str)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_scipy_agrees(kind, reference):
    adata = _object(kind)
    labels = adata.obs["label"].to_numpy()
    result = by_scpdex(adata, "label", method="wilcoxon", reference=reference, tie_correct=True)
    for group in result["names"].dtype.names:
        ours = by_gene(result, group)
        other = labels != group if reference == "rest" else labels == reference
        for j, gene in enumerate(adata.var_names):
            # scipy ranks float32 in float32, in which sums of ranks are rounded.
            x, y = adata.X[labels == group, j].astype(np.float64), adata.X[other, j].astype(np.float64)
            z, _ = plain_rank_sum(x, y, tie_correct=True, use_continuity=False)
            np.testing.assert_allclose(ours.loc[gene, "scores"], z, rtol=2e-7)
            u = stats.mannwhitneyu(x, y, use_continuity=False, method="asymptotic")
            np.testing.assert_allclose(ours.loc[gene, "pvals"], u.pvalue, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reference", ["rest", "b"])
def test_storages_threads_and_blocks_agree_to_the_bit(monkeypatch, kind, reference):
    adata = _object(kind)
    arguments = {"method": "wilcoxon", "reference": reference, "tie_correct": True, "pts": True}
    expected = by_scpdex(adata, "label", n_jobs=1, **arguments)
    monkeypatch.setattr("scpdex.plan.gene_blocks.GENES_PER_BLOCK", 2)
    for convert in STORAGES.values():
        other = ad.AnnData(convert(adata.X), obs=adata.obs, var=adata.var)
        for n_jobs in (1, 3):
            assert_same_bits(by_scpdex(other, "label", n_jobs=n_jobs, **arguments), expected)
