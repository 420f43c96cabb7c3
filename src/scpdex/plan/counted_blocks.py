"""Counted blocks: the blocks of a plan, cut anew once the non-zeros of each gene are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scpdex.plan.gene_blocks import cut_into_blocks
from scpdex.plan.memory_model import model_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scpdex.plan.plan import Plan


def cut_counted_blocks(
    plan: Plan,
    nonzeros: NDArray[np.int64],
    kept_bytes: int,
    *,
    in_scratch: bool = False,
    max_bytes: int | None = None,
) -> Plan:
    """Give the plan with blocks that fit the budget beside the values that are kept in memory.

    Parameters
    ----------
    nonzeros
        Non-zeros of each tested gene.
    kept_bytes
        Bytes of the values kept in memory.
    in_scratch
        Whether the other values are in the scratch file.
    max_bytes
        Upper bound of a block; None: the budget.
    """
    matrix = replace(plan.matrix, max_nonzeros=nonzeros)
    model = model_memory(matrix, plan.requirements, plan.limits)
    bytes_per_gene = model.block_bytes(nonzeros, spill_table=plan.spill_table)
    if in_scratch:
        bytes_per_gene += model.scratch_read_bytes(nonzeros)
    room = plan.max_memory - model.fixed_bytes - kept_bytes - (0 if plan.spill_table else model.table_bytes)
    if max_bytes is not None:
        room = min(room, max_bytes)
    return replace(plan, matrix=matrix, blocks=cut_into_blocks(bytes_per_gene, room, plan.limits))
