"""Calls from several threads, and what is left of a call that fails (rows 23 and 24 of the awkward inputs)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import pytest
from oracles import assert_same_bits, by_scpdex

import scpdex

GROUPBY = "bulk_labels"


def test_from_several_threads_at_once(pbmc):
    calls = [{"method": method, "reference": r} for method in ("wilcoxon", "t-test") for r in ("rest", "Dendritic")]
    expected = [by_scpdex(pbmc, GROUPBY, **arguments) for arguments in calls]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: by_scpdex(pbmc, GROUPBY, n_jobs=3, **calls[i % 4]), range(40)))
    for i, result in enumerate(results):
        assert_same_bits(result, expected[i % 4])


def test_threads_of_others_are_left_alone(pbmc):
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, n_jobs=2)
        assert numba.get_num_threads() == 1
    finally:
        numba.set_num_threads(before)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scpdex")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize(
    "stage",
    [
        "matrix._sparse.count_rows",
        "run._ranks.Summary.sums",
        "matrix._sparse.gather_rows",
        "run._order.adjust_pvals",
        "tl._rank_genes_parallel.order_table",
        "tl._rank_genes_parallel.store",
    ],
)
def test_nothing_is_left_of_a_call_that_fails(pbmc, monkeypatch, stage, error):
    pbmc.uns["rank_genes_groups"] = "as before"

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"scpdex.{stage}", fail)
        with pytest.raises(error):
            scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon", n_jobs=2)
    assert pbmc.uns["rank_genes_groups"] == "as before"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scpdex")]
    scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon", n_jobs=2)
    assert pbmc.uns["rank_genes_groups"]["params"]["method"] == "wilcoxon"


def test_one_thread_that_fails_stops_the_others(pbmc, monkeypatch):
    """With blocks of one gene, the other thread is told to stop long before its last block."""
    from scpdex.run._summary import Summary

    monkeypatch.setattr("scpdex.plan.GENES_PER_BLOCK", 1)
    sums, done, failed = Summary.sums, [], threading.Event()

    def sums_or_fail(self: Summary, block: Any) -> Any:
        if block.genes.start == 0:
            failed.set()
            raise MemoryError
        failed.wait()
        done.append(block.genes.start)
        return sums(self, block)

    monkeypatch.setattr(Summary, "sums", sums_or_fail)
    with pytest.raises(MemoryError):
        scpdex.tl.rank_genes_parallel(pbmc, GROUPBY, method="wilcoxon", n_jobs=2)
    assert len(done) < pbmc.raw.n_vars / 2
