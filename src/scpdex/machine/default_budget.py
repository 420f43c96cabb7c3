"""Default budget: the bytes that a call may hold if ``max_memory`` is not given.

It is a share of the least of: the memory that the machine has available, what the control groups (containers, batch
jobs) of the process leave, and what its own limits (``ulimit -v`` and ``-d``) leave beside the stacks of its threads.
:mod:`scpdex.machine.available_memory` reads these when a call begins.

Users read of the share in the docstring of ``rank_genes_parallel``, README.md, docs/large.md, docs/how-it-chooses.md
and docs/tutorials/large.md: whoever changes it changes these too.
"""

from __future__ import annotations

from scpdex.machine.available_memory import available_memory

# The other half is for the results, for copies that the user makes of them, and for other processes.
DEFAULT_SHARE = 0.5


def default_max_memory(n_threads: int) -> int:
    """Compute the default of ``max_memory`` in bytes, for a call on so many threads."""
    return int(DEFAULT_SHARE * available_memory(n_threads))
