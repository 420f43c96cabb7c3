"""Row buckets: rows are read once, or computed by dask, and their values sorted into genes, in memory or in scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.plan.gene_blocks import bytes_of_largest, cut_into_blocks
from scpdex.plan.matrix_info import ChunkedMatrix, LocalDaskMatrix
from scpdex.plan.memory_model import ChunkedMemoryModel, LocalMemoryModel
from scpdex.plan.plan import Candidate

if TYPE_CHECKING:
    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.requirements import Requirements


def propose(matrix: MatrixInfo, requirements: Requirements, limits: Limits) -> Candidate | None:
    """Propose to sort the values of all rows into genes; what exceeds the budget waits in scratch."""
    model: ChunkedMemoryModel | LocalMemoryModel
    if isinstance(matrix, ChunkedMatrix) and matrix.reads_rows:
        model = ChunkedMemoryModel(matrix, requirements, limits)
    elif isinstance(matrix, LocalDaskMatrix):
        model = LocalMemoryModel(matrix, requirements, limits)
    else:
        return None
    # A quarter is for what is in transit, and later for blocks.
    quarter = model.bytes_beside_fixed // 4
    values_per_piece = model.values_per_piece(quarter)
    transit_bytes, bucket_bytes = model.transit_bytes(values_per_piece), model.bucket_bytes(values_per_piece)
    bytes_per_gene = model.block_bytes(matrix.expected_nonzeros, spill_table=model.spill_table)
    bytes_from_scratch = bytes_per_gene + model.scratch_read_bytes(matrix.expected_nonzeros)
    max_bucket_bytes = max(0, model.room - max(transit_bytes, quarter, int(bytes_from_scratch.max())))
    kept_bytes = min(bucket_bytes, max_bucket_bytes)
    spilled_bytes = bucket_bytes - kept_bytes
    bytes_per_gene = bytes_from_scratch if spilled_bytes else bytes_per_gene
    blocks = cut_into_blocks(bytes_per_gene, model.room - kept_bytes, limits)
    step_bytes = max(transit_bytes, bytes_of_largest(blocks, bytes_per_gene))
    return Candidate(
        strategy="row buckets",
        log_phrase=", rows sorted into genes",
        blocks=blocks,
        blocks_are_guessed=True,
        passes=1,
        peak_memory=model.held_bytes + kept_bytes + step_bytes,
        scratch=spilled_bytes + model.table_bytes_in_scratch,
        # Values are read, turned gene-major, and gathered; in scratch, they are written and read as well.
        accesses_per_value=5 if spilled_bytes else 3,
        spill_table=model.spill_table,
        values_per_piece=values_per_piece,
        max_bucket_bytes=max_bucket_bytes,
        shared_bytes=model.shared_bytes,
    )
