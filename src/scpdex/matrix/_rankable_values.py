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


def refuse_unrankable(matrix: Any, matrix_name: str) -> None:
    """Raise a TypeError unless a matrix in memory is a dense array, CSR or CSC, of a dtype that can be ranked."""
    is_dense = isinstance(matrix, np.ndarray) and not isinstance(matrix, np.ma.MaskedArray)
    if not is_dense and not (sparse.issparse(matrix) and getattr(matrix, "format", None) in {"csr", "csc"}):
        kind = f"{type(matrix).__module__}.{type(matrix).__qualname__}"
        msg = f"{matrix_name} is a {kind}; convert it to a numpy array or to a scipy CSR or CSC matrix."
        raise TypeError(msg)
    refuse_dtype(matrix.dtype, matrix_name)


def refuse_dtype(dtype: np.dtype[Any], matrix_name: str) -> None:
    """Raise a TypeError unless values of this dtype can be ranked."""
    if dtype.kind not in _REAL_KINDS or (dtype.kind == "f" and dtype.itemsize > _MAX_FLOAT_BYTES):
        msg = f"{matrix_name} has dtype {dtype}; bool, integers and floats of up to 64 bits can be ranked."
        raise TypeError(msg)


def native_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Give the dtype in which kernels take values of ``dtype``: the machine's byte order, and float32 for float16."""
    is_half = dtype.kind == "f" and dtype.itemsize == 2
    return np.dtype(np.float32) if is_half else dtype.newbyteorder("=")


def native(values: NDArray[Any]) -> NDArray[Any]:
    """Give values in the dtype in which kernels take them: the same object if they are so already."""
    return values.astype(native_dtype(values.dtype), copy=False)


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
