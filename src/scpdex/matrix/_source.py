"""Open: from an expression matrix in memory to its gene source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.matrix._dense import DenseSource
from scpdex.matrix._sparse import SparseSource

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.comparisons import Comparison
    from scpdex.matrix._block import GeneSource
    from scpdex.matrix._select import Expression

_EXACT_INTEGERS = 1 << 53


def open_source(
    expression: Expression, comparison: Comparison, pool: Executor, n_threads: int
) -> tuple[GeneSource, NDArray[np.int64] | None]:
    """Open the matrix for the compared cells and the tested genes.

    Returns the source, which has its genes in column order and each once, and for each tested gene its position
    there, or None where that is the order of the results as well.
    """
    compared = comparison.codes >= 0
    cells = expression.cells[compared]
    codes = comparison.codes[compared]
    columns, position = np.unique(expression.genes, return_inverse=True)
    in_order = position.size == columns.size and bool((position == np.arange(columns.size)).all())

    matrix = expression.matrix
    n_codes = comparison.sizes.size
    source: GeneSource
    if isinstance(matrix, np.ndarray):
        source = DenseSource(_native(np.asarray(matrix), expression.where), cells, codes, columns, n_codes)
    else:
        data = _native(matrix.data, expression.where)
        if data is not matrix.data:
            matrix = type(matrix)((data, matrix.indices, matrix.indptr), shape=matrix.shape)
        source = SparseSource.open(matrix, cells, codes, columns, n_codes, pool, n_threads)
    return source, None if in_order else position


def _native(values: NDArray[Any], where: str) -> NDArray[Any]:
    """Make values fit for the kernels: native byte order, at least 32 bits if floats, exact as float64."""
    if values.dtype == np.float16:
        return values.astype(np.float32)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and values.size:
        lowest, highest = int(values.min()), int(values.max())
        if max(-lowest, highest) > _EXACT_INTEGERS:
            msg = (
                f"{where} holds integers beyond 2**53 (from {lowest} to {highest}), which float64 cannot tell apart. "
                "Rescale them first."
            )
            raise ValueError(msg)
    return values
