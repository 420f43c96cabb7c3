"""Order genes by score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scpdex.kernels.argsort import argsort_descending

if TYPE_CHECKING:
    from numpy.typing import NDArray


def order_genes(scores: NDArray[np.float64], *, rankby_abs: bool) -> NDArray[np.int32]:
    """List the positions of the genes from the highest score down, groups x genes; equal scores stay in var order.

    Genes without a score (NaN) come last, in var order.
    """
    order = np.empty(scores.shape, dtype=np.int32)
    untested = np.isnan(scores)
    argsort_descending(np.abs(scores) if rankby_abs else scores, order)
    if not untested.any():
        return order
    last = np.argsort(np.take_along_axis(untested, order, axis=1), axis=1, kind="stable")
    return np.take_along_axis(order, last, axis=1)
