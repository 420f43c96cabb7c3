"""Plan: a way through the data, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from scpdex.machine.byte_sizes import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scpdex.plan.matrix_info import MatrixInfo
    from scpdex.plan.memory_model import MemoryModel

# Rows of a CSR matrix are walked once per block, and each block costs some milliseconds: wide ones pay, as far as the
# memory bound allows; with thousands, writing to so many genes at once misses the cache.
GENES_PER_BLOCK = 4096
# The statistics of a block are made for so many (gene, group) pairs at a time, which keeps them in the cache.
PAIRS_PER_TILE = 1 << 15
# Threads that are done early take a further tile.
_TILES_PER_THREAD = 2

Strategy = Literal[
    "shared buffers", "column blocks", "loaded rows", "row buckets", "row passes", "combined sums", "gene shuffle"
]


@dataclass(frozen=True)
class Plan:
    """A way through the data, within a memory budget.

    Whatever it is, blocks of neighbouring genes are ranked one after the other: all threads gather a block, then share
    its genes, a tile at a time. ``repr`` gives it in words.
    """

    strategy: Strategy
    """``"shared buffers"`` of a matrix in memory; ``"column blocks"`` that are read one by one; ``"loaded rows"``: all
    of them fit the budget; ``"row buckets"``: rows are read once and sorted into genes; ``"row passes"``: sums are kept
    for each gene and group while rows pass by; ``"combined sums"`` of dask chunks, each computed once; ``"gene
    shuffle"``: workers split rows by gene and each brings some genes together."""
    info: MatrixInfo
    work: str
    """What the kernels do with the values, in a word or two."""
    blocks: tuple[range, ...]
    """Genes of each block; for loaded rows and row buckets a guess until rows are read."""
    genes_per_tile: int
    n_threads: int
    passes: int
    """How often the matrix is read."""
    max_memory: int
    """Bytes that may be held beyond the results."""
    peak_memory: int
    """Bytes that are expected to be held beyond the results, and beyond a matrix in memory."""
    scratch: int
    """Bytes that are expected to be written to the temporary folder."""
    kept: int
    """Bytes for what is kept of the rows: values, of which buckets send further ones to scratch, or tallies (combined
    sums: those of one part)."""
    piece: int
    """Rows: values that are read together."""
    spill_table: bool
    """Whether statistics go to scratch until genes are ordered."""
    costs: MemoryModel
    gene_chunk_size: int | None = None
    most_genes: int | None = None
    """Of a block that is cut by the plan, where ``GENES_PER_BLOCK`` would be more."""
    most_shared: int = 0
    """Dask on this machine: bytes that may be kept of what several chunks need."""

    def __repr__(self) -> str:
        info = self.info
        n_blocks, widest = len(self.blocks), max(map(len, self.blocks))
        how = {
            "shared buffers": "",
            "column blocks": ", column by column",
            "loaded rows": ", read into memory",
            "row buckets": ", rows sorted into genes",
            "row passes": ", sums kept while rows pass",
            "combined sums": ", sums of chunks combined",
            "gene shuffle": ", chunks split by gene",
        }[self.strategy]
        guessed = self.strategy in {"loaded rows", "row buckets", "gene shuffle"} and n_blocks > 1
        about = "about " if guessed and not self.gene_chunk_size else ""
        text = (
            f"{info.format} {info.dtype} {info.place}, {info.n_cells:,} cells x {info.stored.size:,} genes{how}: "
            f"{self.work} in {about}{_counted(n_blocks, 'block')} of up to {_counted(widest, 'gene')} "
        )
        if info.workers is not None:
            workers = info.workers
            return f"{text}on {_counted(workers.n_threads, 'thread')} of {_counted(workers.n_workers, 'dask worker')}"
        text += f"on {_counted(self.n_threads, 'thread')}"
        if info.chunked:
            scratch = format_bytes(self.scratch) if self.scratch else "no"
            text += (
                f"; {_counted(self.passes, 'pass', 'es')} over the data, {format_bytes(self.peak_memory)} of "
                f"{format_bytes(self.max_memory)} memory, {scratch} scratch"
            )
        return text

    def tiles(self, block: range) -> Iterator[range]:
        """Cut a block into the runs of genes whose statistics are made together, some for each thread."""
        share = -(-len(block) // (_TILES_PER_THREAD * self.n_threads))
        return cut(block, min(self.genes_per_tile, share))


def cut(run: range, most: int) -> Iterator[range]:
    """Cut a run into parts of at most so many."""
    return (range(first, min(first + most, run.stop)) for first in range(run.start, run.stop, most))


def blocks_of(
    n_bytes: NDArray[np.int64],
    most_bytes: int,
    chunk_size: int | None,
    chunks: NDArray[np.int64] | None,
    most_genes: int | None = None,
) -> Iterator[range]:
    """Cut neighbouring genes into blocks of at most so many genes and, beyond one, ``most_bytes``.

    Blocks are about equal, so that as many as are needed take no more memory than they must; or of ``chunk_size``. They
    end where a chunk of the file does, if one ends within them.
    """
    if chunk_size is not None:
        yield from cut(range(n_bytes.size), chunk_size)
        return
    most_genes = min(GENES_PER_BLOCK, most_genes or GENES_PER_BLOCK)
    n_blocks = max(-(-int(n_bytes.sum()) // most_bytes), -(-n_bytes.size // most_genes))
    about = min(most_bytes, int(n_bytes.sum()) // n_blocks + int(n_bytes.max()))
    start = 0
    while start < n_bytes.size:
        ahead = np.cumsum(n_bytes[start : start + most_genes])
        stop = start + max(1, int(np.searchsorted(ahead, about, side="right")))
        if chunks is not None and stop < n_bytes.size:
            ends = 1 + np.flatnonzero(np.diff(chunks[start : stop + 1]))
            stop = start + int(ends[-1]) if ends.size else stop
        yield range(start, stop)
        start = stop


def _counted(n: int, noun: str, plural: str = "s") -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}{plural}"
