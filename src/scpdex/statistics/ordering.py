"""Order genes by score, and adjust p-values for the number of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scpdex.kernels.adjust import adjust_in_order
from scpdex.kernels.order import order_descending

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.options import Correction


def order_genes(scores: NDArray[np.float64], *, rankby_abs: bool) -> NDArray[np.intp]:
    """Positions of the genes from the highest score down, groups x genes; equal scores stay in var order."""
    order = np.empty(scores.shape, dtype=np.intp)
    order_descending(np.abs(scores) if rankby_abs else scores, order)
    return order


def adjust_pvals(pvals: NDArray[np.float64], method: Correction, order: NDArray[np.intp] | None) -> NDArray[np.float64]:
    """Adjust p-values over the genes of each group, groups x genes.

    Benjamini and Hochberg (1995), as ``scipy.stats.false_discovery_control``, or Bonferroni. ``order`` holds the genes
    by score where p is a function of the score's distance from 0, as in rank tests; None says that it is not.
    """
    if method == "bonferroni":
        return np.asarray(np.minimum(pvals * pvals.shape[1], 1.0))
    if order is None:
        order = np.empty(pvals.shape, dtype=np.intp)
        order_descending(-pvals, order)
    adjusted = np.empty_like(pvals)
    adjust_in_order(pvals, order, np.empty(pvals.shape[1], dtype=np.intp), adjusted)
    return adjusted
