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
