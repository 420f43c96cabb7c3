"""Combined sums: each dask chunk gives sums, which are added up on this machine or as a tree of the workers' tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.plan.gene_blocks import cut_into_blocks
from scpdex.plan.matrix_info import ClusterDaskMatrix, LocalDaskMatrix
from scpdex.plan.memory_model import ClientMemoryModel, LocalMemoryModel
from scpdex.plan.plan import Candidate
from scpdex.plan.worker_shares import (
    FAN_IN,
    PARTS_IN_TRANSIT,
    client_peak,
    refuse_client,
    refuse_workers,
    share_genes,
    share_rows,
)

if TYPE_CHECKING:
    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.requirements import Requirements

_WORDS = ", sums of chunks combined"
# Values are computed, and added up.
_WORK = 2


def propose(matrix: MatrixInfo, requirements: Requirements, limits: Limits) -> Candidate | None:
    """Propose to add up moments, or tallies of counts, where sums are fewer than values."""
    if not isinstance(matrix, LocalDaskMatrix | ClusterDaskMatrix) or limits.gene_chunk_size is not None:
        return None
    if not requirements.only_moments and not requirements.can_use_tallies(are_counts=matrix.are_counts):
        return None
    if isinstance(matrix, LocalDaskMatrix):
        return _propose_here(LocalMemoryModel(matrix, requirements, limits))
    return _propose_for_workers(ClientMemoryModel(matrix, requirements, limits))


def _propose_here(model: LocalMemoryModel) -> Candidate | None:
    """Add up parts on the threads of this machine."""
    quarter = model.bytes_beside_fixed // 4
    values_per_part = model.values_per_piece(quarter)
    n_parts = model.limits.n_threads + PARTS_IN_TRANSIT
    parts_bytes = model.transit_bytes(values_per_part) + n_parts * model.sum_bytes
    if parts_bytes > model.room or not _are_fewer_than_values(model, values_per_part):
        return None
    bytes_per_gene = model.block_bytes(model.matrix.expected_nonzeros, spill_table=model.spill_table)
    return Candidate(
        strategy="combined sums",
        log_phrase=_WORDS,
        blocks=cut_into_blocks(bytes_per_gene, quarter, model.limits),
        passes=1,
        peak_memory=model.held_bytes + parts_bytes,
        scratch=model.table_bytes_in_scratch,
        accesses_per_value=_WORK,
        spill_table=model.spill_table,
        values_per_piece=values_per_part,
        max_tally_bytes=(model.room - parts_bytes) // n_parts,
        shared_bytes=model.shared_bytes,
    )


def _propose_for_workers(model: ClientMemoryModel) -> Candidate | None:
    """Add up parts on the workers, and combine their sums there."""
    workers = model.matrix.workers
    values_per_part = share_rows(model)
    too_large = (FAN_IN + PARTS_IN_TRANSIT) * model.sum_bytes > workers.memory or 2 * model.sum_bytes > model.room
    if too_large or not _are_fewer_than_values(model, values_per_part):
        return None
    blocks, _ = share_genes(model, values_per_part)
    peak_memory = client_peak(model, blocks, 2 * model.sum_bytes)
    return Candidate(
        strategy="combined sums",
        log_phrase=_WORDS,
        blocks=blocks,
        passes=1,
        peak_memory=peak_memory,
        scratch=model.table_bytes_in_scratch,
        accesses_per_value=_WORK,
        spill_table=model.spill_table,
        values_per_piece=values_per_part,
        max_tally_bytes=workers.memory // (FAN_IN + PARTS_IN_TRANSIT) - model.sum_bytes,
        refusal=refuse_workers(model) or refuse_client(model, peak_memory),
    )


def _are_fewer_than_values(model: LocalMemoryModel | ClientMemoryModel, values_per_part: int) -> bool:
    """Tell whether the sums of all parts are no more work than the values themselves."""
    n_pairs = model.requirements.n_codes * model.matrix.n_genes
    return n_pairs * -(-model.matrix.n_values // values_per_part) <= model.matrix.n_values
