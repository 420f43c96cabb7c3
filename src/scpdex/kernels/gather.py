"""Gather: collect the non-zeros of a run of genes, gene by gene, group by group and in cell order.

Each storage format has one kernel here. All fill the same gene block: gene ``g`` owns the keys from ``starts[g]`` on
and, relative to that, its group ``code`` ends at ``ends[code, g]``. Zeros, stored or not, have no key. Indices are
unsigned, which spares Numba a check for counting from the end at each access.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import kernel
from scpdex.kernels.keys import as_real, to_key
from scpdex.kernels.prefetch import prefetch

# Cells of a tile of a dense matrix: few enough for the cache lines that the first gene of a block fetches to stay in
# the cache until its last gene.
_CELLS_PER_TILE = 256
# Prefetch of a sparse matrix: how many rows ahead, and how many cache lines of each row.
_ROWS_AHEAD = 2
_LINES_AHEAD = 6
_CACHE_LINE = 64


@kernel
def count_rows(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    rows: NDArray[Any],
    parts: NDArray[Any],
    counts: NDArray[Any],
) -> bool:
    """Count the non-zero values of each column (CSR); return whether columns strictly increase in each row.

    ``parts`` is the part that each of ``rows`` belongs to; ``counts``, parts x columns, are added to.
    """
    disorder = 0
    for i in range(rows.size):
        start = np.uint64(indptr[rows[i]])
        stop = np.uint64(indptr[rows[i] + 1])
        part = np.uint64(parts[i])
        for p in range(start + np.uint64(1), stop):
            disorder += indices[p] <= indices[np.uint64(p) - np.uint64(1)]
        for p in range(start, stop):
            counts[part, np.uint64(indices[p])] += data[p] != 0
    return disorder == 0


@kernel
def count_columns(
    indices: NDArray[Any], indptr: NDArray[Any], columns: NDArray[Any], times: NDArray[Any], counts: NDArray[Any]
) -> bool:
    """Count the stored values of each tested gene (CSC); return whether rows strictly increase in each column.

    ``times`` is how often each row is compared: once, never, or more often in a view that repeats it.
    """
    disorder = 0
    for g in range(columns.size):
        start = np.uint64(indptr[columns[g]])
        stop = np.uint64(indptr[columns[g] + 1])
        for p in range(start + np.uint64(1), stop):
            disorder += indices[p] <= indices[np.uint64(p) - np.uint64(1)]
        count = 0
        for p in range(start, stop):
            count += times[np.uint64(indices[p])]
        counts[g] = count
    return disorder == 0


@kernel
def seek_rows(
    indices: NDArray[Any], indptr: NDArray[Any], cells: NDArray[Any], column: int, cursors: NDArray[Any]
) -> None:
    """Point each cell's cursor to its first stored value in ``column`` or beyond."""
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
def gather_rows(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    cells: NDArray[Any],
    group_stops: NDArray[Any],
    slots: NDArray[Any] | None,
    first: int,
    stop_column: int,
    cursors: NDArray[Any],
    keys: NDArray[Any],
    starts: NDArray[Any],
    places: NDArray[Any],
    ends: NDArray[Any],
) -> None:
    """Gather a part of the cells from CSR: advance their cursors to ``stop_column``, and write values to their genes.

    Parameters
    ----------
    cells, cursors
        Row of each cell of this part, group by group, and the position of its next value.
    group_stops
        Where each group ends in ``cells``: negative or beyond these if it ends in another part.
    slots
        Position of each column among the tested genes, or -1; None if the tested columns are neighbours.
    first
        Position among the tested genes of the block's first gene or, without ``slots``, its column.
    places
        Where the next key of each gene goes, unsigned; advanced.
    """
    i = 0
    for code in range(group_stops.size):
        stop = min(group_stops[code], cells.size)
        while i < stop:
            ahead = np.uint64(cursors[min(i + _ROWS_AHEAD, cells.size - 1)])
            for line in range(np.uint64(_LINES_AHEAD)):
                prefetch(indices, ahead + np.uint64(line) * np.uint64(_CACHE_LINE // indices.itemsize))
                prefetch(data, ahead + np.uint64(line) * np.uint64(_CACHE_LINE // data.itemsize))
            p = np.uint64(cursors[i])
            end = np.uint64(indptr[cells[i] + 1])
            while p < end:
                column = np.int64(indices[p])
                if column >= stop_column:
                    break
                # Numba compiles only the branch for the type of slots.
                if slots is None:  # noqa: SIM108
                    gene = column - first
                else:
                    gene = np.int64(slots[np.uint64(column)]) - first
                value = as_real(data[p])
                if gene >= 0 and value != 0:
                    g = np.uint64(gene)
                    keys[places[g]] = to_key(value)
                    places[g] += np.uint64(1)
                p += np.uint64(1)
            cursors[i] = p
            i += 1
        # The part with the last cell of a group writes its end. A group without a cell ends where the one before does.
        if 0 <= group_stops[code] <= cells.size:
            for g in range(places.size):
                ends[code, g] = np.int64(places[g]) - starts[g]


@kernel
def gather_columns(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    columns: NDArray[Any],
    row_codes: NDArray[Any],
    codes: NDArray[Any],
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
) -> None:
    """Gather from CSC: write the values of each column to their groups; ``row_codes`` is -1 for rows not compared.

    ``codes`` is scratch, as long as the longest column.
    """
    places = np.empty(ends.shape[0], dtype=np.uint64)
    for g in range(columns.size):
        start = np.uint64(indptr[columns[g]])
        n = np.uint64(indptr[columns[g] + 1]) - start
        for code in range(places.size):
            places[code] = 0
        for p in range(n):
            code = row_codes[np.uint64(indices[start + np.uint64(p)])] if data[start + np.uint64(p)] != 0 else -1
            codes[p] = code
            if code >= 0:
                places[np.uint64(code)] += np.uint64(1)
        place = np.uint64(starts[g])
        for code in range(np.uint64(places.size)):
            count = places[code]
            places[code] = place
            place += count
            ends[code, g] = np.int64(place) - starts[g]
        for p in range(n):
            if codes[p] >= 0:
                code = np.uint64(codes[p])
                keys[places[code]] = to_key(as_real(data[start + np.uint64(p)]))
                places[code] += np.uint64(1)


@kernel
def gather_dense(
    values: NDArray[Any],
    cells: NDArray[Any],
    group_stops: NDArray[Any],
    columns: NDArray[Any],
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
) -> None:
    """Gather from a dense matrix of any memory order, by tiles of cells.

    Each value is written, and the next value overwrites a zero.
    """
    places = starts.astype(np.uint64)
    first = 0
    for code in range(group_stops.size):
        while first < group_stops[code]:
            last = min(first + _CELLS_PER_TILE, group_stops[code])
            for g in range(columns.size):
                column = np.uint64(columns[g])
                place = places[g]
                for i in range(first, last):
                    value = as_real(values[np.uint64(cells[i]), column])
                    keys[place] = to_key(value)
                    place += np.uint64(value != 0)
                places[g] = place
            first = last
        for g in range(columns.size):
            ends[code, g] = np.int64(places[g]) - starts[g]
