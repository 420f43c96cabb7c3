"""Scores, statistics and p-values: what a test says of a few genes, genes x groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TestResult:
    """Scores, statistics and p-values, each genes x groups."""

    scores: NDArray[np.float64]
    """Genes are ordered by these; 0 where undefined."""
    pvals: NDArray[np.float64]
    """1 where undefined."""
    compute_statistics: Callable[[], NDArray[np.float64]]
    """Statistics as scipy gives them: U, t, or the normalised A squared, NaN where undefined; scores, within strata."""
    compute_log10_pvals: Callable[[], NDArray[np.float64]]
    """Log10 of the p-values, computed only for results that report it; 0 where undefined."""
