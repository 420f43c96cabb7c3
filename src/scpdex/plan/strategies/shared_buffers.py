"""Shared buffers: a matrix in memory, of which all threads gather one block of genes after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.plan.gene_blocks import bytes_of_largest, cut_into_blocks, target_block_bytes
from scpdex.plan.matrix_info import MemoryMatrix
from scpdex.plan.memory_model import MemoryModel
from scpdex.plan.plan import Candidate

if TYPE_CHECKING:
    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.requirements import Requirements


def propose(matrix: MatrixInfo, requirements: Requirements, limits: Limits) -> Candidate | None:
    """Propose to gather blocks of genes from the user's own matrix."""
    if not isinstance(matrix, MemoryMatrix):
        return None
    model = MemoryModel(matrix, requirements, limits)
    bytes_per_gene = model.block_bytes(matrix.max_nonzeros, spill_table=model.spill_table)
    blocks = cut_into_blocks(bytes_per_gene, min(model.room, target_block_bytes(matrix)), limits)
    return Candidate(
        strategy="shared buffers",
        log_phrase="",
        blocks=blocks,
        passes=1,
        peak_memory=model.held_bytes + bytes_of_largest(blocks, bytes_per_gene),
        scratch=model.table_bytes_in_scratch,
        # Values are gathered.
        accesses_per_value=1,
        spill_table=model.spill_table,
    )
