"""Tests for a minimal effect: whether a difference exceeds a threshold, from its standard error and Student's t."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scpdex.statistics.log_tails import log10_t_tail
from scpdex.statistics.scores import TestResult
from scpdex.statistics.tails import t_tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.options import Alternative

_LN_10 = np.log(10)


def minimal_effect_test(
    difference: NDArray[np.float64],
    standard_error: NDArray[np.float64],
    freedom: NDArray[np.float64],
    min_effect: float,
    alternative: Alternative,
) -> TestResult:
    """Test whether differences exceed ``min_effect``, genes x groups.

    McCarthy and Smyth (2009), "Testing significance relative to a fold-change threshold is a TREAT": p is
    ``P(T >= (|d| - e) / se) + P(T >= (|d| + e) / se)`` and, one-sided, ``P(T >= (d - e) / se)`` for greater and
    ``P(T >= (-d - e) / se)`` for less. The score is ``sign(d) max(|d| - e, 0) / se`` for each alternative, that of
    limma's ``treat`` but for its moderated variance. Where it is undefined (one cell on a side) it is 0, and p is 1.
    """
    distance = np.abs(difference)
    effect = {"two-sided": distance, "greater": difference, "less": -difference}[alternative]
    with np.errstate(divide="ignore", invalid="ignore"):
        nearest = (distance - min_effect) / standard_error
        bounds = [(effect - min_effect) / standard_error]
        if alternative == "two-sided":
            bounds.append((distance + min_effect) / standard_error)
    undefined = np.isnan(nearest)
    # Adding 0 makes a negative zero positive.
    scores = np.where(undefined, 0, np.sign(difference) * np.maximum(nearest, 0)) + 0.0
    # Two tails around 0 that make up the whole may add up to a little more.
    pvals = np.minimum(np.sum([t_tail(bound, freedom, "greater") for bound in bounds], axis=0), 1)
    pvals[undefined] = 1

    def compute_log10_pvals() -> NDArray[np.float64]:
        logs = [log10_t_tail(bound, freedom, "greater") for bound in bounds]
        both = logs[0] if len(logs) == 1 else np.minimum(np.logaddexp(*(_LN_10 * log for log in logs)) / _LN_10, 0)
        return np.where(undefined, 0, both)

    return TestResult(scores, pvals, lambda: scores, compute_log10_pvals)
