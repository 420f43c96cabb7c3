"""Storages: every form that a matrix in memory can have."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from testing.fast_array_utils import SUPPORTED_TYPES, Flags


def _wide_indices(x: np.ndarray) -> sparse.csr_array:
    matrix = sparse.csr_array(x)
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


def _explicit_zeros(x: np.ndarray) -> sparse.csr_matrix:
    rows, columns = np.indices(x.shape)
    return sparse.csr_matrix((x.ravel(), (rows.ravel(), columns.ravel())), shape=x.shape)


def _unsorted(x: np.ndarray) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix(x)
    for row in range(x.shape[0]):
        run = slice(matrix.indptr[row], matrix.indptr[row + 1])
        matrix.indices[run], matrix.data[run] = matrix.indices[run][::-1].copy(), matrix.data[run][::-1].copy()
    return matrix


# The array types of fast-array-utils that live in memory, and forms of them that need care of their own.
STORAGES: dict[str, Callable[[np.ndarray], Any]] = {
    str(t): t for t in SUPPORTED_TYPES if not t.flags & (Flags.Dask | Flags.Disk | Flags.Gpu)
} | {
    "dense, Fortran order": np.asfortranarray,
    "dense, strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "CSR, 64-bit indices": _wide_indices,
    "CSR, explicit zeros": _explicit_zeros,
    "CSR, unsorted": _unsorted,
    "CSC, unsorted": lambda x: sparse.csc_matrix(_unsorted(x.T).T),
}
