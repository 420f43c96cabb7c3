"""Value transform: what a second mean is taken of, counts of log values or logs of counts."""

from __future__ import annotations

from typing import NamedTuple


class ValueTransform(NamedTuple):
    """A transform of each value: ``expm1`` of log values, or ``log1p`` of counts."""

    log_scale: float | None
    """Factor of a log value before ``expm1``, the natural log of the base; None takes ``log1p`` of counts."""
