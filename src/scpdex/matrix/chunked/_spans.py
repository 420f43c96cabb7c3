"""Runs: which neighbouring rows or columns are read together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def runs(begins: NDArray[np.int64], ends: NDArray[np.int64], gap: int, most: int) -> Iterator[slice]:
    """Cut spans that ascend without overlap into runs that are read whole, as positions among the spans.

    Spans less than ``gap`` apart are read together, up to ``most`` in all (or one span that is longer).
    """
    breaks = np.flatnonzero(begins[1:] - ends[:-1] > gap) + 1
    for first, last in zip(np.r_[0, breaks].tolist(), np.r_[breaks, begins.size].tolist(), strict=True):
        start = first
        while start < last:
            fitting = int(np.searchsorted(ends[start:last], begins[start] + most, side="right"))
            stop = start + max(1, fitting)
            yield slice(start, stop)
            start = stop
