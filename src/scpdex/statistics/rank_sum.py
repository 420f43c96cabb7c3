"""The Wilcoxon rank-sum (Mann-Whitney U) test by its normal approximation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Tie sums are kept in int64 while t**3 fits there, which is below this many cells.
EXACT_TIE_SUMS_BELOW = 1 << 21


def rank_sum_test(
    twice_u: NDArray[np.int64],
    tie_sums: NDArray[Any] | None,
    n_group: NDArray[np.int64],
    n_other: NDArray[np.int64],
    *,
    use_continuity: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores and two-sided p-values, genes x groups.

    The score is ``z = (U - mu) / sigma`` with ``mu = n1 n2 / 2`` and, with N = n1 + n2,
    ``sigma**2 = n1 n2 (N + 1) / 12``, which is multiplied by ``1 - sum(t**3 - t) / (N**3 - N)`` when tie sums are
    given (Lehmann 1975, "Nonparametrics"; ``scipy.stats.mannwhitneyu(method="asymptotic")``). With continuity
    ``|U - mu|`` is lowered by 1/2, not below 0. Where sigma is 0 (all values tied, or nothing to compare with) the
    score is 0 and p is 1.

    Parameters
    ----------
    twice_u
        2 U, genes x groups.
    tie_sums
        Sum of t**3 - t over the ties of the cells compared, genes x groups or genes x 1; None to leave ties
        uncorrected.
    n_group, n_other
        Cells of each group, and cells it is compared with.
    """
    n1 = n_group.astype(np.float64)
    n2 = n_other.astype(np.float64)
    n = n1 + n2
    variance = n1 * n2 * (n + 1) / 12
    # Twice U and n1 n2 are whole numbers: the difference is exact.
    difference = (twice_u - n_group * n_other).astype(np.float64) / 2
    if use_continuity:
        difference = np.sign(difference) * np.maximum(np.abs(difference) - 0.5, 0)
    if tie_sums is not None:
        n_cells = (n_group + n_other).astype(tie_sums.dtype)
        untied = n_cells**3 - n_cells
        # In float64 the tie sum of a gene that is all one tie can come out above the whole.
        variance = variance * (np.maximum(untied - tie_sums, 0) / np.maximum(untied, 1))
    sigma = np.broadcast_to(np.sqrt(variance), difference.shape)
    scores = np.divide(difference, sigma, out=np.zeros_like(difference), where=sigma > 0)
    return scores, 2 * special.ndtr(-np.abs(scores))
