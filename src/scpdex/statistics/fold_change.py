"""Log2 fold change between the mean of a group and the mean of the cells it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# scanpy's pseudocount, which keeps the fold change of unexpressed genes finite.
PSEUDOCOUNT = 1e-9
# Of log1p of counts, in natural logs: no cell has e^20, half a billion, of them.
MOST_LOG1P = 20.0


def log2_fold_change(
    mean_group: NDArray[np.float64], mean_other: NDArray[np.float64], log_scale: float | None
) -> NDArray[np.float32]:
    """``log2((m1 + 1e-9) / (m2 + 1e-9))``, scanpy's definition; NaN where the means have no ratio.

    ``log_scale`` times a mean of log1p values is in natural log, and the means are taken back to counts by
    ``expm1``; None says that the means are of counts already.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if log_scale is not None:
            mean_group = np.expm1(mean_group * log_scale)
            mean_other = np.expm1(mean_other * log_scale)
        return np.log2((mean_group + PSEUDOCOUNT) / (mean_other + PSEUDOCOUNT)).astype(np.float32)
