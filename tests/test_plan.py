"""The plan: every gene in one block, blocks within their bounds, no more threads than there is work for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scpdex import plan as p
from scpdex.resources import Resources


def facts(stored: list[int]) -> p.MatrixFacts:
    keys = np.dtype(np.uint32)
    return p.MatrixFacts("CSR", "float32", 8 * sum(stored), 1000, keys, np.array(stored, dtype=np.int64))


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=400), st.integers(1, 9), st.integers(1, 3000))
def test_every_gene_is_in_one_block(stored, n_threads, n_codes):
    plan = p.make_plan(facts(stored), n_codes, n_threads, "genes ranked")
    assert [gene for block in plan.blocks for gene in block] == list(range(len(stored)))
    assert 1 <= plan.n_threads <= n_threads
    most = max(p.LEAST_BYTES, p.SHARE_OF_MATRIX * 8 * sum(stored))
    for block in plan.blocks:
        assert len(block) <= p.GENES_PER_BLOCK
        n_bytes = 4 * sum(stored[block.start : block.stop]) + p.END_BYTES * n_codes * len(block)
        assert len(block) == 1 or n_bytes <= most
        assert [gene for tile in plan.tiles(block) for gene in tile] == list(block)


def test_little_work_takes_few_threads():
    assert p.make_plan(facts([5] * 600), 3, 100, "genes ranked").n_threads == 1


def test_a_plan_explains_itself():
    text = str(p.make_plan(facts([100] * 600), 3, 2, "genes ranked"))
    assert "CSR float32 in memory, 1,000 cells x 600 genes: " in text
    assert "genes ranked in 1 block of up to 600 genes on 2 threads" in text


@pytest.mark.parametrize("n_jobs", [None, -1])
def test_all_cores_of_this_process(monkeypatch, n_jobs):
    monkeypatch.setattr("joblib.cpu_count", lambda: 5)
    assert Resources.of(n_jobs, None).n_threads == 5
    assert Resources.of(np.int64(3), None).n_threads == 3
