"""Example matrices: the same values in each storage that kernels read in place."""

from __future__ import annotations

from importlib.util import find_spec
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
    if not storage.endswith("64-bit indices"):
        return (sparse.csr_matrix if storage == "CSR" else sparse.csc_matrix)(values)
    # Rows of scipy's arrays keep the dtype of indices, those of its matrices get narrow ones.
    wide: Any = (sparse.csr_array if storage.startswith("CSR") else sparse.csc_array)(values)
    # Given to the constructor, they would become narrow again.
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    return wide


def make_chunks(values: NDArray[Any], storage: InMemory) -> Any | None:
    """Make a dask array of two chunks that are stored in such a way; None if dask is not installed."""
    if find_spec("dask") is None:
        return None
    import dask.array as da  # noqa: PLC0415

    half = -(-values.shape[0] // 2)
    return da.from_array(make_matrix(values, storage), chunks=(half, -1), asarray=False)


def make_csr_matrix(
    values: NDArray[Any], columns: NDArray[np.int32], indptr: NDArray[np.int32], n_columns: int
) -> sparse.csr_matrix[Any]:
    """Make a CSR matrix of its three arrays."""
    return sparse.csr_matrix((values, columns, indptr), shape=(indptr.size - 1, n_columns))
