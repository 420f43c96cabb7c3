"""Resources: what a call may use of the machine."""

from __future__ import annotations

from dataclasses import dataclass

import joblib
import numpy as np


@dataclass(frozen=True)
class Resources:
    """Threads, and whether progress is shown (None: when the work is long and someone is watching)."""

    n_threads: int
    show_progress: bool | None

    @classmethod
    def of(cls, n_jobs: int | None, show_progress: bool | None) -> Resources:
        """Resolve ``n_jobs``: None and -1 are all cores that affinity and cgroup limits leave to this process."""
        if n_jobs is None or (n_jobs == -1 and not isinstance(n_jobs, bool)):
            return cls(joblib.cpu_count(), show_progress)
        if isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs < 1:
            msg = f"n_jobs={n_jobs!r} is not valid: pass a number of threads from 1 up, or None or -1 for all cores."
            raise ValueError(msg)
        return cls(int(n_jobs), show_progress)
