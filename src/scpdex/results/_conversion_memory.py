"""Conversion memory: the bytes that a result needs in another form, against those that a conversion may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.machine.byte_sizes import format_bytes

if TYPE_CHECKING:
    from scpdex.machine.limits import Limits

POINTER_BYTES = 8


def refuse_beyond_memory(n_bytes: int, limits: Limits, place: str, way_out: str) -> None:
    """Raise a MemoryError before work begins, if the conversion would hold more than it may."""
    if n_bytes > limits.max_memory:
        msg = (
            f"the result needs {format_bytes(n_bytes)} more in {place}, and a conversion may take "
            f"{format_bytes(limits.max_memory)}, half of the memory that is available: {way_out}, or free memory."
        )
        raise MemoryError(msg)
