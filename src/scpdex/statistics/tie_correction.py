"""Tie correction: how ties lower the variance of a rank sum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Below this many cells t**3 fits int64, so that tie sums are exact.
EXACT_TIE_SUMS_BELOW = 1 << 21


def correct_for_ties(
    variance: NDArray[np.float64], tie_sums: NDArray[Any], n_cells: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Multiply the variance of rank sums by ``1 - sum(t**3 - t) / (N**3 - N)`` (Lehmann 1975, "Nonparametrics").

    Parameters
    ----------
    variance
        Without ties, of each group.
    tie_sums
        Sum of t**3 - t over the ties of the cells compared, genes x groups or genes x 1.
    n_cells
        Cells compared, N, of each group.
    """
    n = n_cells.astype(tie_sums.dtype)
    untied = n**3 - n
    # Rounding in float64 can raise the tie sum of a gene that is one tie above N**3 - N.
    return np.asarray(variance * (np.maximum(untied - tie_sums, 0) / np.maximum(untied, 1)))
