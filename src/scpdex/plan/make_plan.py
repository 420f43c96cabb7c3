"""Strategies: pure arithmetic from what is known of matrix, test and machine to a plan; touches no data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scpdex.links import page
from scpdex.machine.byte_sizes import format_bytes
from scpdex.plan.memory_model import MemoryModel
from scpdex.plan.plan import PAIRS_PER_TILE, Plan, blocks_of
from scpdex.plan.workers import PARTS_ON_THEIR_WAY, are_tallied, can_add_up, share_among_workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo, Requirements
    from scpdex.plan.plan import Strategy

# What a block may take, as a share of the matrix, and at least.
SHARE_OF_MATRIX = 0.2
LEAST_BYTES = 32 << 20
# Less than this many non-zeros is done sooner than a further thread is started.
LEAST_EFFORT_PER_THREAD = 20_000
# A pair of gene and group costs about as much as this many non-zeros.
_ENTRIES_PER_PAIR = 3
# Reading columns out of chunks that are wider than a block reads them again for each: more often than this, rows are
# read once instead, and their values sorted into genes.
_MOST_READS = 2


def make_plan(info: MatrixInfo, needs: Requirements, limits: Limits) -> Plan:
    """Choose a strategy, blocks, and threads, no more than there is work for, within the memory budget.

    Raises
    ------
    ValueError
        The budget, or ``gene_chunk_size`` within it, is too small to work with.
    """
    costs = MemoryModel(needs)
    ordering = costs.ordering(info)
    if ordering > limits.max_memory:
        msg = (
            f"max_memory={format_bytes(limits.max_memory)} is too little: {format_bytes(ordering)} are needed to adjust "
            f"p-values of {needs.n_groups:,} groups and {info.stored.size:,} genes together. corr_scope='group' needs less."
        )
        raise ValueError(msg)
    if info.workers is not None:
        return share_among_workers(info.as_rows, costs, limits)
    effort = int(info.as_rows.stored.sum()) + _ENTRIES_PER_PAIR * needs.n_codes * info.stored.size
    n_threads = max(1, min(limits.n_threads, effort // LEAST_EFFORT_PER_THREAD))
    while n_threads > 1 and costs.least(info, n_threads) > limits.max_memory:
        n_threads -= 1
    least = costs.least(info, n_threads)
    if least > limits.max_memory:
        msg = (
            f"max_memory={format_bytes(limits.max_memory)} is too little: {format_bytes(least)} are needed for "
            f"{info.n_cells:,} cells, {needs.n_codes:,} groups and the longest gene. See {page('large', 'the-budget')}"
        )
        raise ValueError(msg)
    plan = _choose(info, needs, costs, limits, n_threads)
    if plan.peak_memory > limits.max_memory:
        of_blocks = f"gene_chunk_size={limits.gene_chunk_size} would take" if limits.gene_chunk_size else "this takes"
        msg = (
            f"{of_blocks} {format_bytes(plan.peak_memory)}, more than max_memory={format_bytes(limits.max_memory)}: pass "
            f"a {'smaller gene_chunk_size, or None' if limits.gene_chunk_size else 'larger one'}."
        )
        raise ValueError(msg)
    at_the_end = ordering + (0 if plan.spill_table else costs.table(info)) if ordering else 0
    return replace(plan, peak_memory=max(plan.peak_memory, at_the_end))


def _choose(info: MatrixInfo, needs: Requirements, costs: MemoryModel, limits: Limits, n_threads: int) -> Plan:
    fixed = costs.fixed(info, n_threads)
    # An eighth for what several chunks need, as far as it is there.
    spare = limits.max_memory - costs.least(info, n_threads)
    shared = min(limits.max_memory // 8, spare, 2 * info.n_bytes) if info.is_dask else 0
    fixed += shared
    room = limits.max_memory - fixed
    table = costs.table(info)
    spill_table = costs.spills(info, room, limits.max_memory)
    in_memory = 0 if spill_table else table
    per_gene = costs.of_block(info, spilled=False, spill_table=spill_table)
    chunk_size = limits.gene_chunk_size
    common = {
        "info": info,
        "work": needs.work,
        "genes_per_tile": max(1, PAIRS_PER_TILE // needs.most_codes),
        "n_threads": n_threads,
        "max_memory": limits.max_memory,
        "spill_table": spill_table,
        "costs": costs,
        "gene_chunk_size": chunk_size,
        "most_genes": limits.most_genes,
        "most_shared": shared,
    }

    def columns(strategy: Strategy, most: int) -> Plan:
        blocks = tuple(blocks_of(per_gene, most, chunk_size, info.chunk_starts, limits.most_genes))
        widest = max(int(per_gene[block.start : block.stop].sum()) for block in blocks)
        return Plan(
            **common,  # type: ignore[arg-type]
            strategy=strategy,
            blocks=blocks,
            passes=1,
            peak_memory=fixed + in_memory + widest,
            scratch=table if spill_table else 0,
            kept=0,
            piece=0,
        )

    if not info.chunked:
        most = min(room - in_memory, _enough_for_blocks(info))
        return columns("shared buffers", max(1, most))
    if not info.by_rows:
        plan = columns("column blocks", max(1, room - in_memory))
        if info.chunk_starts is None or _reads(plan.blocks, info.chunk_starts) <= _MOST_READS:
            return plan

    info = info.as_rows
    per_gene = costs.of_block(info, spilled=False, spill_table=spill_table)
    # Rows: a quarter of the room is for what is on its way, and later for blocks.
    piece = costs.piece(info, room // 4, n_threads)
    on_its_way = costs.on_its_way(info, piece, n_threads)
    loaded = costs.loaded(info)
    if info.can_load and loaded + max(on_its_way, _enough_for_blocks(info)) <= room - in_memory:
        plan = columns("loaded rows", _enough_for_blocks(info))
        return replace(plan, peak_memory=plan.peak_memory + loaded, kept=loaded, piece=piece)
    parts = n_threads + PARTS_ON_THEIR_WAY
    left = room - in_memory - on_its_way - parts * costs.of_passes(info)
    if info.is_dask and not chunk_size and left >= 0 and can_add_up(info, needs, piece):
        return Plan(
            **common,  # type: ignore[arg-type]
            strategy="combined sums",
            blocks=tuple(blocks_of(per_gene, max(1, room // 4), None, None)),
            passes=1,
            peak_memory=room + fixed - left,
            scratch=table if spill_table else 0,
            kept=left // parts,
            piece=piece,
        )
    entries = costs.entries(info, piece)
    heaviest = int(costs.of_block(info, spilled=True, spill_table=spill_table).max())
    most_kept = max(0, room - in_memory - max(on_its_way, room // 4, heaviest))
    sums = costs.of_passes(info)
    spilled = max(0, entries - most_kept)
    if spilled and not chunk_size and sums <= room - in_memory - on_its_way and _can_pass(info, needs):
        return Plan(
            **common,  # type: ignore[arg-type]
            strategy="row passes",
            blocks=tuple(blocks_of(per_gene, max(1, room // 4), None, None)),
            passes=2,
            peak_memory=fixed + in_memory + on_its_way + sums,
            scratch=table if spill_table else 0,
            kept=room - in_memory - on_its_way - sums,
            piece=piece,
        )
    per_gene = costs.of_block(info, spilled=spilled > 0, spill_table=spill_table)
    most_of_block = room - in_memory - min(entries, most_kept)
    blocks = tuple(blocks_of(per_gene, max(1, most_of_block), chunk_size, None, limits.most_genes))
    widest = max(int(per_gene[block.start : block.stop].sum()) for block in blocks)
    return Plan(
        **common,  # type: ignore[arg-type]
        strategy="row buckets",
        blocks=blocks,
        passes=1,
        peak_memory=fixed + in_memory + min(entries, most_kept) + max(on_its_way, widest),
        scratch=spilled + (table if spill_table else 0),
        kept=most_kept,
        piece=piece,
    )


def _enough_for_blocks(info: MatrixInfo) -> int:
    """Bytes that blocks need not exceed, beside a matrix in memory."""
    return int(max(LEAST_BYTES, SHARE_OF_MATRIX * info.n_bytes))


def _can_pass(info: MatrixInfo, needs: Requirements) -> bool:
    return not info.is_dask and (needs.moments or are_tallied(info, needs))


def _reads(blocks: tuple[range, ...], chunks: NDArray[np.int64]) -> float:
    """How often each chunk of columns is read, on average."""
    reads = sum(np.unique(chunks[block.start : block.stop]).size for block in blocks)
    return float(reads / np.unique(chunks).size)


def with_counts(plan: Plan, stored: NDArray[np.int64], kept: int, *, spilled: bool) -> Plan:
    """Cut the blocks anew, now that the values of each gene are counted and ``kept`` bytes of them are held."""
    info = replace(plan.info, stored=stored)
    n_bytes = plan.costs.of_block(info, spilled=spilled, spill_table=plan.spill_table)
    room = plan.max_memory - plan.costs.fixed(info, plan.n_threads) - kept
    if not plan.spill_table:
        room -= plan.costs.table(info)
    if plan.strategy == "loaded rows":
        room = min(room, _enough_for_blocks(info))
    blocks = blocks_of(n_bytes, max(room, 1), plan.gene_chunk_size, None, plan.most_genes)
    return replace(plan, info=info, blocks=tuple(blocks))
