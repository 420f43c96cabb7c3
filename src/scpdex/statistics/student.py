"""Student's t-test, of equal variances, from means and sums of squared deviations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def student_test(
    mean_group: NDArray[np.float64],
    squares_group: NDArray[np.float64],
    n_group: NDArray[np.int64],
    mean_other: NDArray[np.float64],
    squares_other: NDArray[np.float64],
    n_other: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Compute differences of means, their standard errors and degrees of freedom, genes x groups.

    The parameters are those of :func:`~.welch.welch_test`. As in ``scipy.stats.ttest_ind`` the pooled variance has
    ``n1 + n2 - 2`` degrees of freedom, and a single cell adds nothing to it. The standard error is 0 without any
    spread.
    """
    freedom = n_group + n_other - 2
    with np.errstate(divide="ignore", invalid="ignore"):
        error = (squares_group + squares_other) / freedom * (1 / n_group + 1 / n_other)
    return mean_group - mean_other, np.sqrt(error), freedom
