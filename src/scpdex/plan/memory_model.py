"""Memory model: the bytes that each stage of a call takes beyond its results, term by term."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from scpdex.plan.matrix_info import ChunkedMatrix, ClusterDaskMatrix, LocalDaskMatrix, MatrixInfo, code_dtype
from scpdex.plan.row_groups import row_group_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.machine.limits import Limits
    from scpdex.plan.requirements import Requirements

# Per cell of a matrix that is read in parts: its row, its group code, the span of its values, and the sort of these.
BYTES_PER_CELL = 56
# Per gene: what is counted while rows are read.
BYTES_PER_GENE = 48
# Group boundaries: one uint32 per gene and group of a block.
BOUNDARY_BYTES = 4
# Gene boundaries: one uint32 per gene and piece of rows.
BYTES_PER_GENE_AND_PIECE = 4
# Bytes per value of the longest gene, of a test that numbers distinct values.
NUMBER_BUFFER_BYTES = 64
# Work buffers of a thread: digit tables, and the arrays of a tile; and per number of a gene, where a tile is one gene.
BYTES_PER_THREAD = 4 << 20
BYTES_PER_NUMBER_AND_THREAD = 128
# Per gene and group whose genes are ordered: sort keys and their positions, the order, adjusted p-values.
ORDER_BYTES = 40
# Groups that a thread orders together: as many as fit its cache, and fill cache lines of the results.
SLICE_BYTES = 1 << 20
LEAST_GROUPS_PER_SLICE = 8
# Sums per gene and group that are kept while rows pass, and what they become at the end.
MOMENT_SUM_BYTES = 49
RANK_SUM_BYTES = 56
TRANSFORMED_SUM_BYTES = 8
# A dense value that becomes sparse: its row, its column, and a copy of both.
DENSE_TO_SPARSE_BYTES = 32
# Pieces of rows that are being read, waiting, turned gene-major, or kept, beyond one per thread.
PIECES_IN_TRANSIT = 3
# Batches of dask chunks, one part per thread, that are being computed, waiting, or turned gene-major.
BATCHES_IN_TRANSIT = 3
# Chunks of rows of a dask array that are computed for the plan, and kept.
SAMPLED_CHUNKS = 3
# Values of a piece of rows: fewer are not worth a task, more do not read faster.
MOST_VALUES_PER_PIECE = 1 << 22
LEAST_VALUES_PER_PIECE = 1 << 14
_VALUES_IN_32_BITS = 1 << 31

AnyMatrix = TypeVar("AnyMatrix", bound=MatrixInfo)
PartsMatrix = TypeVar("PartsMatrix", ChunkedMatrix, LocalDaskMatrix, ClusterDaskMatrix)
ReadMatrix = TypeVar("ReadMatrix", ChunkedMatrix, LocalDaskMatrix)


@dataclass(frozen=True)
class MemoryModel(Generic[AnyMatrix]):
    """Memory of a call, stage by stage, for a matrix in memory."""

    matrix: AnyMatrix
    requirements: Requirements
    limits: Limits

    @property
    def bytes_for_longest_gene(self) -> int:
        """Work buffer of a thread, bytes per value of the longest gene: moments need none."""
        if self.requirements.only_moments:
            return 0
        number_buffer = NUMBER_BUFFER_BYTES if self.requirements.numbers_values else 0
        return 3 * self.matrix.key_dtype.itemsize + 8 + number_buffer

    @property
    def bytes_per_thread(self) -> int:
        """Work buffers of a thread."""
        numbers = self.requirements.most_numbers_per_gene
        longest_gene = int(self.matrix.max_nonzeros.max())
        return BYTES_PER_THREAD + BYTES_PER_NUMBER_AND_THREAD * numbers + longest_gene * self.bytes_for_longest_gene

    @property
    def cell_bytes(self) -> int:
        """Bytes that all cells take."""
        return 0

    @property
    def fixed_bytes(self) -> int:
        """Bytes from the beginning of a call to its end: cells, genes, and work buffers of the threads."""
        genes = BYTES_PER_GENE * self.matrix.n_genes
        return self.cell_bytes + genes + self.limits.n_threads * self.bytes_per_thread

    @property
    def adjustment_bytes(self) -> int:
        """Bytes that adjusting p-values of all groups together takes, when all else is done."""
        return self.requirements.bytes_per_pair_to_adjust * self.requirements.n_groups * self.matrix.n_genes

    @property
    def table_bytes(self) -> int:
        """Bytes of the statistics of all groups and genes."""
        return self.requirements.bytes_per_pair * self.requirements.n_groups * self.matrix.n_genes

    @property
    def shared_bytes(self) -> int:
        """Bytes for values that several dask chunks need; none elsewhere."""
        return 0

    @property
    def bytes_beside_fixed(self) -> int:
        """Bytes of the budget that are left for the table, kept values and blocks."""
        return self.limits.max_memory - self.fixed_bytes - self.shared_bytes

    @property
    def spill_table(self) -> bool:
        """Whether statistics wait in scratch, since they would take a third of the budget, or all of it at the end."""
        if self.table_bytes == 0:
            return False
        exceeds_third = self.table_bytes > self.bytes_beside_fixed // 3
        return exceeds_third or self.table_bytes + self.adjustment_bytes > self.limits.max_memory

    @property
    def table_bytes_in_memory(self) -> int:
        """Bytes of the statistics, unless they wait in scratch."""
        return 0 if self.spill_table else self.table_bytes

    @property
    def table_bytes_in_scratch(self) -> int:
        """Bytes of the statistics that wait in scratch."""
        return self.table_bytes if self.spill_table else 0

    @property
    def held_bytes(self) -> int:
        """Bytes that are held whatever the step: fixed and shared ones, and the table, unless it waits in scratch."""
        return self.fixed_bytes + self.shared_bytes + self.table_bytes_in_memory

    @property
    def room(self) -> int:
        """Bytes of the budget that values, as they are read, kept and gathered, may take."""
        return self.bytes_beside_fixed - self.table_bytes_in_memory

    @property
    def order_bytes(self) -> int:
        """Bytes of one group, per thread, while its genes are ordered, and while its rows wait to be encoded."""
        read = self.requirements.bytes_per_pair_to_order
        waiting = 2 * self.requirements.bytes_per_row_to_write
        return (read + ORDER_BYTES + waiting) * self.matrix.n_genes if read else 0

    @property
    def row_group_bytes(self) -> int:
        """Bytes of the rows that are encoded together for a file."""
        return row_group_bytes(self.requirements.bytes_per_row_to_write, self.limits.max_memory)

    @property
    def groups_per_slice(self) -> int:
        """Neighbouring groups whose genes a thread orders together: so many as fit its cache, and the budget."""
        if self.order_bytes == 0:
            return self.requirements.n_groups
        room = self.limits.max_memory - self.cell_bytes - self.table_bytes_in_memory - self.adjustment_bytes
        fitting = (room - self.row_group_bytes) // (self.limits.n_threads * self.order_bytes)
        wanted = max(LEAST_GROUPS_PER_SLICE, SLICE_BYTES // self.order_bytes)
        return max(1, min(fitting, wanted))

    @property
    def peak_at_end(self) -> int:
        """Bytes while p-values are adjusted, and genes are ordered."""
        ordered = self.limits.n_threads * self.groups_per_slice * self.order_bytes
        return self.cell_bytes + self.adjustment_bytes + self.table_bytes_in_memory + ordered + self.row_group_bytes

    def block_bytes(self, nonzeros: NDArray[np.int64], *, spill_table: bool) -> NDArray[np.int64]:
        """Bytes that each gene takes in a block: keys, group boundaries, and statistics on their way to scratch."""
        statistics = self.requirements.bytes_per_pair * self.requirements.n_groups if spill_table else 0
        return nonzeros * self.matrix.key_dtype.itemsize + BOUNDARY_BYTES * self.requirements.n_codes + statistics

    @property
    def bytes_per_entry(self) -> int:
        """Bytes of a value beside its group: a key and a code."""
        return self.matrix.key_dtype.itemsize + code_dtype(self.requirements.n_codes).itemsize

    def scratch_read_bytes(self, nonzeros: NDArray[np.int64]) -> NDArray[np.int64]:
        """Bytes of each gene that is read from scratch: the next block is read while one is ranked."""
        return 2 * nonzeros * self.bytes_per_entry

    @property
    def largest_step_bytes(self) -> int:
        """Bytes of the step that takes most and cannot be cut: a gene as a block of its own, read from scratch."""
        nonzeros = self.matrix.max_nonzeros
        return int((self.block_bytes(nonzeros, spill_table=True) + self.scratch_read_bytes(nonzeros)).max())

    @property
    def least_bytes(self) -> int:
        """Least budget of any plan: fixed bytes and 1.5 times the largest step."""
        return self.fixed_bytes + 3 * self.largest_step_bytes // 2 + 1


@dataclass(frozen=True)
class PartsMemoryModel(MemoryModel[PartsMatrix]):
    """Memory of a call where the matrix is read in parts, here or by workers."""

    @property
    def cell_bytes(self) -> int:
        """Bytes that all cells take."""
        return BYTES_PER_CELL * max(self.matrix.n_cells, self.matrix.n_spanned_rows)

    @property
    def sum_bytes(self) -> int:
        """Bytes of the sums that are kept for each gene and group while rows pass."""
        bytes_per_pair = MOMENT_SUM_BYTES if self.requirements.only_moments else RANK_SUM_BYTES
        bytes_per_pair += TRANSFORMED_SUM_BYTES if self.requirements.sums_transformed else 0
        return bytes_per_pair * self.requirements.n_codes * self.matrix.n_genes

    @property
    def bytes_per_value_of_chunk(self) -> int:
        """Bytes per value of a dask chunk while it is turned gene-major."""
        bytes_per_value = self.matrix.bytes_per_value + self.bytes_per_entry
        # Dense rows become sparse ones, some at a time, and then one; sparse ones may be put together.
        bytes_per_value += 2 * (self.matrix.key_dtype.itemsize + 4)
        return bytes_per_value + (self.matrix.key_dtype.itemsize if self.requirements.normalizes else 0)


@dataclass(frozen=True)
class ReadMemoryModel(PartsMemoryModel[ReadMatrix], ABC):
    """Memory of a call that reads rows in pieces and turns them gene-major."""

    @property
    @abstractmethod
    def bytes_per_value_in_transit(self) -> int:
        """Bytes per value of a piece, of all pieces that are being read and turned gene-major."""

    def transit_bytes(self, values_per_piece: int) -> int:
        """Bytes of the rows that are being read and turned gene-major."""
        return values_per_piece * self.bytes_per_value_in_transit

    def values_per_piece(self, max_bytes: int) -> int:
        """Values that are read together, so that those in transit take at most ``max_bytes``."""
        fitting = min(MOST_VALUES_PER_PIECE, max_bytes // self.bytes_per_value_in_transit)
        least = max(LEAST_VALUES_PER_PIECE, 2 * self.matrix.n_genes)
        return min(max(least, fitting), max(1, self.matrix.n_values))

    def bucket_bytes(self, values_per_piece: int) -> int:
        """Bytes of all values, turned gene-major, and of the gene boundaries of each piece."""
        n_values = int(self.matrix.expected_nonzeros.sum())
        n_pieces = -(-n_values // values_per_piece)
        return n_values * self.bytes_per_entry + BYTES_PER_GENE_AND_PIECE * self.matrix.n_genes * n_pieces


@dataclass(frozen=True)
class ChunkedMemoryModel(ReadMemoryModel[ChunkedMatrix]):
    """Memory of a call that reads rows or columns of a file, or of memory in parts."""

    @property
    def bytes_per_value_in_transit(self) -> int:
        """Bytes per value of a piece, of all pieces that are being read and turned gene-major."""
        bytes_per_value = self.matrix.bytes_per_value + self.bytes_per_entry
        bytes_per_value += DENSE_TO_SPARSE_BYTES if "dense" in self.matrix.format else 0
        # Normalized values are made beside those that were read.
        bytes_per_value += self.matrix.key_dtype.itemsize if self.requirements.normalizes else 0
        return (self.limits.n_threads + PIECES_IN_TRANSIT) * bytes_per_value

    def values_per_piece(self, max_bytes: int) -> int:
        """Values that are read together: a column that becomes a piece is read whole."""
        return max(super().values_per_piece(max_bytes), self.matrix.values_of_longest_column)

    @property
    def column_read_bytes(self) -> NDArray[np.int64]:
        """Bytes of each gene that is read as a column: what is read ahead, decoded, its result, and copies of that."""
        stored = np.full_like(self.matrix.max_nonzeros, self.matrix.n_spanned_rows)
        stored = stored if self.matrix.format == "dense" else self.matrix.max_nonzeros
        n_copies = 3 + 2 * self.matrix.reorders_cells + 2 * self.requirements.normalizes
        return n_copies * self.matrix.bytes_per_value * stored

    @property
    def loaded_bytes(self) -> int:
        """Bytes of all rows in memory, and of their places."""
        index_bytes = 4 if self.matrix.n_values < _VALUES_IN_32_BITS else 8
        return self.matrix.n_values * (self.matrix.key_dtype.itemsize + index_bytes) + 8 * self.matrix.n_cells

    @property
    def largest_step_bytes(self) -> int:
        """Bytes of the step that takes most and cannot be cut: a gene, a column that is read, or a piece of rows."""
        largest = super().largest_step_bytes
        if self.matrix.reads_columns:
            genes = self.block_bytes(self.matrix.max_nonzeros, spill_table=True)
            largest = max(largest, int((genes + self.column_read_bytes).max()))
        return max(largest, self.transit_bytes(self.values_per_piece(0))) if self.matrix.reads_rows else largest


@dataclass(frozen=True)
class LocalMemoryModel(ReadMemoryModel[LocalDaskMatrix]):
    """Memory of this machine where dask computes chunks on it."""

    @property
    def bytes_per_value_in_transit(self) -> int:
        """Bytes per value of a part, of all parts that are being computed and turned gene-major."""
        computed = BATCHES_IN_TRANSIT * self.limits.n_threads * self.matrix.bytes_per_value
        turned = (self.limits.n_threads + 1) * (self.bytes_per_value_of_chunk - self.matrix.bytes_per_value)
        return computed + turned

    @property
    def sample_bytes(self) -> int:
        """Bytes of the sampled chunks, and as many again for values that several chunks share."""
        return 2 * SAMPLED_CHUNKS * self.matrix.values_of_longest_chunk * self.matrix.bytes_per_value

    def transit_bytes(self, values_per_piece: int) -> int:
        """Bytes of the parts in transit and of the sampled chunks."""
        return super().transit_bytes(values_per_piece) + self.sample_bytes

    def values_per_piece(self, max_bytes: int) -> int:
        """Values of a part: chunks are computed whole, whatever is compared of them."""
        fitting = super().values_per_piece(max(0, max_bytes - self.sample_bytes))
        return max(fitting, self.matrix.values_of_longest_chunk)

    @property
    def shared_bytes(self) -> int:
        """Bytes for values that several chunks need, such as a median: at most an eighth of the budget."""
        spare = self.limits.max_memory - self.least_bytes
        return min(self.limits.max_memory // 8, spare, 2 * self.matrix.n_bytes)

    @property
    def largest_step_bytes(self) -> int:
        """Bytes of the step that takes most and cannot be cut: a gene, or the parts in transit."""
        return max(super().largest_step_bytes, self.transit_bytes(self.values_per_piece(0)))


@dataclass(frozen=True)
class ClientMemoryModel(PartsMemoryModel[ClusterDaskMatrix]):
    """Memory of a dask client, whose workers compute and rank."""

    @property
    def fixed_bytes(self) -> int:
        """Bytes from the beginning of a call to its end: cells, genes, and the arrays of a tile."""
        tile = BYTES_PER_THREAD + BYTES_PER_NUMBER_AND_THREAD * self.requirements.most_numbers_per_gene
        return self.cell_bytes + BYTES_PER_GENE * self.matrix.n_genes + tile

    @property
    def least_bytes(self) -> int:
        """Least budget of any plan: the strategies of a cluster say themselves what their client lacks."""
        return 0


def model_memory(matrix: MatrixInfo, requirements: Requirements, limits: Limits) -> MemoryModel[Any]:
    """Give the memory model of a matrix, by its storage."""
    if isinstance(matrix, ChunkedMatrix):
        return ChunkedMemoryModel(matrix, requirements, limits)
    if isinstance(matrix, LocalDaskMatrix):
        return LocalMemoryModel(matrix, requirements, limits)
    if isinstance(matrix, ClusterDaskMatrix):
        return ClientMemoryModel(matrix, requirements, limits)
    return MemoryModel(matrix, requirements, limits)
