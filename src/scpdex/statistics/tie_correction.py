"""Tie correction: how ties lower the variance of a rank sum."""

from __future__ import annotations

from typing import Any

from scpdex.kernels._compile import inner_kernel

# Below this many cells t**3 fits int64, so that tie sums are exact.
EXACT_TIE_SUMS_BELOW = 1 << 21


@inner_kernel
def share_without_ties(tie_sum: Any, n_cells: Any) -> Any:
    """Compute ``1 - sum(t**3 - t) / (N**3 - N)``, by which ties multiply the variance of a rank sum.

    Lehmann (1975), "Nonparametrics". ``tie_sum`` is the sum over the ties of the N cells compared; ``n_cells``, N, has
    its dtype, int64 or float64.
    """
    without_ties = n_cells * n_cells * n_cells - n_cells
    # Rounding in float64 can raise the tie sum of a gene that is one tie above N**3 - N.
    return max(without_ties - tie_sum, tie_sum * 0) / max(without_ties, tie_sum * 0 + 1)
