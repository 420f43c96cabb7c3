"""Scores of markers against scranpy 0.3.1 itself, every effect and summary: `nox -s compat`."""

from typing import Any

import anndata as ad
import numpy as np
import pytest
import scranpy
from scipy import sparse

import scpdex

EFFECTS = ("auc", "cohens_d", "delta_mean", "delta_detected")
SUMMARIES = ("min", "mean", "median", "max", "min_rank")
KEY = "score_markers"


def _object(kind: str, n_cells: int = 700, n_genes: int = 80) -> ad.AnnData:
    """Seven groups of which one has one cell; the first gene is all zero, the second separates a group."""
    rng = np.random.default_rng(0)
    values = rng.poisson(rng.gamma(1, 1, n_genes), (n_cells, n_genes)).astype(np.float64)
    if kind == "logs":
        values = np.log1p(values * rng.uniform(0.5, 2, (n_cells, 1)))
    elif kind == "signed":
        # scranpy counts as detected what is above 0.
        values = rng.normal(size=values.shape)
    labels = rng.choice([f"c{i}" for i in range(6)], n_cells).astype(object)
    labels[7] = "one"
    values[:, 0] = 0
    values[:, 1] = np.where(labels == "c2", 5, 0)
    adata = ad.AnnData(sparse.csr_matrix(values))
    adata.obs["group"] = labels
    blocks = rng.choice(["x", "y", "z"], n_cells, p=[0.1, 0.3, 0.6])
    blocks[labels == "c3"], blocks[labels == "c4"] = "x", "y"
    adata.obs["block"] = blocks
    return adata


def _by_scranpy(adata: ad.AnnData, **options: Any) -> Any:
    return scranpy.score_markers(adata.X.T.tocsr(), adata.obs["group"].to_numpy().astype(str), **options)


@pytest.mark.parametrize("limit", [500, 20])
@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize("kind", ["counts", "logs", "signed"])
def test_every_effect_and_summary(kind, blocked, limit):
    adata = _object(kind)
    effects = [name for name in EFFECTS if kind != "signed" or name != "delta_detected"]
    scpdex.tl.score_markers(
        adata, "group", strata="block" if blocked else None, min_rank_limit=limit, pairwise=True, effects=effects
    )
    options = {"block": adata.obs["block"].to_numpy()} if blocked else {}
    expected = _by_scranpy(adata, min_rank_limit=limit, **options)
    of_pairs = _by_scranpy(adata, all_pairwise=True, **options)
    groups = list(adata.uns[KEY]["groups"])
    for effect in effects:
        pairs = np.array(adata.uns[KEY]["pairwise"][effect])
        pairs[np.eye(len(groups), dtype=bool)] = 0
        np.testing.assert_allclose(pairs, np.transpose(of_pairs[effect], (1, 0, 2)), rtol=1e-9, atol=1e-9)
        for summary in SUMMARIES:
            matrix = adata.varm[f"{KEY}_{effect}_{summary}"]
            theirs = np.stack([np.asarray(expected[effect][group][summary], dtype=float) for group in groups], axis=1)
            if summary == "min_rank":
                _compare_ranks(matrix, theirs, pairs, limit)
            else:
                np.testing.assert_allclose(matrix, theirs, rtol=1e-9, atol=1e-9, err_msg=f"{effect}_{summary}")


def _compare_ranks(ranks: np.ndarray, theirs: np.ndarray, pairs: np.ndarray, limit: int) -> None:
    """Compare best ranks, which may differ among effects that are equal but for rounding."""
    for gene, group in np.argwhere(ranks != theirs):
        is_near = np.abs(pairs[group] - pairs[group][:, [gene]]) < 1e-12
        most = is_near.sum(axis=1).max() - 1
        assert most >= 1
        both = sorted((ranks[gene, group], theirs[gene, group]))
        assert both[1] - both[0] <= most or both[0] > limit - most
