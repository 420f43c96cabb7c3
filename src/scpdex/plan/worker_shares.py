"""Worker shares: parts of rows and blocks of genes for the workers of a dask cluster, and what their client holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.machine.byte_sizes import format_bytes
from scpdex.plan.gene_blocks import bytes_of_largest, cut_into_blocks

if TYPE_CHECKING:
    from scpdex.plan.memory_model import ClientMemoryModel

# Sums of parts that are held at once, beyond one per thread: those being combined, and their sum.
PARTS_IN_TRANSIT = 4
# Partial sums that one task of the tree combines.
FAN_IN = 8
# A part takes a quarter of the memory of a thread at most, and a block half of it: chunks have the rest.
_MEMORY_PER_PART = 4
_MEMORY_PER_BLOCK = 2
# Parts and blocks per thread, so that threads end at about the same time, unless they would be smaller than this.
_PER_THREAD = 3
LEAST_VALUES_PER_PART = 1 << 20
LEAST_BYTES_PER_BLOCK = 8 << 20
# Each part is cut once per block, and each cut costs dask's scheduler about a millisecond.
_MOST_CUTS = 100_000


def share_rows(model: ClientMemoryModel) -> int:
    """Give the values of a part: of one chunk of rows, or of as many as the memory of a thread allows."""
    matrix, workers = model.matrix, model.matrix.workers
    fair_share = max(LEAST_VALUES_PER_PART, matrix.n_values // (_PER_THREAD * workers.n_threads))
    fitting = workers.memory // _MEMORY_PER_PART // model.bytes_per_value_of_chunk
    return max(matrix.values_of_longest_chunk, min(fitting, fair_share))


def share_genes(model: ClientMemoryModel, values_per_part: int) -> tuple[tuple[range, ...], int]:
    """Give the blocks of genes, and the bytes that a worker takes for the largest of them."""
    nonzeros, workers = model.matrix.expected_nonzeros, model.matrix.workers
    # The block, and the parts that its values come in.
    bytes_per_gene = model.block_bytes(nonzeros, spill_table=True) + nonzeros * model.bytes_per_entry
    n_blocks = min(_PER_THREAD * workers.n_threads, max(1, _MOST_CUTS * values_per_part // model.matrix.n_values))
    fair_share = max(LEAST_BYTES_PER_BLOCK, int(bytes_per_gene.sum()) // n_blocks)
    blocks = cut_into_blocks(bytes_per_gene, min(workers.memory // _MEMORY_PER_BLOCK, fair_share), model.limits)
    work_buffer = int(nonzeros.max()) * model.bytes_for_longest_gene
    return blocks, work_buffer + bytes_of_largest(blocks, bytes_per_gene)


def client_peak(model: ClientMemoryModel, blocks: tuple[range, ...], sum_bytes: int) -> int:
    """Give the bytes that the client holds at most: labels, sums, and statistics as they come."""
    widest = max(map(len, blocks)) * model.table_bytes // model.matrix.n_genes
    statistics = widest if model.spill_table else model.table_bytes
    return model.fixed_bytes + max(sum_bytes + statistics, model.adjustment_bytes)


def refuse_workers(model: ClientMemoryModel) -> str | None:
    """Say that a chunk does not fit the memory of a worker's thread; None if it does."""
    n_values, workers = model.matrix.values_of_longest_chunk, model.matrix.workers
    n_bytes = n_values * model.bytes_per_value_of_chunk
    if n_bytes <= workers.memory:
        return None
    return (
        f"a chunk of about {n_values:,} values takes {format_bytes(n_bytes)} while it is split by gene, and workers "
        f"have {format_bytes(workers.memory)} for each thread: rechunk to fewer rows, or give workers more memory or "
        "fewer threads."
    )


def refuse_client(model: ClientMemoryModel, peak_memory: int) -> str | None:
    """Say that labels and results do not fit the budget of the client; None if they do."""
    max_memory = model.limits.max_memory
    if peak_memory <= max_memory:
        return None
    return (
        f"max_memory={format_bytes(max_memory)} is too little: the client needs {format_bytes(peak_memory)} for the "
        f"labels of {model.matrix.n_cells:,} cells and for results as they come from the workers."
    )
