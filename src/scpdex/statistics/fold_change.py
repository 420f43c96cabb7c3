"""Log2 fold change between the mean of a group and the mean of the cells it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# scanpy's pseudocount, which keeps the fold change of unexpressed genes finite.
PSEUDOCOUNT = 1e-9
# Highest plausible log1p of a count, in natural logs: no cell has e^20, half a billion, of a transcript.
MOST_LOG1P = 20.0


def log2_fold_change(
    mean_group: NDArray[np.float64], mean_other: NDArray[np.float64], log_scale: float | None
) -> NDArray[np.float32]:
    """Compute ``log2((m1 + 1e-9) / (m2 + 1e-9))``, scanpy's fold change; NaN where the means have no ratio.

    The means are of log1p values: times ``log_scale`` they are natural logs, and ``expm1`` of that is a count. With
    ``log_scale`` None the means are of counts already.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if log_scale is not None:
            mean_group = np.expm1(mean_group * log_scale)
            mean_other = np.expm1(mean_other * log_scale)
        return np.log2((mean_group + PSEUDOCOUNT) / (mean_other + PSEUDOCOUNT)).astype(np.float32)
