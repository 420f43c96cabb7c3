"""Whether values are log1p of counts: the guesses of pdex 0.1 and 0.3, where users do not say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scanpy import logging as logg

from scpdex.matrix import find_highest, sample_values
from scpdex.messages.counts_or_logs import describe_too_large
from scpdex.statistics.fold_change import MOST_LOG1P

if TYPE_CHECKING:
    from scpdex.matrix import Expression

# Smallest part that pdex takes for a fraction.
_LEAST_FRACTION = 1e-3
# Cells that pdex 0.3 looks at.
_FIRST_CELLS = 500


def guess_by_fractions(expression: Expression) -> bool:
    """Tell whether a sample of the values has fractions, and none that is too large for log1p of counts."""
    sample = sample_values(expression)
    highest = sample.max(initial=0)
    with np.errstate(invalid="ignore"):
        has_fractions = bool((np.abs(np.modf(sample)[0]) > _LEAST_FRACTION).any())
    # Infinite values are refused later.
    if has_fractions and np.isfinite(highest) and highest > MOST_LOG1P:
        logg.warning(
            f"means are those of the values as they are, as with is_log1p=False: {sample.size:,} values of "
            f"{expression.matrix_name} have fractions, but {describe_too_large(expression.matrix_name, highest)}. Pass "
            "is_log1p=False to confirm this, or is_log1p=True if they are logs."
        )
        return False
    guess = "log1p-transformed data: some" if has_fractions else "counts: none"
    logg.info(
        f"{expression.matrix_name} is taken for {guess} of {sample.size:,} values have fractions, as with "
        f"is_log1p={has_fractions}"
    )
    return has_fractions


def guess_by_highest(expression: Expression) -> bool:
    """Tell whether the highest value of the first 500 cells is below 20, as pdex 0.3 does, and warn of the guess."""
    highest = find_highest(expression, _FIRST_CELLS)
    is_log1p = highest < MOST_LOG1P
    guess = "log1p-transformed data" if is_log1p else "counts"
    logg.warning(
        f"{expression.matrix_name} is taken for {guess}, as with is_log1p={is_log1p}: the highest value of its first "
        f"{_FIRST_CELLS} cells is {highest:,.8g}. Log values are below {MOST_LOG1P:g}. Pass is_log1p to state it."
    )
    return is_log1p
