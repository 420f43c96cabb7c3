"""Gene blocks of any size give the same bits, and no block holds a mask for each group."""

import numpy as np
import pytest
from oracles import assert_same_bits, by_scpdex
from small import METHODS, small, three, tied

import scpdex


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize(
    ("genes", "pairs", "least_bytes"), [(1, 1, 1), (5, 7, 1 << 20), (7, 1 << 20, 2000), (1000, 40, 1)]
)
def test_block_sizes(monkeypatch, storage, method, reference, genes, pairs, least_bytes):
    """Row 16: the same bits for every size of blocks, a last shorter one and one beyond the matrix included."""
    adata = small(storage(tied()), three())
    arguments = {"method": method, "reference": reference, "tie_correct": True, "pts": True}
    expected = by_scpdex(adata, "label", n_jobs=1, **arguments)
    monkeypatch.setattr("scpdex.plan.gene_blocks.GENES_PER_BLOCK", genes)
    monkeypatch.setattr("scpdex.plan.plan.PAIRS_PER_TILE", pairs)
    monkeypatch.setattr("scpdex.plan.gene_blocks.MIN_BLOCK_BYTES", least_bytes)
    monkeypatch.setattr("scpdex.plan.make_plan.LEAST_NONZEROS_PER_THREAD", 1)
    for n_jobs in (1, 2, 3, 30):
        assert_same_bits(by_scpdex(adata, "label", n_jobs=n_jobs, **arguments), expected)


def test_no_mask_per_group():
    """Row 18: 2,000 groups of 2 cells cost no 2,000 masks of 4,000 cells."""
    import tracemalloc

    n_groups = 2000
    adata = small(tied(2 * n_groups, 4), np.arange(2 * n_groups) % n_groups)
    scpdex.tl.rank_genes_parallel(adata, "label", method="wilcoxon")
    tracemalloc.start()
    scpdex.tl.rank_genes_parallel(adata, "label", method="wilcoxon")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(adata.uns["rank_genes_groups"]["names"].dtype.names) == n_groups
    assert peak < n_groups * 2 * n_groups
