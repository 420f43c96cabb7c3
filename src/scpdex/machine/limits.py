"""Limits: the threads, bytes and genes per block that a call may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a call may use."""

    n_threads: int
    max_memory: int
    """Bytes that the call may hold beyond its results."""
    gene_chunk_size: int | None
    """Genes in a block; None: as the plan sees fit."""
    most_genes: int | None = None
    """Genes in a block at most, where the plan cuts them."""
