"""Column blocks: blocks of columns of CSC or of narrow dense chunks, read one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scpdex.plan.gene_blocks import bytes_of_largest, cut_into_blocks
from scpdex.plan.matrix_info import ChunkedMatrix
from scpdex.plan.memory_model import ChunkedMemoryModel
from scpdex.plan.plan import Candidate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.requirements import Requirements


# Chunks that are wider than a block are read again for each: more often than this, rows are read once instead.
MOST_READS = 2


def propose(matrix: MatrixInfo, requirements: Requirements, limits: Limits) -> Candidate | None:
    """Propose to read blocks of columns, the next one while one is ranked."""
    if not isinstance(matrix, ChunkedMatrix) or not matrix.reads_columns:
        return None
    model = ChunkedMemoryModel(matrix, requirements, limits)
    bytes_per_gene = model.block_bytes(matrix.max_nonzeros, spill_table=model.spill_table) + model.column_read_bytes
    blocks = cut_into_blocks(bytes_per_gene, model.room, limits, matrix.chunk_of_gene)
    reads = 1.0 if matrix.chunk_of_gene is None else _count_reads(blocks, matrix.chunk_of_gene)
    if reads > MOST_READS:
        return None
    return Candidate(
        strategy="column blocks",
        log_phrase=", column by column",
        blocks=blocks,
        passes=1,
        peak_memory=model.held_bytes + bytes_of_largest(blocks, bytes_per_gene),
        scratch=model.table_bytes_in_scratch,
        # Values are read, and gathered.
        accesses_per_value=reads + 1,
        spill_table=model.spill_table,
    )


def _count_reads(blocks: tuple[range, ...], chunk_of_gene: NDArray[np.int64]) -> float:
    """Count how often each chunk of columns is read, on average."""
    reads = sum(np.unique(chunk_of_gene[block.start : block.stop]).size for block in blocks)
    return float(reads / np.unique(chunk_of_gene).size)
