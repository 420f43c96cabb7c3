"""Welch's t-test, from means and sums of squared deviations, and scanpy's variant that overestimates variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def welch_test(
    mean_group: NDArray[np.float64],
    squares_group: NDArray[np.float64],
    n_group: NDArray[np.int64],
    mean_other: NDArray[np.float64],
    squares_other: NDArray[np.float64],
    n_other: NDArray[np.int64],
    *,
    overestimate_variance: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute differences of means, their standard errors and degrees of freedom, genes x groups.

    Welch (1947) with the degrees of freedom of Satterthwaite, as ``scipy.stats.ttest_ind_from_stats`` with
    ``equal_var=False``; t is the difference divided by its standard error. Variances have ``n - 1`` in the
    denominator. The standard error is 0 without any spread, and NaN with one cell on a side.

    Parameters
    ----------
    mean_group, mean_other
        Means, genes x groups or genes x 1.
    squares_group, squares_other
        Sums of squared deviations from these means.
    n_group, n_other
        Cells.
    overestimate_variance
        Divide the variance of the other cells by the number of cells of the group, not by their own (scanpy's
        ``t-test_overestim_var``).
    """
    counted_as = n_group if overestimate_variance else n_other
    # A single cell has no spread, and no cell has no mean: NaN.
    with np.errstate(divide="ignore", invalid="ignore"):
        error_group = squares_group / (n_group - 1) / n_group
        error_other = np.where(n_other > 1, squares_other / (n_other - 1) / counted_as, np.nan)
        error = error_group + error_other
        # From shares of the error: squares of the errors themselves could overflow or vanish.
        freedom = 1 / ((error_group / error) ** 2 / (n_group - 1) + (error_other / error) ** 2 / (counted_as - 1))
        # Without spread every number of degrees of freedom gives the same p.
        freedom[np.isnan(freedom)] = 1
    return mean_group - mean_other, np.sqrt(error), freedom
