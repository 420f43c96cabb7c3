"""Rankable values: which kinds of matrix and which numbers are accepted, and the form in which kernels take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REAL_KINDS = "biuf"
_MAX_FLOAT_BYTES = 8
# float64 holds every integer up to here.
_MAX_EXACT_INTEGER = 1 << 53


def fit_for_kernels(matrix: Any, matrix_name: str) -> Any:
    """Check a matrix in memory and give it with native numbers: the same object, unless these had to be converted.

    Raises
    ------
    TypeError
        It is neither a dense array nor CSR or CSC in memory, or its dtype cannot be ranked.
    """
    is_dense = isinstance(matrix, np.ndarray) and not isinstance(matrix, np.ma.MaskedArray)
    if not is_dense and not (sparse.issparse(matrix) and getattr(matrix, "format", None) in {"csr", "csc"}):
        kind = f"{type(matrix).__module__}.{type(matrix).__qualname__}"
        msg = f"{matrix_name} is a {kind}; convert it to a numpy array or to a scipy CSR or CSC matrix."
        raise TypeError(msg)
    refuse_dtype(matrix.dtype, matrix_name)
    if is_dense:
        return native(np.asarray(matrix))
    data = native(matrix.data)
    if data is matrix.data:
        return matrix
    return type(matrix)((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def refuse_dtype(dtype: np.dtype[Any], matrix_name: str) -> None:
    """Raise a TypeError unless values of this dtype can be ranked."""
    if dtype.kind not in _REAL_KINDS or (dtype.kind == "f" and dtype.itemsize > _MAX_FLOAT_BYTES):
        msg = f"{matrix_name} has dtype {dtype}; bool, integers and floats of up to 64 bits can be ranked."
        raise TypeError(msg)


def native(values: NDArray[Any]) -> NDArray[Any]:
    """Give values in the machine's byte order, and float16 as float32: the same object if they are so already."""
    if values.dtype.kind == "f" and values.dtype.itemsize == 2:
        return values.astype(np.float32)
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def refuse_inexact(
    matrix: Any, matrix_name: str, *, rows: NDArray[np.int64] | None = None, columns: NDArray[np.int64] | None = None
) -> None:
    """Raise a ValueError if these rows and columns hold integers that float64 cannot hold; None stands for all.

    ``matrix`` is a dense array, CSR or CSC.
    """
    is_dense = isinstance(matrix, np.ndarray)
    values: NDArray[Any] = matrix if is_dense else matrix.data
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or not values.size:
        return
    if values.min() >= -_MAX_EXACT_INTEGER and values.max() <= _MAX_EXACT_INTEGER:
        return
    places = np.nonzero((values > _MAX_EXACT_INTEGER) | (values < -_MAX_EXACT_INTEGER))
    if is_dense:
        rows_of_values, columns_of_values = places
    else:
        majors, minors = np.searchsorted(matrix.indptr, places[0], side="right") - 1, matrix.indices[places]
        rows_of_values, columns_of_values = (majors, minors) if matrix.format == "csr" else (minors, majors)
    is_ranked = np.ones(rows_of_values.size, dtype=np.bool_)
    for positions, ranked in ((rows_of_values, rows), (columns_of_values, columns)):
        if ranked is not None:
            is_ranked &= np.isin(positions, ranked)
    if is_ranked.any():
        inexact = values[places][is_ranked]
        msg = (
            f"{matrix_name} holds integers beyond 2**53 (from {inexact.min()} to {inexact.max()}), which float64 "
            "cannot hold exactly and would tie. Rescale them first."
        )
        raise ValueError(msg)


def are_count_like(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell of each value whether it is a whole number from 0 up."""
    return np.asarray((values >= 0) & (values == np.floor(values)))


def looks_like_counts(values: NDArray[Any]) -> bool:
    """Tell whether all values are whole numbers from 0 up."""
    return bool(are_count_like(values).all())
