"""Example matrices: the same values in each storage that kernels read in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

InMemory = Literal["dense", "Fortran order", "strided", "CSR", "CSC", "CSR, 64-bit indices", "CSC, 64-bit indices"]

IN_MEMORY: tuple[InMemory, ...] = get_args(InMemory)


def make_matrix(values: NDArray[Any], storage: InMemory) -> Any:
    """Store dense values, cells x genes, as a matrix in memory."""
    if storage == "dense":
        return np.ascontiguousarray(values)
    if storage == "Fortran order":
        return np.asfortranarray(values)
    if storage == "strided":
        return np.repeat(values, 2, axis=1)[:, ::2]
    matrix: Any = (sparse.csr_matrix if storage.startswith("CSR") else sparse.csc_matrix)(values)
    if storage.endswith("64-bit indices"):
        # Given to the constructor, they would become narrow again.
        matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


def make_csr_matrix(
    values: NDArray[Any], columns: NDArray[np.int32], indptr: NDArray[np.int32], n_columns: int
) -> sparse.csr_matrix[Any]:
    """Make a CSR matrix of its three arrays."""
    return sparse.csr_matrix((values, columns, indptr), shape=(indptr.size - 1, n_columns))
