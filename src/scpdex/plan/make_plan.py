"""Make a plan: the cheapest candidate of all strategies within the memory budget; pure arithmetic, touches no data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scpdex.links import page
from scpdex.machine.byte_sizes import format_bytes
from scpdex.plan.memory_model import model_memory
from scpdex.plan.plan import Plan
from scpdex.plan.strategies import STRATEGIES

if TYPE_CHECKING:
    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.memory_model import MemoryModel
    from scpdex.plan.plan import Candidate
    from scpdex.plan.requirements import Requirements

# Fewer non-zeros than this are done sooner than a further thread is started.
LEAST_NONZEROS_PER_THREAD = 20_000
# A pair of gene and group costs about as much as this many non-zeros.
_NONZEROS_PER_PAIR = 3


def make_plan(matrix: MatrixInfo, requirements: Requirements, limits: Limits) -> Plan:
    """Choose a strategy, gene blocks, and threads, no more than there is work for, within the memory budget.

    Raises
    ------
    ValueError
        The budget, or ``gene_chunk_size`` within it, is too small; or a chunk of a dask array is too large.
    """
    limits = replace(limits, n_threads=_count_useful_threads(matrix, requirements, limits))
    model = model_memory(matrix, requirements, limits)
    while limits.n_threads > 1 and model.least_bytes > limits.max_memory:
        limits = replace(limits, n_threads=limits.n_threads - 1)
        model = model_memory(matrix, requirements, limits)
    _refuse_small_budget(model)
    proposals = [strategy.propose(matrix, requirements, limits) for strategy in STRATEGIES]
    candidates = [candidate for candidate in proposals if candidate is not None]
    possible = [c for c in candidates if c.refusal is None and c.peak_memory <= limits.max_memory]
    if not possible:
        nearest = min(candidates, key=lambda candidate: candidate.peak_memory)
        raise ValueError(nearest.refusal or _describe_excess(nearest, limits))
    cheapest = min(possible, key=lambda candidate: candidate.accesses_per_value)
    parts = vars(cheapest) | {
        "passes": cheapest.passes + requirements.takes_median,
        "peak_memory": max(cheapest.peak_memory, model.peak_at_end),
    }
    return Plan(**parts, matrix=matrix, requirements=requirements, limits=limits)


def _count_useful_threads(matrix: MatrixInfo, requirements: Requirements, limits: Limits) -> int:
    """Count the threads that have enough to do."""
    nonzeros = int(matrix.likely_nonzeros.sum()) + _NONZEROS_PER_PAIR * requirements.n_codes * matrix.n_genes
    return max(1, min(limits.n_threads, nonzeros // LEAST_NONZEROS_PER_THREAD))


def _refuse_small_budget(model: MemoryModel[Any]) -> None:
    """Raise a ValueError if no strategy can work within the budget."""
    matrix, requirements, max_memory = model.matrix, model.requirements, model.limits.max_memory
    if model.adjustment_bytes > max_memory:
        msg = (
            f"max_memory={format_bytes(max_memory)} is too little: {format_bytes(model.adjustment_bytes)} are needed "
            f"to adjust p-values of {requirements.n_groups:,} groups and {matrix.n_genes:,} genes together. "
            "corr_scope='group' needs less."
        )
        raise ValueError(msg)
    if model.least_bytes > max_memory:
        msg = (
            f"max_memory={format_bytes(max_memory)} is too little: {format_bytes(model.least_bytes)} are needed for "
            f"{matrix.n_cells:,} cells, {requirements.n_codes:,} groups and the longest gene. See "
            f"{page('large', 'the-budget')}"
        )
        raise ValueError(msg)


def _describe_excess(candidate: Candidate, limits: Limits) -> str:
    """Say by how much the nearest candidate exceeds the budget, and what to pass instead."""
    subject, way_out = "this takes", "larger one"
    if limits.gene_chunk_size:
        subject, way_out = f"gene_chunk_size={limits.gene_chunk_size} would take", "smaller gene_chunk_size, or None"
    return (
        f"{subject} {format_bytes(candidate.peak_memory)}, more than max_memory={format_bytes(limits.max_memory)}: "
        f"pass a {way_out}."
    )
