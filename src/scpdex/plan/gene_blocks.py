"""Gene blocks: runs of neighbouring genes that are worked on together, within a number of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scpdex.machine.limits import Limits
    from scpdex.plan.matrix_info import MatrixInfo

# Rows of a CSR matrix are walked once per block, and each block costs some milliseconds: wide ones pay, as far as the
# memory bound allows; with thousands, writing to so many genes at once misses the cache.
GENES_PER_BLOCK = 4096
# A block beside a matrix in memory need not take more than this share of the matrix, or these bytes.
SHARE_OF_MATRIX = 0.2
MIN_BLOCK_BYTES = 32 << 20


def cut_range(run: range, length: int) -> Iterator[range]:
    """Cut a run into parts of ``length``, the last of which may be shorter."""
    return (range(first, min(first + length, run.stop)) for first in range(run.start, run.stop, length))


def cut_into_blocks(
    bytes_per_gene: NDArray[np.int64], max_bytes: int, limits: Limits, chunk_of_gene: NDArray[np.int64] | None = None
) -> tuple[range, ...]:
    """Cut neighbouring genes into blocks of at most ``max_bytes``, or of one gene that takes more.

    Blocks take about the same, so that as many as are needed take no more memory than they must; or they have
    ``limits.gene_chunk_size`` genes. They end where a chunk of the file does, if one ends within them.
    """
    if limits.gene_chunk_size is not None:
        return tuple(cut_range(range(bytes_per_gene.size), limits.gene_chunk_size))
    max_bytes = max(1, max_bytes)
    max_genes = min(GENES_PER_BLOCK, limits.most_genes or GENES_PER_BLOCK)
    n_blocks = max(-(-int(bytes_per_gene.sum()) // max_bytes), -(-bytes_per_gene.size // max_genes))
    bytes_per_block = min(max_bytes, int(bytes_per_gene.sum()) // n_blocks + int(bytes_per_gene.max()))
    blocks = []
    start = 0
    while start < bytes_per_gene.size:
        cumulated = np.cumsum(bytes_per_gene[start : start + max_genes])
        stop = start + max(1, int(np.searchsorted(cumulated, bytes_per_block, side="right")))
        if chunk_of_gene is not None and stop < bytes_per_gene.size:
            chunk_ends = 1 + np.flatnonzero(np.diff(chunk_of_gene[start : stop + 1]))
            stop = start + int(chunk_ends[-1]) if chunk_ends.size else stop
        blocks.append(range(start, stop))
        start = stop
    return tuple(blocks)


def bytes_of_largest(blocks: tuple[range, ...], bytes_per_gene: NDArray[np.int64]) -> int:
    """Bytes of the block that takes most."""
    return max(int(bytes_per_gene[block.start : block.stop].sum()) for block in blocks)


def target_block_bytes(matrix: MatrixInfo) -> int:
    """Give the target size of a block beside a matrix in memory, in bytes."""
    return int(max(MIN_BLOCK_BYTES, SHARE_OF_MATRIX * matrix.n_bytes))
