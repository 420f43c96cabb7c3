"""Gather: bring the non-zeros of a run of genes together, gene by gene and in cell order.

Each storage has one kernel here. All fill the same gene block: gene ``g`` of the block owns the entries from
``starts[g]`` to ``starts[g] + lengths[g]``. Zeros, stored or not, leave no entry. Each kernel returns whether all
gathered values were whole and non-negative, as raw counts are. Indices are unsigned, which spares Numba a check for
counting from the end at each access.
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
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], cells: NDArray[Any], counts: NDArray[Any]
) -> bool:
    """Count the non-zero values of each column (CSR); tell whether columns strictly increase in each row."""
    disorder = 0
    for i in range(cells.size):
        start = np.uint64(indptr[cells[i]])
        stop = np.uint64(indptr[cells[i] + 1])
        for p in range(start + np.uint64(1), stop):
            disorder += indices[p] <= indices[p - np.uint64(1)]
        for p in range(start, stop):
            counts[np.uint64(indices[p])] += data[p] != 0
    return disorder == 0


@kernel
def count_columns(
    indices: NDArray[Any], indptr: NDArray[Any], columns: NDArray[Any], times: NDArray[Any], counts: NDArray[Any]
) -> bool:
    """Count the stored values of each tested gene (CSC); tell whether rows strictly increase in each column.

    ``times`` says how often each row is compared: once, not at all, or more often in a view that repeats it.
    """
    disorder = 0
    for g in range(columns.size):
        start = np.uint64(indptr[columns[g]])
        stop = np.uint64(indptr[columns[g] + 1])
        for p in range(start + np.uint64(1), stop):
            disorder += indices[p] <= indices[p - np.uint64(1)]
        count = 0
        for p in range(start, stop):
            count += times[np.uint64(indices[p])]
        counts[g] = count
    return disorder == 0


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
    slots: NDArray[Any] | None,
    first: int,
    stop_column: int,
    cursors: NDArray[Any],
    entries: Any,
    places: NDArray[Any],
) -> bool:
    """Gather from CSR: advance each cell's cursor up to ``stop_column``, dealing its values out to their genes.

    ``places`` says where these cells' entries of each gene begin, unsigned, and is advanced to where they end.

    ``slots`` maps a column to its place among the tested genes, or to -1; None says that the tested columns are
    neighbours. ``first`` is the place, or the column, of the block's first gene.
    """
    counts_like = True
    for i in range(cells.size):
        p = np.uint64(cursors[i])
        end = np.uint64(indptr[cells[i] + 1])
        code = codes[i]
        while p < end:
            column = np.int64(indices[p])
            if column >= stop_column:
                break
            # Numba compiles one branch for None and the other for an array.
            if slots is None:  # noqa: SIM108
                gene = column - first
            else:
                gene = np.int64(slots[np.uint64(column)]) - first
            value = as_real(data[p])
            if gene >= 0 and value != 0:
                counts_like = counts_like and _is_count(value)
                g = np.uint64(gene)
                put(entries, places[g], to_key(value), code)
                places[g] += np.uint64(1)
            p += np.uint64(1)
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
) -> bool:
    """Gather from CSC: copy the compared cells of each column; ``row_codes`` is -1 for all other rows."""
    counts_like = True
    for g in range(columns.size):
        column = columns[g]
        place = np.uint64(starts[g])
        for p in range(np.uint64(indptr[column]), np.uint64(indptr[column + 1])):
            code = row_codes[np.uint64(indices[p])]
            value = as_real(data[p])
            if code >= 0 and value != 0:
                counts_like = counts_like and _is_count(value)
                put(entries, place, to_key(value), code)
                place += np.uint64(1)
        lengths[g] = np.int64(place) - starts[g]
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
) -> bool:
    """Gather from a dense matrix of any memory order, tile of cells by tile of cells."""
    counts_like = True
    lengths[:] = 0
    for first in range(0, cells.size, _CELLS_PER_TILE):
        last = min(first + _CELLS_PER_TILE, cells.size)
        for g in range(columns.size):
            column = np.uint64(columns[g])
            place = np.uint64(starts[g] + lengths[g])
            for i in range(first, last):
                value = as_real(values[np.uint64(cells[i]), column])
                if value != 0:
                    counts_like = counts_like and _is_count(value)
                    put(entries, place, to_key(value), codes[i])
                    place += np.uint64(1)
            lengths[g] = np.int64(place) - starts[g]
    return counts_like
