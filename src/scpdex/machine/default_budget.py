"""Default budget: the bytes that a call may hold where ``max_memory`` is not given."""

from __future__ import annotations

from scpdex.machine.available_memory import available_memory

# The other half is for the results, for copies that the user makes of them, and for other processes.
DEFAULT_SHARE = 0.5


def default_max_memory(n_threads: int) -> int:
    """Give half of the bytes that are available to this process, beside those that so many threads take."""
    return int(DEFAULT_SHARE * available_memory(n_threads))
