"""Values: which kinds of matrix and which numbers can be ranked, and their form that kernels take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REAL_KINDS = "biuf"
_LARGEST_FLOAT = 8
_EXACT_INTEGERS = 1 << 53


def fit_for_kernels(matrix: Any, where: str) -> Any:
    """Check a matrix and give it with native numbers: the same object, but for foreign byte orders and float16.

    Raises
    ------
    TypeError
        It is not a dense array, CSR or CSC in memory, or its dtype cannot be ranked.
    """
    is_dense = isinstance(matrix, np.ndarray) and not isinstance(matrix, np.ma.MaskedArray)
    if not is_dense and not (sparse.issparse(matrix) and getattr(matrix, "format", None) in {"csr", "csc"}):
        kind = f"{type(matrix).__module__}.{type(matrix).__qualname__}"
        msg = f"{where} is a {kind}; convert it to a numpy array or to a scipy CSR or CSC matrix."
        raise TypeError(msg)
    refuse_dtype(matrix.dtype, where)
    if is_dense:
        return native(np.asarray(matrix))
    data = native(matrix.data)
    if data is matrix.data:
        return matrix
    return type(matrix)((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def refuse_dtype(dtype: np.dtype[Any], where: str) -> None:
    """Raise a TypeError unless values of this dtype can be ranked."""
    if dtype.kind not in _REAL_KINDS or (dtype.kind == "f" and dtype.itemsize > _LARGEST_FLOAT):
        msg = f"{where} has dtype {dtype}; bool, integers and floats of up to 64 bits can be ranked."
        raise TypeError(msg)


def native(values: NDArray[Any]) -> NDArray[Any]:
    """Give values in the byte order of the machine and float16 as float32: the same object where they are so."""
    if values.dtype.kind == "f" and values.dtype.itemsize == 2:
        return values.astype(np.float32)
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def refuse_inexact(
    matrix: Any, where: str, *, rows: NDArray[np.int64] | None = None, columns: NDArray[np.int64] | None = None
) -> None:
    """Raise a ValueError if some rows and columns, None being all, have integers that float64 cannot tell apart."""
    is_dense = isinstance(matrix, np.ndarray)
    values: NDArray[Any] = matrix if is_dense else matrix.data
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or not values.size:
        return
    if values.min() >= -_EXACT_INTEGERS and values.max() <= _EXACT_INTEGERS:
        return
    places = np.nonzero((values > _EXACT_INTEGERS) | (values < -_EXACT_INTEGERS))
    if is_dense:
        of_row, of_column = places
    else:
        major, minor = np.searchsorted(matrix.indptr, places[0], side="right") - 1, matrix.indices[places]
        of_row, of_column = (major, minor) if matrix.format == "csr" else (minor, major)
    matters = np.ones(of_row.size, dtype=np.bool_)
    for of_value, chosen in ((of_row, rows), (of_column, columns)):
        if chosen is not None:
            matters &= np.isin(of_value, chosen)
    if matters.any():
        found = values[places][matters]
        msg = (
            f"{where} holds integers beyond 2**53 (from {found.min()} to {found.max()}), which float64 cannot tell "
            "apart. Rescale them first."
        )
        raise ValueError(msg)
