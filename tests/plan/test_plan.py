"""The plan: every gene in one block, blocks within their bounds, no more threads than there is work for."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scpdex.machine.limits import Limits
from scpdex.machine.resources import Resources
from scpdex.plan import strategies as plan_strategies
from scpdex.plan.counted_blocks import cut_counted_blocks
from scpdex.plan.gene_blocks import GENES_PER_BLOCK, MIN_BLOCK_BYTES, SHARE_OF_MATRIX
from scpdex.plan.make_plan import make_plan
from scpdex.plan.matrix_info import ChunkedMatrix, ClusterDaskMatrix, LocalDaskMatrix, MemoryMatrix, Workers
from scpdex.plan.memory_model import ChunkedMemoryModel, ClientMemoryModel
from scpdex.plan.requirements import Requirements
from scpdex.run import strategies as run_strategies

ROOT = Path(__file__).parents[2]

PLENTY = 1 << 40
RANKS = Requirements(
    description="genes ranked",
    n_groups=3,
    n_codes=3,
    most_numbers_per_gene=3,
    ranks_all_cells_together=True,
    only_moments=False,
    sums_transformed=False,
    exact_tie_sums=True,
    sorts_values=False,
    bytes_per_pair=20,
    bytes_per_pair_to_order=20,
    bytes_per_pair_to_adjust=0,
    normalizes=False,
)
MOMENTS = replace(RANKS, only_moments=True)


def known(nonzeros: list[int], **other: Any) -> dict[str, Any]:
    """What is known of a matrix of any storage."""
    common = {"format": "CSR", "dtype": "float32", "n_bytes": 8 * sum(nonzeros), "n_cells": 1000}
    return common | {"key_dtype": np.dtype(np.uint32), "max_nonzeros": np.array(nonzeros, dtype=np.int64)} | other


def in_memory(nonzeros: list[int]) -> MemoryMatrix:
    return MemoryMatrix(**known(nonzeros))


def in_parts(nonzeros: list[int], **other: Any) -> dict[str, Any]:
    parts = {"expected_nonzeros": np.array(nonzeros, dtype=np.int64), "n_values": sum(nonzeros), "n_spanned_rows": 1000}
    return known(nonzeros) | parts | {"bytes_per_value": 8} | other


def on_disk(nonzeros: list[int], **other: Any) -> ChunkedMatrix:
    rows = {"reads_columns": False, "reads_rows": True, "reorders_cells": False, "chunk_of_gene": None}
    return ChunkedMatrix(**in_parts(nonzeros) | {"place": "in an HDF5 file", "may_load": True} | rows | other)


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=400), st.integers(1, 9), st.integers(1, 3000))
def test_every_gene_is_in_one_block(stored, n_threads, n_codes):
    requirements = replace(RANKS, n_codes=n_codes)
    plan = make_plan(in_memory(stored), requirements, Limits(n_threads, PLENTY, None))
    assert plan.strategy == "shared buffers"
    assert [gene for block in plan.blocks for gene in block] == list(range(len(stored)))
    assert 1 <= plan.n_threads <= n_threads
    most = max(MIN_BLOCK_BYTES, SHARE_OF_MATRIX * 8 * sum(stored))
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
    requirements = replace(RANKS, n_codes=n_codes, n_groups=n_codes, only_moments=moments)
    form = {} if by_rows else {"format": "CSC", "reads_columns": True, "reads_rows": False}
    matrix = on_disk(stored, are_counts=True, **form)
    try:
        plan = make_plan(matrix, requirements, Limits(n_threads, max_memory, None))
    except ValueError as error:
        assert "is too little" in str(error) or "this takes" in str(error)  # noqa: PT017
        return
    assert plan.peak_memory <= max_memory
    assert plan.scratch >= 0
    assert [gene for block in plan.blocks for gene in block] == list(range(len(stored)))
    if plan.strategy == "row buckets":
        model = ChunkedMemoryModel(matrix, requirements, plan.limits)
        kept = min(plan.max_bucket_bytes, model.bucket_bytes(plan.values_per_piece))
        again = cut_counted_blocks(plan, matrix.max_nonzeros, kept, in_scratch=plan.scratch > 0)
        assert [gene for block in again.blocks for gene in block] == list(range(len(stored)))


def in_chunks(
    nonzeros: list[int], n_values: int, *, longest: int, workers: Workers | None = None
) -> LocalDaskMatrix | ClusterDaskMatrix:
    parts = in_parts(nonzeros, n_values=n_values) | {"values_of_longest_chunk": longest}
    return LocalDaskMatrix(**parts) if workers is None else ClusterDaskMatrix(**parts, workers=workers)


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
    requirements = replace(RANKS, n_codes=n_codes, n_groups=n_codes, only_moments=moments)
    workers = Workers(n_workers, n_workers * n_threads, memory)
    matrix = in_chunks(stored, max(1, sum(stored)), longest=1000, workers=workers)
    plan = make_plan(matrix, requirements, Limits(2, PLENTY, None))
    assert plan.strategy in {"combined sums", "gene shuffle"}
    assert [gene for block in plan.blocks for gene in block] == list(range(len(stored)))
    of_gene = 10 * np.array(stored) + 24 * n_codes
    for block in plan.blocks:
        assert len(block) == 1 or of_gene[block.start : block.stop].sum() <= memory
    bytes_per_value = ClientMemoryModel(matrix, requirements, plan.limits).bytes_per_value_of_chunk
    assert plan.values_per_piece * bytes_per_value <= memory
    if plan.strategy == "combined sums":
        assert 12 * 49 * n_codes * len(stored) <= memory


def test_strategies_for_chunks():
    """Sums that are combined where they are fewer than values; else genes that meet, here or on workers."""
    workers = Workers(2, 2, 10**9)
    much = Limits(2, 10**9, None)
    for where, sorted_in in ((None, "row buckets"), (workers, "gene shuffle")):
        matrix = in_chunks([100_000] * 300, 30_000_000, longest=100_000, workers=where)
        assert make_plan(matrix, MOMENTS, much).strategy == "combined sums"
        assert make_plan(matrix, RANKS, much).strategy == sorted_in
        assert make_plan(replace(matrix, are_counts=True), RANKS, much).strategy == "combined sums"
        assert make_plan(matrix, MOMENTS, replace(much, gene_chunk_size=7)).strategy == sorted_in
        assert make_plan(matrix, replace(MOMENTS, n_codes=50_000), much).strategy == sorted_in
        normalized = replace(RANKS, normalizes=True)
        assert make_plan(replace(matrix, are_counts=True), normalized, much).strategy == sorted_in


def test_strategies():
    """Columns where they lie together, rows sorted into genes else; sums while rows pass rather than scratch."""
    stored = [100_000] * 300
    few = Limits(2, 100_000_000, None)
    much = Limits(2, PLENTY, None)
    counts = on_disk(stored, are_counts=True, n_spanned_rows=200_000, n_cells=200_000)
    reals = replace(counts, are_counts=False)
    assert (
        make_plan(replace(counts, reads_columns=True, reads_rows=False, format="CSC"), RANKS, few).strategy
        == "column blocks"
    )
    assert make_plan(counts, RANKS, much).strategy == "loaded rows"
    from_memory = make_plan(replace(counts, may_load=False), RANKS, much)
    assert (from_memory.strategy, from_memory.scratch) == ("row buckets", 0)
    assert make_plan(reals, RANKS, few).strategy == "row buckets"
    assert make_plan(reals, RANKS, few).scratch > 0
    assert make_plan(counts, RANKS, few).strategy == "row passes"
    assert make_plan(reals, MOMENTS, few).strategy == "row passes"
    assert make_plan(reals, MOMENTS, few).scratch == 0
    assert make_plan(counts, replace(RANKS, exact_tie_sums=False), few).strategy == "row buckets"
    assert make_plan(counts, replace(RANKS, n_codes=20_000), few).strategy == "row buckets"


def test_chunks_of_dense_columns():
    """Blocks end where chunks do; where chunks are wider than blocks can be, rows are read instead."""
    stored = [100_000] * 300
    dense = on_disk(stored, reads_columns=True, format="dense", n_spanned_rows=100_000, bytes_per_value=4)
    narrow = replace(dense, chunk_of_gene=np.arange(300) // 7)
    plan = make_plan(narrow, RANKS, Limits(2, 60_000_000, None))
    assert plan.strategy == "column blocks"
    assert len(plan.blocks) > 2
    assert all(block.stop % 7 == 0 for block in plan.blocks[:-1])
    wide = replace(dense, chunk_of_gene=np.zeros(300, dtype=int))
    assert make_plan(wide, RANKS, Limits(2, 60_000_000, None)).strategy == "row buckets"


def test_chunk_size_and_budget():
    matrix = on_disk([100_000] * 300, n_spanned_rows=100_000, n_cells=100_000)
    plan = make_plan(matrix, RANKS, Limits(2, PLENTY, 7))
    assert [len(block) for block in plan.blocks] == [7] * 42 + [6]
    with pytest.raises(ValueError, match=r"gene_chunk_size=300 would take .* more than max_memory=100 MB"):
        make_plan(matrix, RANKS, Limits(2, 100_000_000, 300))
    with pytest.raises(ValueError, match=r"max_memory=2 MB is too little: .* MB are needed for 100,000 cells"):
        make_plan(matrix, RANKS, Limits(2, 2_000_000, None))


def test_little_work_takes_few_threads():
    assert make_plan(in_memory([5] * 600), RANKS, Limits(100, PLENTY, None)).n_threads == 1


def test_a_plan_explains_itself():
    text = str(make_plan(in_memory([100] * 600), RANKS, Limits(2, PLENTY, None)))
    assert "CSR float32 in memory, 1,000 cells x 600 genes: " in text
    assert "genes ranked in 1 block of up to 600 genes on 2 threads" in text
    text = str(make_plan(on_disk([100_000] * 600, n_cells=100_000), RANKS, Limits(2, 10**8, None)))
    assert "in an HDF5 file, 100,000 cells x 600 genes, rows sorted into genes" in text
    assert "1 pass over the data" in text
    assert "of 100 MB memory" in text
    assert "MB scratch" in text


@pytest.mark.parametrize("n_jobs", [None, -1])
def test_all_cores_of_this_process(monkeypatch, n_jobs):
    monkeypatch.setattr("joblib.cpu_count", lambda: 5)
    assert Resources.of(n_jobs=n_jobs).limits.n_threads == 5
    assert Resources.of(n_jobs=np.int64(3)).limits.n_threads == 3


def test_a_strategy_has_one_name():
    """The same in both folders, in the table of the plan, in what is proposed, and on the page."""
    folders = [Path(package.__path__[0]) for package in (plan_strategies, run_strategies)]
    files = [{path.stem for path in folder.glob("*.py")} - {"__init__"} for folder in folders]
    assert files[0] == files[1] == {strategy.__name__.rpartition(".")[2] for strategy in plan_strategies.STRATEGIES}
    names = {name.replace("_", " ") for name in files[0]}
    assert {
        re.search(r'strategy="([a-z ]+)"', (folders[0] / f"{name}.py").read_text())[1] for name in files[0]
    } == names
    page = (ROOT / "docs" / "how-it-chooses.md").read_text(encoding="utf-8")
    assert {line[2:].split(" |")[0] for line in page.splitlines() if line.startswith("| ")} >= names
