"""Limits: the threads, bytes and genes per block that a call may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Threads, memory and block size of a call."""

    n_threads: int
    max_memory: int
    """Bytes that the call may hold beyond its results and a matrix in memory."""
    gene_chunk_size: int | None
    """Number of genes of each block; None lets the plan choose."""
    most_genes: int | None = None
    """Largest number of genes of the blocks that the plan chooses; None for no such limit."""
