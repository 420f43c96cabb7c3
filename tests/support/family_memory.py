"""Family memory: what making a family of tests takes, to be measured in a process that does nothing else."""

import tracemalloc

import numpy as np

from scpdex.statistics.multiple_testing import Family


def measure_peak(method: str, n: int) -> int:
    """Bytes at the peak of making a family of ``n`` p-values of any kind, the p-values themselves among them."""
    uniform = np.random.default_rng(0).random(n)
    kinds = [uniform, 1e-12 * uniform, np.ones(n), np.where(np.arange(n) % 2, 1e-9, 1) * uniform]
    # Modules are imported before.
    Family.of([uniform], n, method)
    return max(_peak_of(pvals, method) for pvals in kinds)


def _peak_of(pvals: np.ndarray, method: str) -> int:
    tracemalloc.start()
    try:
        family = Family.of(np.array_split(pvals, 10), pvals.size, method)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(family, Family)
    return peak
