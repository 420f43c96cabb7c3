"""Loaded rows: CSR rows that fit the budget, read into memory and ranked as a matrix that was there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.plan.gene_blocks import bytes_of_largest, cut_into_blocks, target_block_bytes
from scpdex.plan.matrix_info import ChunkedMatrix
from scpdex.plan.memory_model import ChunkedMemoryModel
from scpdex.plan.plan import Candidate

if TYPE_CHECKING:
    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.requirements import Requirements


def propose(matrix: MatrixInfo, requirements: Requirements, limits: Limits) -> Candidate | None:
    """Propose to read all rows into memory, if they fit."""
    if not isinstance(matrix, ChunkedMatrix) or matrix.format != "CSR" or not matrix.may_load:
        return None
    model = ChunkedMemoryModel(matrix, requirements, limits)
    values_per_piece = model.values_per_piece(model.bytes_beside_fixed // 4)
    bytes_while_loading = model.loaded_bytes + model.transit_bytes(values_per_piece)
    if max(bytes_while_loading, model.loaded_bytes + target_block_bytes(matrix)) > model.room:
        return None
    bytes_per_gene = model.block_bytes(matrix.expected_nonzeros, spill_table=model.spill_table)
    blocks = cut_into_blocks(bytes_per_gene, target_block_bytes(matrix), limits)
    return Candidate(
        strategy="loaded rows",
        log_phrase=", read into memory",
        blocks=blocks,
        blocks_are_guessed=True,
        passes=1,
        peak_memory=model.held_bytes + model.loaded_bytes + bytes_of_largest(blocks, bytes_per_gene),
        scratch=model.table_bytes_in_scratch,
        # Values are read, and gathered.
        accesses_per_value=2,
        spill_table=model.spill_table,
        values_per_piece=values_per_piece,
        loaded_bytes=model.loaded_bytes,
    )
