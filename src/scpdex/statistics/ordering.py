"""Order genes by score, and adjust p-values for the number of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.options import Correction


def order_genes(scores: NDArray[np.float64], *, rankby_abs: bool, n_genes: int | None) -> NDArray[np.intp]:
    """Positions of the genes from the highest score down, groups x genes; equal scores stay in var order."""
    by = np.abs(scores) if rankby_abs else scores
    return np.argsort(-by, axis=1, kind="stable")[:, :n_genes]


def adjust_pvals(pvals: NDArray[np.float64], method: Correction) -> NDArray[np.float64]:
    """Adjust p-values over the genes of each group, groups x genes.

    Benjamini and Hochberg (1995) by ``scipy.stats.false_discovery_control``, or Bonferroni.
    """
    if method == "benjamini-hochberg":
        return np.asarray(stats.false_discovery_control(pvals, axis=1, method="bh"))
    return np.asarray(np.minimum(pvals * pvals.shape[1], 1.0))
