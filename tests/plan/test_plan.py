"""The plan: every gene in one block, blocks within their bounds, no more threads than there is work for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scpdex.machine.limits import Limits
from scpdex.machine.resources import Resources
from scpdex.plan import make_plan as p
from scpdex.plan.matrix_info import MatrixInfo, Requirements, Workers
from scpdex.plan.memory_model import MemoryModel
from scpdex.plan.plan import GENES_PER_BLOCK

PLENTY = 1 << 40
NEEDS = Requirements(
    "genes ranked",
    3,
    3,
    most_codes=3,
    together=True,
    moments=False,
    with_expm1=False,
    few_cells=True,
    in_order=False,
    of_statistics=20,
    of_family=0,
    normalized=False,
)


def facts(stored: list[int]) -> MatrixInfo:
    keys = np.dtype(np.uint32)
    return MatrixInfo("CSR", "float32", "in memory", 8 * sum(stored), 1000, keys, np.array(stored, dtype=np.int64))


def on_disk(stored: list[int], **known: object) -> MatrixInfo:
    whole = {"place": "in an HDF5 file", "chunked": True, "by_rows": True, "n_rows": 1000, "bytes_per_value": 8}
    return replace(facts(stored), n_values=sum(stored), **(whole | known))


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=400), st.integers(1, 9), st.integers(1, 3000))
def test_every_gene_is_in_one_block(stored, n_threads, n_codes):
    needs = replace(NEEDS, n_codes=n_codes)
    plan = p.make_plan(facts(stored), needs, Limits(n_threads, PLENTY, None))
    assert plan.strategy == "shared buffers"
    assert [gene for block in plan.blocks for gene in block] == list(range(len(stored)))
    assert 1 <= plan.n_threads <= n_threads
    most = max(p.LEAST_BYTES, p.SHARE_OF_MATRIX * 8 * sum(stored))
    for block in plan.blocks:
        assert len(block) <= GENES_PER_BLOCK
        n_bytes = 4 * sum(stored[block.start : block.stop]) + 4 * n_codes * len(block)
        assert len(block) == 1 or n_bytes <= most
        assert [gene for tile in plan.tiles(block) for gene in tile] == list(block)


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=400),
    st.integers(1, 9),
    st.integers(1, 3000),
    st.integers(10**6, 10**9),
    st.booleans(),
    st.booleans(),
)
def test_chunked_plans_keep_to_the_budget(stored, n_threads, n_codes, max_memory, moments, by_rows):
    needs = replace(NEEDS, n_codes=n_codes, n_groups=n_codes, moments=moments)
    known = on_disk(stored, by_rows=by_rows, format="CSR" if by_rows else "CSC", are_counts=True)
    try:
        plan = p.make_plan(known, needs, Limits(n_threads, max_memory, None))
    except ValueError as error:
        assert "is too little" in str(error) or "this takes" in str(error)  # noqa: PT017
        return
    assert plan.peak_memory <= max_memory
    assert plan.scratch >= 0
    assert [gene for block in plan.blocks for gene in block] == list(range(len(stored)))
    if plan.strategy == "row buckets":
        kept = min(plan.kept, MemoryModel(needs).entries(known, plan.piece))
        again = p.with_counts(plan, known.stored, kept, spilled=plan.scratch > 0)
        assert [gene for block in again.blocks for gene in block] == list(range(len(stored)))


def in_chunks(stored: list[int], n_values: int, *, longest: int, workers: Workers | None = None) -> MatrixInfo:
    known = on_disk(stored, place="in dask chunks", longest_chunk=longest, workers=workers)
    return replace(known, n_values=n_values)


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=300),
    st.integers(1, 100),
    st.integers(1, 16),
    st.integers(10**8, 10**10),
    st.integers(1, 3000),
    st.booleans(),
)
def test_workers_keep_to_their_memory(stored, n_workers, n_threads, memory, n_codes, moments):
    """Parts and blocks fit a thread, but for a chunk or gene that cannot be cut."""
    needs = replace(NEEDS, n_codes=n_codes, n_groups=n_codes, moments=moments)
    workers = Workers(n_workers, n_workers * n_threads, memory)
    known = in_chunks(stored, max(1, sum(stored)), longest=1000, workers=workers)
    plan = p.make_plan(known, needs, Limits(2, PLENTY, None))
    assert plan.strategy in {"combined sums", "gene shuffle"}
    assert [gene for block in plan.blocks for gene in block] == list(range(len(stored)))
    of_gene = 10 * np.array(stored) + 24 * n_codes
    for block in plan.blocks:
        assert len(block) == 1 or of_gene[block.start : block.stop].sum() <= memory
    assert plan.piece * MemoryModel(needs).of_part(known) <= memory
    if plan.strategy == "combined sums":
        assert 12 * 49 * n_codes * len(stored) <= memory


def test_strategies_for_chunks():
    """Sums that are combined where they are fewer than values; else genes that meet, here or on workers."""
    workers = Workers(2, 2, 10**9)
    moments = replace(NEEDS, moments=True)
    much = Limits(2, 10**9, None)
    for where, sorted_in in ((None, "row buckets"), (workers, "gene shuffle")):
        known = in_chunks([100_000] * 300, 30_000_000, longest=100_000, workers=where)
        assert p.make_plan(known, moments, much).strategy == "combined sums"
        assert p.make_plan(known, NEEDS, much).strategy == sorted_in
        assert p.make_plan(replace(known, are_counts=True), NEEDS, much).strategy == "combined sums"
        assert p.make_plan(known, moments, replace(much, gene_chunk_size=7)).strategy == sorted_in
        assert p.make_plan(known, replace(moments, n_codes=50_000), much).strategy == sorted_in
        normalized = replace(NEEDS, normalized=True)
        assert p.make_plan(replace(known, are_counts=True), normalized, much).strategy == sorted_in


def test_strategies():
    """Columns where they lie together, rows sorted into genes else; sums while rows pass rather than scratch."""
    stored = [100_000] * 300
    few = Limits(2, 100_000_000, None)
    much = Limits(2, PLENTY, None)
    counts = on_disk(stored, are_counts=True, n_rows=200_000, n_cells=200_000)
    reals = replace(counts, are_counts=False)
    moments = replace(NEEDS, moments=True)
    assert p.make_plan(replace(counts, by_rows=False, format="CSC"), NEEDS, few).strategy == "column blocks"
    assert p.make_plan(counts, NEEDS, much).strategy == "loaded rows"
    in_memory = p.make_plan(replace(counts, place="in memory"), NEEDS, much)
    assert (in_memory.strategy, in_memory.scratch) == ("row buckets", 0)
    assert p.make_plan(reals, NEEDS, few).strategy == "row buckets"
    assert p.make_plan(reals, NEEDS, few).scratch > 0
    assert p.make_plan(counts, NEEDS, few).strategy == "row passes"
    assert p.make_plan(reals, moments, few).strategy == "row passes"
    assert p.make_plan(reals, moments, few).scratch == 0
    assert p.make_plan(counts, replace(NEEDS, few_cells=False), few).strategy == "row buckets"
    assert p.make_plan(counts, replace(NEEDS, n_codes=20_000), few).strategy == "row buckets"


def test_chunks_of_dense_columns():
    """Blocks end where chunks do; where chunks are wider than blocks can be, rows are read instead."""
    stored = [100_000] * 300
    dense = on_disk(stored, by_rows=False, format="dense", n_rows=100_000, bytes_per_value=4)
    narrow = replace(dense, chunk_starts=np.arange(300) // 7)
    plan = p.make_plan(narrow, NEEDS, Limits(2, 60_000_000, None))
    assert plan.strategy == "column blocks"
    assert len(plan.blocks) > 2
    assert all(block.stop % 7 == 0 for block in plan.blocks[:-1])
    wide = replace(dense, chunk_starts=np.zeros(300, dtype=int))
    assert p.make_plan(wide, NEEDS, Limits(2, 60_000_000, None)).strategy == "row buckets"


def test_chunk_size_and_budget():
    known = on_disk([100_000] * 300, n_rows=100_000, n_cells=100_000)
    plan = p.make_plan(known, NEEDS, Limits(2, PLENTY, 7))
    assert [len(block) for block in plan.blocks] == [7] * 42 + [6]
    with pytest.raises(ValueError, match=r"gene_chunk_size=300 would take .* more than max_memory=100 MB"):
        p.make_plan(known, NEEDS, Limits(2, 100_000_000, 300))
    with pytest.raises(ValueError, match=r"max_memory=2 MB is too little: .* MB are needed for 100,000 cells"):
        p.make_plan(known, NEEDS, Limits(2, 2_000_000, None))


def test_little_work_takes_few_threads():
    assert p.make_plan(facts([5] * 600), NEEDS, Limits(100, PLENTY, None)).n_threads == 1


def test_a_plan_explains_itself():
    text = str(p.make_plan(facts([100] * 600), NEEDS, Limits(2, PLENTY, None)))
    assert "CSR float32 in memory, 1,000 cells x 600 genes: " in text
    assert "genes ranked in 1 block of up to 600 genes on 2 threads" in text
    text = str(p.make_plan(on_disk([100_000] * 600, n_cells=100_000), NEEDS, Limits(2, 10**8, None)))
    assert "in an HDF5 file, 100,000 cells x 600 genes, rows sorted into genes" in text
    assert "1 pass over the data" in text
    assert "of 100 MB memory" in text
    assert "MB scratch" in text


@pytest.mark.parametrize("n_jobs", [None, -1])
def test_all_cores_of_this_process(monkeypatch, n_jobs):
    monkeypatch.setattr("joblib.cpu_count", lambda: 5)
    assert Resources.of(n_jobs=n_jobs).limits.n_threads == 5
    assert Resources.of(n_jobs=np.int64(3)).limits.n_threads == 3
