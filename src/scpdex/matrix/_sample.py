"""Sample: some of the values of a matrix, from here and there, whatever its storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy import sparse

from scpdex.matrix._dask import ChunkError
from scpdex.matrix._stored import StoredMatrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.matrix._select import Expression

_N_RUNS = 8
_MOST_VALUES = 1 << 20


def sample_values(expression: Expression) -> NDArray[Any]:
    """Give up to a million values, those of sparse forms without most of their zeros; the first chunk of a dask array.

    Raises
    ------
    ChunkError
        A chunk of a dask array could not be computed.
    OSError
        A file could not be read.
    """
    if expression.is_dask:
        try:
            chunk = expression.matrix.blocks[0, 0].compute()
        except Exception as error:
            raise ChunkError.of(expression.where, error) from error
        return np.ravel(cast("Any", chunk).data if sparse.issparse(chunk) else chunk)[:_MOST_VALUES]
    matrix = StoredMatrix.open(expression.matrix, expression.where)
    of_run = _MOST_VALUES // _N_RUNS
    if matrix.format != "dense":
        n_values = int(matrix.indptr[-1])
        starts = np.linspace(0, max(0, n_values - of_run), _N_RUNS).astype(int)
        runs = [(start, min(start + of_run, n_values)) for start in np.unique(starts).tolist()]
        return np.concatenate([matrix.decode(matrix.run(*run))[0] for run in runs])
    n_rows, n_columns = matrix.shape
    of_run = max(1, of_run // n_columns)
    starts = np.unique(np.linspace(0, max(0, n_rows - of_run), _N_RUNS).astype(int))
    rows = [slice(start, start + of_run) for start in starts.tolist()]
    return np.concatenate([matrix.block(some, slice(None)).ravel() for some in rows])
