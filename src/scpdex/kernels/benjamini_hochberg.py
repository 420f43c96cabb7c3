"""Benjamini and Hochberg's adjusted p-values, from genes that are in order already."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import kernel


@kernel
def adjust_in_order(pvals: NDArray[Any], order: NDArray[Any], by_p: NDArray[Any], adjusted: NDArray[Any]) -> None:
    """Write the adjusted p-values of each group, groups x genes.

    ``order`` holds the genes by score, or by p: p-values fall towards both of its ends, or towards the first, so that
    merging the ends gives the genes by p. The k-th smallest p of n becomes ``p n / k``, or the adjusted p of the next
    larger one if that is less. ``by_p`` is scratch, one number for each gene.
    """
    n = pvals.shape[1]
    for g in range(pvals.shape[0]):
        low, high = 0, n - 1
        for k in range(n):
            if pvals[g, order[g, low]] <= pvals[g, order[g, high]]:
                by_p[k] = order[g, low]
                low += 1
            else:
                by_p[k] = order[g, high]
                high -= 1
        least = 1.0
        for k in range(n, 0, -1):
            gene = by_p[k - 1]
            least = min(least, pvals[g, gene] * (np.float64(n) / k))
            adjusted[g, gene] = least
