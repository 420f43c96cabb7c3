"""Normalize: counts as ``scanpy.pp.normalize_total`` and ``scanpy.pp.log1p`` would have left them, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.transpose import row_totals

if TYPE_CHECKING:
    from numpy.typing import NDArray


def normalized_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Dtype of normalized values: floats keep theirs, all else becomes float32, as in scanpy."""
    return dtype if dtype.kind == "f" else np.dtype(np.float32)


def normalized_dense(rows: NDArray[Any], target_sum: float) -> NDArray[Any]:
    """Give dense rows, whole ones, normalized; they are added up by numpy's pairwise sums."""
    rows = rows.astype(normalized_dtype(rows.dtype))
    return normalized(rows, scale_of(rows.sum(axis=1), target_sum)[:, None])


def normalized_values(data: NDArray[Any], indptr: NDArray[Any], target_sum: float) -> NDArray[Any]:
    """Give the values of CSR rows, whole ones, normalized; they are added up from left to right in float64."""
    data = data.astype(normalized_dtype(data.dtype), copy=False)
    totals = np.empty(indptr.size - 1, dtype=data.dtype)
    row_totals(data, indptr, totals)
    return normalized(data, np.repeat(scale_of(totals, target_sum), np.diff(indptr)))


def normalized(values: NDArray[Any], scale: NDArray[Any]) -> NDArray[Any]:
    """Give ``log1p`` of values divided by the scale of their rows."""
    values = values.astype(normalized_dtype(values.dtype), copy=False) / scale
    return np.asarray(np.log1p(values, out=values))


def scale_of(totals: NDArray[Any], target_sum: float) -> NDArray[Any]:
    """Give what the values of each row are divided by; cells without counts keep theirs."""
    scale = totals / target_sum
    return np.asarray(scale + (scale == 0))
