"""Workers: arithmetic for a dask cluster, and for sums of parts that are combined there or here; touches no data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.machine.byte_sizes import format_bytes
from scpdex.plan.plan import PAIRS_PER_TILE, Plan, blocks_of

if TYPE_CHECKING:
    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo, Requirements
    from scpdex.plan.memory_model import MemoryModel

# Sums of parts that are held at once, beyond one for each thread: those being combined, and what becomes of them.
PARTS_ON_THEIR_WAY = 4
# Partial sums that one task of the tree combines.
FAN_IN = 8
# What one task may take of the memory of its thread, so that chunks and parts have room beside it.
_SHARE_OF_PART = 4
_SHARE_OF_BLOCK = 2
# Parts and blocks for each thread, so that threads end about together, unless they would be smaller than these.
_PER_THREAD = 3
LEAST_VALUES_OF_PART = 1 << 20
LEAST_BYTES_OF_BLOCK = 8 << 20
# Each part is cut once for each block, and each cut costs dask's scheduler about a millisecond.
_MOST_CUTS = 100_000


def are_tallied(info: MatrixInfo, needs: Requirements) -> bool:
    """Tell whether ranks follow from how often each whole number occurs."""
    may_be = needs.together and needs.few_cells and not needs.normalized and not needs.in_order
    return info.are_counts and may_be


def can_add_up(info: MatrixInfo, needs: Requirements, piece: int) -> bool:
    """Tell whether sums of parts are all it takes, and no more work than the values themselves."""
    n_pairs = needs.n_codes * info.stored.size
    return (needs.moments or are_tallied(info, needs)) and n_pairs * (-(-info.n_values // piece)) <= info.n_values


def share_among_workers(info: MatrixInfo, costs: MemoryModel, limits: Limits) -> Plan:
    """Choose parts of rows and blocks of genes for the workers of a cluster.

    The client, whose memory is limited by ``max_memory``, holds labels and results only.

    Raises
    ------
    ValueError
        The budget is too small for these, or a worker's memory for a chunk.
    """
    workers, needs = info.workers, costs.needs
    assert workers is not None, "shared among workers"  # noqa: S101
    of_value = costs.of_part(info)
    if info.longest_chunk * of_value > workers.memory:
        msg = (
            f"a chunk of about {info.longest_chunk:,} values takes {format_bytes(info.longest_chunk * of_value)} while it "
            f"is split by gene, and workers have {format_bytes(workers.memory)} for each thread: rechunk to fewer rows, or "
            "give workers more memory or fewer threads."
        )
        raise ValueError(msg)
    fair = max(LEAST_VALUES_OF_PART, info.n_values // (_PER_THREAD * workers.n_threads))
    piece = max(info.longest_chunk, min(workers.memory // _SHARE_OF_PART // of_value, fair))
    fixed, table, sums = costs.fixed(info, 1), costs.table(info), costs.of_passes(info)
    room = limits.max_memory - fixed
    spill_table = costs.spills(info, room, limits.max_memory)
    in_memory = 0 if spill_table else table
    adds_up = limits.gene_chunk_size is None and can_add_up(info, needs, piece)
    adds_up = adds_up and (FAN_IN + PARTS_ON_THEIR_WAY) * sums <= workers.memory and 2 * sums <= room - in_memory
    # A block, and the parts that it is dealt out of.
    per_gene = costs.of_block(info, spilled=False, spill_table=True) + info.stored * costs.bytes_per_entry(info)
    n_blocks = min(_PER_THREAD * workers.n_threads, max(1, _MOST_CUTS * piece // info.n_values))
    fair = max(LEAST_BYTES_OF_BLOCK, int(per_gene.sum()) // n_blocks)
    most = max(1, min(workers.memory // _SHARE_OF_BLOCK, fair))
    blocks = tuple(blocks_of(per_gene, most, limits.gene_chunk_size, None, limits.most_genes))
    longest = int(info.stored.max()) * costs.of_longest(info)
    heaviest = longest + max(int(per_gene[block.start : block.stop].sum()) for block in blocks)
    if heaviest > workers.memory and not adds_up:
        msg = (
            f"ranking a block of genes takes up to {format_bytes(heaviest)}, and workers have "
            f"{format_bytes(workers.memory)} for each thread: give them more memory or fewer threads, or leave gene_chunk_size to the plan."
        )
        raise ValueError(msg)
    widest = max(map(len, blocks)) * costs.table(info) // info.stored.size
    peak = fixed + max((2 * sums if adds_up else 0) + (widest if spill_table else in_memory), costs.ordering(info))
    if peak > limits.max_memory:
        msg = (
            f"max_memory={format_bytes(limits.max_memory)} is too little: {format_bytes(peak)} are needed here for the "
            f"labels of {info.n_cells:,} cells and for results as they come from the workers."
        )
        raise ValueError(msg)
    return Plan(
        strategy="combined sums" if adds_up else "gene shuffle",
        info=info,
        work=needs.work,
        blocks=blocks,
        genes_per_tile=max(1, PAIRS_PER_TILE // needs.most_codes),
        n_threads=limits.n_threads,
        passes=1,
        max_memory=limits.max_memory,
        peak_memory=peak,
        scratch=table if spill_table else 0,
        kept=workers.memory // (FAN_IN + PARTS_ON_THEIR_WAY) - sums,
        piece=piece,
        spill_table=spill_table,
        costs=costs,
        gene_chunk_size=limits.gene_chunk_size,
    )
