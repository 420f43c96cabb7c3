"""Columns: some columns of a matrix of genes x groups, read group by group and written back, in order or in place."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import kernel

# As many numbers of 8 bytes as a cache line holds: of each column so many rows are moved before the next column.
_ROWS_PER_STEP = 8


@kernel
def read_columns(matrix: NDArray[Any], rows: NDArray[Any], first: int, columns: NDArray[Any]) -> None:
    """Copy the columns of a matrix from ``first`` on to ``columns``, columns x ``rows``."""
    for start in range(0, rows.size, _ROWS_PER_STEP):
        stop = min(start + _ROWS_PER_STEP, rows.size)
        for k in range(columns.shape[0]):
            for i in range(start, stop):
                columns[k, i] = matrix[np.uint64(rows[i]), first + k]


@kernel
def write_columns(columns: NDArray[Any], rows: NDArray[Any], first: int, matrix: NDArray[Any]) -> None:
    """Copy ``columns``, columns x ``rows``, to the columns of a matrix from ``first`` on."""
    for start in range(0, rows.size, _ROWS_PER_STEP):
        stop = min(start + _ROWS_PER_STEP, rows.size)
        for k in range(columns.shape[0]):
            for i in range(start, stop):
                matrix[np.uint64(rows[i]), first + k] = columns[k, i]


@kernel
def write_ordered_columns(columns: NDArray[Any], order: NDArray[Any], first: int, matrix: NDArray[Any]) -> None:
    """Write the columns of a matrix from ``first`` on: its row ``r`` has the values at ``order[:, r]``.

    ``order`` is columns x positions, and may be longer than the matrix.
    """
    for start in range(0, matrix.shape[0], _ROWS_PER_STEP):
        stop = min(start + _ROWS_PER_STEP, matrix.shape[0])
        for k in range(columns.shape[0]):
            for r in range(start, stop):
                matrix[r, first + k] = columns[k, np.uint64(order[k, r])]


@kernel
def invert_order(order: NDArray[Any], n_ranks: int, ranks: NDArray[Any]) -> None:
    """Write the rank of each gene, its position in ``order``, groups x genes; -1 from ``n_ranks`` on."""
    for k in range(order.shape[0]):
        for r in range(order.shape[1]):
            ranks[k, np.uint64(order[k, r])] = r if r < n_ranks else -1


@kernel
def order_by_ranks(ranks: NDArray[Any], order: NDArray[Any]) -> None:
    """Write the gene of each rank, groups x ranks, from the ranks of the genes, groups x genes.

    Ranks below 0, and from the length of ``order`` on, are left out.
    """
    for k in range(ranks.shape[0]):
        for g in range(ranks.shape[1]):
            r = ranks[k, g]
            if 0 <= r < order.shape[1]:
                order[k, r] = g


@kernel
def place_by_order(columns: NDArray[Any], order: NDArray[Any], placed: NDArray[Any]) -> None:
    """Write the value of each rank, groups x ranks, at the position of its gene in ``placed``, groups x genes."""
    for k in range(order.shape[0]):
        for r in range(order.shape[1]):
            placed[k, np.uint64(order[k, r])] = columns[k, r]
