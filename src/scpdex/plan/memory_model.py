"""Budget: what the stages of a call take of memory, in bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scpdex.plan.matrix_info import code_dtype

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scpdex.plan.matrix_info import MatrixInfo, Requirements

# Rows and group codes of the cells, and where their values begin and end, while these are put in order.
_OF_CELL = 56
# Rows that are read: what is noted of each gene.
_OF_GENE = 48
# Where each group ends is noted for each gene of a block.
_OF_END = 4
# Where each gene starts is noted for each piece of rows.
_OF_START = 4
# What is noted of a value of the longest gene where values are put in order.
_OF_VALUE_IN_ORDER = 64
# Scratch of a thread: tables of digits, and the arrays of a tile.
_OF_THREAD = 4 << 20
# The same of one gene, for each group, where there are so many groups that a tile is a gene.
_OF_CODE = 128
# Pieces of rows that are being read, waiting, sorted into genes, or kept, beyond one for each thread.
_PIECES_ON_THEIR_WAY = 3
# Batches of dask chunks, one part for each thread, that are being computed, waiting, or sorted.
_BATCHES_ON_THEIR_WAY = 3
# Chunks of rows of a dask array that are looked at before the work, and kept.
CHUNKS_LOOKED_AT = 3
_MOST_VALUES_OF_PIECE = 1 << 22
_LEAST_VALUES_OF_PIECE = 1 << 14
# Sums that are kept while rows pass, for moments or else ranks, and what they are made into at the end.
_OF_SUMS = {True: 49, False: 56}
_VALUES_IN_32_BITS = 1 << 31


@dataclass(frozen=True)
class MemoryModel:
    """What a call takes at each of its stages."""

    needs: Requirements

    def fixed(self, info: MatrixInfo, n_threads: int) -> int:
        """Bytes for cells, genes, and scratch of the threads."""
        longest = int(info.stored.max())
        per_cell = _OF_CELL * max(info.n_cells, info.n_rows) if info.chunked else 0
        of_thread = _OF_THREAD + _OF_CODE * self.needs.most_codes + longest * self.of_longest(info)
        return per_cell + _OF_GENE * info.stored.size + n_threads * of_thread

    def ordering(self, info: MatrixInfo) -> int:
        """Bytes that adjusting p-values of all groups together takes, when all else is done."""
        return self.needs.of_family * self.needs.n_groups * info.stored.size

    def of_longest(self, info: MatrixInfo) -> int:
        """Bytes of scratch for each value of the longest gene."""
        of_order = _OF_VALUE_IN_ORDER if self.needs.in_order else 0
        return 0 if self.needs.moments else 3 * info.key_dtype.itemsize + 8 + of_order

    def least(self, info: MatrixInfo, n_threads: int) -> int:
        """Bytes that a plan takes at the least."""
        of_genes = max(int(self.of_block(info, spilled=s, spill_table=True).max()) for s in (False, True))
        on_its_way = 0
        if info.chunked and info.format != "CSC":
            on_its_way = self.on_its_way(info, self.piece(info, 0, n_threads), n_threads)
        return self.fixed(info, n_threads) + 3 * max(of_genes, on_its_way) // 2 + 1

    def table(self, info: MatrixInfo) -> int:
        """Bytes of the statistics of all groups and genes."""
        return self.needs.of_statistics * self.needs.n_groups * info.stored.size

    def spills(self, info: MatrixInfo, room: int, max_memory: int) -> bool:
        """Tell whether statistics are to wait in scratch, so that enough is left of the room, and of all at the end."""
        table = self.table(info)
        return table > room // 3 or table + self.ordering(info) > max_memory

    def of_block(self, info: MatrixInfo, *, spilled: bool, spill_table: bool) -> NDArray[np.int64]:
        """Bytes that each gene takes in a block; ``spilled`` says that it is read from scratch."""
        n_bytes = info.stored * info.key_dtype.itemsize + _OF_END * self.needs.n_codes
        if spill_table:
            n_bytes += self.needs.of_statistics * self.needs.n_groups
        if spilled:
            # The next block is read while this one is ranked.
            n_bytes += 2 * info.stored * self.bytes_per_entry(info)
        elif info.chunked and not info.by_rows:
            rows = info.n_rows if info.format == "dense" else info.stored
            # What is read ahead, what is being decoded, what it becomes, and a copy or two of that.
            n_copies = 3 + 2 * info.reorders + 2 * self.needs.normalized
            n_bytes += n_copies * info.bytes_per_value * rows
        return n_bytes

    def bytes_per_entry(self, info: MatrixInfo) -> int:
        """Bytes of a value that is sorted into its gene: its key and the code of its group."""
        return info.key_dtype.itemsize + code_dtype(self.needs.n_codes).itemsize

    def entries(self, info: MatrixInfo, piece: int) -> int:
        """Bytes of all values, sorted into genes, and of where these start in each piece."""
        n_values = int(info.stored.sum())
        return n_values * self.bytes_per_entry(info) + _OF_START * info.stored.size * (-(-n_values // piece))

    def loaded(self, info: MatrixInfo) -> int:
        """Bytes of all rows in memory, and of their places."""
        of_value = info.key_dtype.itemsize + (4 if info.n_values < _VALUES_IN_32_BITS else 8)
        return info.n_values * of_value + 8 * info.n_cells

    def piece(self, info: MatrixInfo, most_bytes: int, n_threads: int) -> int:
        """Values that are read together, so that those on their way take no more than so many bytes."""
        of_value = self.on_its_way(replace(info, longest_chunk=min(1, info.longest_chunk)), 1, n_threads)
        least = max(_LEAST_VALUES_OF_PIECE, 2 * info.stored.size)
        piece = min(max(least, min(_MOST_VALUES_OF_PIECE, most_bytes // of_value)), max(1, info.n_values))
        # Chunks are computed whole, whatever is compared of them.
        return max(piece, info.longest_chunk)

    def on_its_way(self, info: MatrixInfo, piece: int, n_threads: int) -> int:
        """Bytes of the rows that are being read and sorted."""
        if info.is_dask:
            computed = _BATCHES_ON_THEIR_WAY * n_threads * info.bytes_per_value
            looked_at = CHUNKS_LOOKED_AT * info.longest_chunk * info.bytes_per_value
            of_value = computed + (n_threads + 1) * (self.of_part(info) - info.bytes_per_value)
            # As much again may be kept of what several chunks need.
            return piece * of_value + 2 * looked_at
        of_value = info.bytes_per_value + self.bytes_per_entry(info)
        # Dense rows become sparse ones by way of their places, and normalized values are made beside those read.
        of_value += 32 if info.format == "dense" else 0
        of_value += info.key_dtype.itemsize if self.needs.normalized else 0
        return (n_threads + _PIECES_ON_THEIR_WAY) * piece * of_value

    def of_part(self, info: MatrixInfo) -> int:
        """Bytes of each value of a dask chunk while it is turned gene-major."""
        of_value = info.bytes_per_value + self.bytes_per_entry(info)
        # Dense rows become sparse ones, some at a time, and then one; sparse ones may be put together.
        of_value += 2 * (info.key_dtype.itemsize + 4)
        return of_value + (info.key_dtype.itemsize if self.needs.normalized else 0)

    def of_passes(self, info: MatrixInfo) -> int:
        """Bytes of the sums that are kept for each gene and group while rows pass."""
        of_pair = _OF_SUMS[self.needs.moments] + (8 if self.needs.with_expm1 else 0)
        return of_pair * self.needs.n_codes * info.stored.size
