"""Transpose: turn runs of rows into gene-major pieces, and pieces into gene blocks.

A piece is a run of cells: gene ``g`` owns the keys and codes from ``indptr[g]`` to ``indptr[g + 1]``, in cell order.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import kernel
from scpdex.kernels.keys import as_real, to_key


@kernel
def row_totals(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    times: NDArray[Any] | None,
    totals: NDArray[Any],
) -> None:
    """Write the sum of each row (CSR), added up from left to right in float64.

    ``times`` is how often each column counts; None counts each once.
    """
    for i in range(totals.size):
        total = np.float64(0)
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            # Numba compiles only the branch for the type of times.
            if times is None:
                total += data[p]
            else:
                for _ in range(times[np.uint64(indices[p])]):
                    total += data[p]
        totals[i] = total


@kernel
def transpose_rows(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    row_codes: NDArray[Any],
    slots: NDArray[Any] | None,
    first: int,
    places: NDArray[Any],
    keys: NDArray[Any],
    codes: NDArray[Any],
) -> None:
    """Write the non-zero values of rows (CSR) to their genes, as keys, each with the code of its row.

    ``slots`` and ``first`` select the tested columns, as in :func:`scpdex.kernels.gather.gather_rows`; ``places``
    is where the next key of each gene goes, unsigned; advanced.
    """
    for i in range(row_codes.size):
        code = row_codes[i]
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            # Numba compiles only the branch for the type of slots.
            if slots is None:  # noqa: SIM108
                gene = np.int64(indices[p]) - first
            else:
                gene = np.int64(slots[np.uint64(indices[p])]) - first
            value = as_real(data[p])
            if gene >= 0 and gene < places.size and value != 0:
                g = np.uint64(gene)
                keys[places[g]] = to_key(value)
                codes[places[g]] = code
                places[g] += np.uint64(1)


@kernel
def count_codes(codes: NDArray[Any], indptr: NDArray[Any], first: int, ends: NDArray[Any]) -> None:
    """Add to ``ends``, genes x groups, how often each code occurs in a piece, for the genes from ``first`` on."""
    for g in range(ends.shape[0]):
        counts = ends[g]
        for p in range(np.uint64(indptr[first + g]), np.uint64(indptr[first + g + 1])):
            counts[np.uint64(codes[p])] += np.uint32(1)


@kernel
def begin_groups(ends: NDArray[Any]) -> None:
    """Turn the counts of each gene's groups into the positions where the groups begin."""
    for g in range(ends.shape[0]):
        place = np.uint32(0)
        for code in range(ends.shape[1]):
            count = ends[g, code]
            ends[g, code] = place
            place += count


@kernel
def deal_out(
    keys: NDArray[Any],
    codes: NDArray[Any],
    indptr: NDArray[Any],
    first: int,
    starts: NDArray[Any],
    ends: NDArray[Any],
    block: NDArray[Any],
) -> None:
    """Write the keys of a piece to the groups of the genes from ``first`` on.

    ``ends``, relative to the genes' ``starts`` in ``block``, is where the next key of each group goes; advanced.
    """
    for g in range(starts.size):
        places = ends[g]
        start = np.uint64(starts[g])
        for p in range(np.uint64(indptr[first + g]), np.uint64(indptr[first + g + 1])):
            code = np.uint64(codes[p])
            block[start + np.uint64(places[code])] = keys[p]
            places[code] += np.uint32(1)


@kernel
def add_columns(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], columns: NDArray[Any], totals: NDArray[Any]
) -> None:
    """Add the values of ``columns`` (CSC), one column after the other, to the totals of their rows."""
    for column in columns:
        for p in range(np.uint64(indptr[column]), np.uint64(indptr[column + 1])):
            totals[np.uint64(indices[p])] += data[p]
