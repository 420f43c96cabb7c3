"""Gene shuffle: dask workers split their chunks by gene, and all parts of a gene meet on one worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.machine.byte_sizes import format_bytes
from scpdex.plan.matrix_info import ClusterDaskMatrix
from scpdex.plan.memory_model import ClientMemoryModel
from scpdex.plan.plan import Candidate
from scpdex.plan.worker_shares import client_peak, refuse_client, refuse_workers, share_genes, share_rows

if TYPE_CHECKING:
    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.requirements import Requirements


def propose(matrix: MatrixInfo, requirements: Requirements, limits: Limits) -> Candidate | None:
    """Propose to bring each block of genes together on one worker, which ranks it."""
    if not isinstance(matrix, ClusterDaskMatrix):
        return None
    workers, model = matrix.workers, ClientMemoryModel(matrix, requirements, limits)
    values_per_part = share_rows(model)
    blocks, largest_block_bytes = share_genes(model, values_per_part)
    peak_memory = client_peak(model, blocks, 0)
    refusal = refuse_workers(model)
    if refusal is None and largest_block_bytes > workers.memory:
        refusal = (
            f"ranking a block of genes takes up to {format_bytes(largest_block_bytes)}, and workers have "
            f"{format_bytes(workers.memory)} for each thread: give them more memory or fewer threads, or leave "
            "gene_chunk_size to the plan."
        )
    return Candidate(
        strategy="gene shuffle",
        log_phrase=", chunks split by gene",
        blocks=blocks,
        passes=1,
        peak_memory=peak_memory,
        scratch=model.table_bytes_in_scratch,
        # Values are computed, split, moved, and gathered.
        accesses_per_value=4,
        spill_table=model.spill_table,
        values_per_piece=values_per_part,
        refusal=refusal or refuse_client(model, peak_memory),
    )
