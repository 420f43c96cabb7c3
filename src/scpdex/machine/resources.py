"""Resources: the arguments that say what a call may use of the machine, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import joblib
import numpy as np

from scpdex.machine.available_memory import fit_threads
from scpdex.machine.byte_sizes import parse_bytes
from scpdex.machine.default_budget import default_max_memory
from scpdex.machine.limits import Limits


@dataclass(frozen=True)
class Resources:
    """Limits of a call, whether it reads data in parts, and whether it shows progress."""

    limits: Limits
    low_memory: bool | None
    """Whether data are read in parts; None for data on disk only."""
    show_progress: bool | None
    """Whether to show a progress bar; None for long work in a terminal or notebook only."""

    @classmethod
    def of(
        cls,
        *,
        n_jobs: int | None = None,
        max_memory: str | float | None = None,
        gene_chunk_size: int | None = None,
        low_memory: bool | None = None,
        show_progress: bool | None = None,
    ) -> Resources:
        """Check the arguments of :func:`scpdex.tl.rank_genes_parallel`, and replace defaults by numbers."""
        if n_jobs is None or (n_jobs == -1 and not isinstance(n_jobs, bool)):
            n_jobs = joblib.cpu_count()
        elif not _is_number(n_jobs):
            msg = f"n_jobs={n_jobs!r} is not valid: pass a number of threads from 1 up, or None or -1 for all cores."
            raise ValueError(msg)
        if gene_chunk_size is not None:
            _refuse_genes(gene_chunk_size)
        n_threads = fit_threads(int(n_jobs))
        n_bytes = default_max_memory(n_threads) if max_memory is None else parse_bytes(max_memory, "max_memory")
        limits = Limits(n_threads, n_bytes, None if gene_chunk_size is None else int(gene_chunk_size))
        return cls(limits, low_memory, show_progress)

    def with_most_genes(self, gene_chunk_size: int) -> Resources:
        """Limit blocks to ``gene_chunk_size`` genes; the plan may choose fewer."""
        _refuse_genes(gene_chunk_size)
        return replace(self, limits=replace(self.limits, most_genes=int(gene_chunk_size)))


def _refuse_genes(gene_chunk_size: object) -> None:
    if not _is_number(gene_chunk_size):
        msg = f"gene_chunk_size={gene_chunk_size!r} is not valid: pass a number of genes from 1 up."
        raise ValueError(msg)


def _is_number(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 1
