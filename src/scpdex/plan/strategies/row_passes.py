"""Row passes: sums of each gene and group are kept while all rows pass twice; nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.plan.gene_blocks import cut_into_blocks
from scpdex.plan.matrix_info import ChunkedMatrix
from scpdex.plan.memory_model import ChunkedMemoryModel
from scpdex.plan.plan import Candidate

if TYPE_CHECKING:
    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.requirements import Requirements

# Values pass once for sums, and once for ranks or squared deviations.
PASSES = 2


def propose(matrix: MatrixInfo, requirements: Requirements, limits: Limits) -> Candidate | None:
    """Propose to add up moments, or tallies of counts, where sums of all pairs fit the budget."""
    if not isinstance(matrix, ChunkedMatrix) or not matrix.reads_rows or limits.gene_chunk_size is not None:
        return None
    if not requirements.only_moments and not requirements.can_use_tallies(are_counts=matrix.are_counts):
        return None
    model = ChunkedMemoryModel(matrix, requirements, limits)
    quarter = model.bytes_beside_fixed // 4
    values_per_piece = model.values_per_piece(quarter)
    sums_and_rows = model.sum_bytes + model.transit_bytes(values_per_piece)
    if sums_and_rows > model.room:
        return None
    bytes_per_gene = model.block_bytes(matrix.expected_nonzeros, spill_table=model.spill_table)
    return Candidate(
        strategy="row passes",
        log_phrase=", sums kept while rows pass",
        blocks=cut_into_blocks(bytes_per_gene, quarter, limits),
        passes=PASSES,
        peak_memory=model.held_bytes + sums_and_rows,
        scratch=model.table_bytes_in_scratch,
        # Values are read, and turned gene-major, twice.
        accesses_per_value=4,
        spill_table=model.spill_table,
        values_per_piece=values_per_piece,
        max_tally_bytes=model.room - sums_and_rows,
    )
