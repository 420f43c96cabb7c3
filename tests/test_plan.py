"""The plan: every gene in one block, blocks within their bounds, effort shared evenly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scpdex import plan as p
from scpdex.resources import Resources


def facts(stored: list[int], entry_bytes: int = 6) -> p.MatrixFacts:
    return p.MatrixFacts("CSR", "float32", 8 * sum(stored), 1000, entry_bytes, np.array(stored, dtype=np.int64))


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=400), st.integers(1, 9), st.integers(1, 3000))
def test_every_gene_is_in_one_block(stored, n_threads, n_codes):
    plan = p.make_plan(facts(stored), n_codes, n_threads, "genes sorted")
    genes = [gene for run in plan.runs for block in run for gene in block]
    assert genes == list(range(len(stored)))
    assert 1 <= len(plan.runs) <= n_threads
    most = max(p.LEAST_BYTES, p.SHARE_OF_MATRIX * 8 * sum(stored)) / n_threads
    for run in plan.runs:
        for block in run:
            assert len(block) <= p.GENES_PER_BLOCK
            assert len(block) == 1 or sum(stored[block.start : block.stop]) * 6 <= most
            assert [gene for tile in plan.tiles(block) for gene in tile] == list(block)


def test_threads_share_the_effort():
    stored = [1000] * 10 + [10] * 1000
    plan = p.make_plan(facts(stored), 1, 2, "genes sorted")
    efforts = [sum(stored[gene] + p._ENTRIES_PER_PAIR for block in run for gene in block) for run in plan.runs]
    assert max(efforts) < 1.2 * min(efforts)


def test_little_work_takes_few_threads():
    assert len(p.make_plan(facts([5] * 600), 3, 100, "genes sorted").runs) == 1


def test_a_plan_explains_itself():
    text = str(p.make_plan(facts([100] * 600), 3, 2, "genes sorted"))
    assert "CSR float32 in memory, 1,000 cells x 600 genes: " in text
    assert "genes sorted in 4 blocks of up to 256 genes on 2 threads" in text


@pytest.mark.parametrize("n_jobs", [None, -1])
def test_all_cores_of_this_process(monkeypatch, n_jobs):
    monkeypatch.setattr("joblib.cpu_count", lambda: 5)
    assert Resources.of(n_jobs, None).n_threads == 5
    assert Resources.of(np.int64(3), None).n_threads == 3
