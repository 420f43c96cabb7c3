"""Gather: bring the non-zeros of a run of genes together, gene by gene and in cell order.

Each storage has one kernel here. All fill the same gene block: gene ``g`` of the block owns the entries from
``starts[g]`` to ``starts[g] + lengths[g]``. ``slots`` maps a matrix column to the position of its gene among the
tested genes, or to -1. Zeros, stored or not, leave no entry. ``not_finite`` counts NaN and infinite values per gene.
Each kernel returns whether all gathered values were whole and non-negative, as raw counts are.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._jit import kernel
from scpdex.kernels.entries import as_real, put, to_key

# Cells of a dense matrix that are read together for every gene of a block: small enough that the cache lines
# fetched for the first gene are still there for the last.
_CELLS_PER_TILE = 512


@kernel
def count_rows(
    indices: NDArray[Any], indptr: NDArray[Any], cells: NDArray[Any], slots: NDArray[Any], counts: NDArray[Any]
) -> bool:
    """Count the stored values of each tested gene (CSR); tell whether columns strictly increase in each row."""
    increasing = True
    for i in range(cells.size):
        row = cells[i]
        previous = np.int64(-1)
        for p in range(indptr[row], indptr[row + 1]):
            column = np.int64(indices[p])
            increasing &= column > previous
            previous = column
            slot = slots[column]
            if slot >= 0:
                counts[slot] += 1
    return increasing


@kernel
def count_columns(
    indices: NDArray[Any], indptr: NDArray[Any], columns: NDArray[Any], times: NDArray[Any], counts: NDArray[Any]
) -> bool:
    """Count the stored values of each tested gene (CSC); tell whether rows strictly increase in each column.

    ``times`` says how often each row is compared: once, not at all, or more often in a view that repeats it.
    """
    increasing = True
    for g in range(columns.size):
        column = columns[g]
        previous = np.int64(-1)
        count = 0
        for p in range(indptr[column], indptr[column + 1]):
            row = np.int64(indices[p])
            increasing &= row > previous
            previous = row
            count += times[row]
        counts[g] = count
    return increasing


@kernel
def seek_rows(
    indices: NDArray[Any], indptr: NDArray[Any], cells: NDArray[Any], column: int, cursors: NDArray[Any]
) -> None:
    """Point each cell's cursor at the first of its stored values that lies in ``column`` or beyond."""
    for i in range(cells.size):
        low = np.int64(indptr[cells[i]])
        high = np.int64(indptr[cells[i] + 1])
        while low < high:
            middle = (low + high) // 2
            if indices[middle] < column:
                low = middle + 1
            else:
                high = middle
        cursors[i] = low


@kernel
def _is_count(value: Any) -> bool:
    return bool(value >= 0 and value == np.floor(value))


@kernel
def gather_rows(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    cells: NDArray[Any],
    codes: NDArray[Any],
    slots: NDArray[Any],
    first_slot: int,
    stop_column: int,
    cursors: NDArray[Any],
    entries: Any,
    starts: NDArray[Any],
    lengths: NDArray[Any],
    not_finite: NDArray[Any],
) -> bool:
    """Gather from CSR: advance each cell's cursor up to ``stop_column``, dealing its values out to their genes."""
    counts_like = True
    lengths[:] = 0
    not_finite[:] = 0
    for i in range(cells.size):
        p = cursors[i]
        end = indptr[cells[i] + 1]
        code = codes[i]
        while p < end and indices[p] < stop_column:
            g = slots[indices[p]] - first_slot
            if g >= 0:
                value = as_real(data[p])
                if value != 0:
                    not_finite[g] += not np.isfinite(value)
                    counts_like = counts_like and _is_count(value)
                    put(entries, starts[g] + lengths[g], to_key(value), code)
                    lengths[g] += 1
            p += 1
        cursors[i] = p
    return counts_like


@kernel
def gather_columns(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    columns: NDArray[Any],
    row_codes: NDArray[Any],
    entries: Any,
    starts: NDArray[Any],
    lengths: NDArray[Any],
    not_finite: NDArray[Any],
) -> bool:
    """Gather from CSC: copy the compared cells of each column; ``row_codes`` is -1 for all other rows."""
    counts_like = True
    for g in range(columns.size):
        column = columns[g]
        position = starts[g]
        unusable = 0
        for p in range(indptr[column], indptr[column + 1]):
            code = row_codes[indices[p]]
            if code >= 0:
                value = as_real(data[p])
                if value != 0:
                    unusable += not np.isfinite(value)
                    counts_like = counts_like and _is_count(value)
                    put(entries, position, to_key(value), code)
                    position += 1
        lengths[g] = position - starts[g]
        not_finite[g] = unusable
    return counts_like


@kernel
def gather_dense(
    values: NDArray[Any],
    cells: NDArray[Any],
    codes: NDArray[Any],
    columns: NDArray[Any],
    entries: Any,
    starts: NDArray[Any],
    lengths: NDArray[Any],
    not_finite: NDArray[Any],
) -> bool:
    """Gather from a dense matrix of any memory order, tile of cells by tile of cells."""
    counts_like = True
    lengths[:] = 0
    not_finite[:] = 0
    for first in range(0, cells.size, _CELLS_PER_TILE):
        last = min(first + _CELLS_PER_TILE, cells.size)
        for g in range(columns.size):
            column = columns[g]
            position = starts[g] + lengths[g]
            for i in range(first, last):
                value = as_real(values[cells[i], column])
                if value != 0:
                    not_finite[g] += not np.isfinite(value)
                    counts_like = counts_like and _is_count(value)
                    put(entries, position, to_key(value), codes[i])
                    position += 1
            lengths[g] = position - starts[g]
    return counts_like
