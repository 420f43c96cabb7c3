"""Log2 fold change between the mean of a group and the mean of the cells it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels._compile import inner_kernel, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

# scanpy's pseudocount, which keeps the fold change of unexpressed genes finite.
PSEUDOCOUNT = 1e-9
# Highest plausible log1p of a count, in natural logs: no cell has e^20, half a billion, of a transcript.
MOST_LOG1P = 20.0
# From here on exp loses no digit that float32 has, and takes half the time of expm1.
_LEAST_OF_EXP = 0.01


@inner_kernel
def _shifted_count(mean: float, log_scale: float | None) -> Any:
    """Take a mean back to counts, and add the pseudocount; a ``log_scale`` of None leaves it a mean of counts."""
    # Numba compiles only the branch for the type of log_scale.
    if log_scale is None:
        return mean + PSEUDOCOUNT
    log_count = mean * log_scale
    if log_count > _LEAST_OF_EXP:
        return np.exp(log_count) - 1 + PSEUDOCOUNT
    return np.expm1(log_count) + PSEUDOCOUNT


@kernel
def log2_fold_changes(
    means: NDArray[np.float64],
    nonzero: NDArray[np.int64],
    sizes: NDArray[np.int64],
    n_other: NDArray[np.int64],
    size_classes: NDArray[np.int64],
    against_rest: bool,
    log_scale: float | None,
    changes: NDArray[np.float32],
    after: NDArray[np.float64],
    empty: NDArray[np.int64],
) -> None:
    """Write ``log2((m1 + 1e-9) / (m2 + 1e-9))``, scanpy's fold change; NaN where the means have no ratio.

    The rest of a group is added up from the groups before it and those after it, never by subtraction. Groups of one
    size without a non-zero cell share a fold change, that of the first of them.

    Parameters
    ----------
    means, nonzero
        Mean and number of non-zero cells, genes x codes, of which the tested groups come first.
    sizes
        Cells of each code.
    n_other
        Cells that each tested group is compared with.
    size_classes
        Position of each tested group's size among the distinct sizes.
    against_rest
        Whether each group is compared with all other codes, not with the last code.
    log_scale
        Means are of log1p values: times ``log_scale`` they are natural logs, and ``expm1`` of that is a count. None:
        means are of counts already.
    changes
        Output, genes x tested groups.
    after
        Scratch, one number for each code.
    empty
        Scratch, as for :func:`~.rank_sum.rank_sum_test`.
    """
    n_groups = n_other.size
    genes, groups = empty[0], empty[1]
    for g in range(means.shape[0]):
        other = 0.0
        if against_rest:
            total = 0.0
            for code in range(sizes.size - 1, -1, -1):
                after[code] = total
                total += means[g, code] * sizes[code]
        else:
            other = _shifted_count(means[g, n_groups], log_scale)
        before = 0.0
        for group in range(n_groups):
            if nonzero[g, group] == 0:
                size_class = np.uint64(size_classes[group])
                if genes[size_class] == g:
                    changes[g, group] = changes[g, np.uint64(groups[size_class])]
                    continue
                genes[size_class] = g
                groups[size_class] = group
            if against_rest:
                other = _shifted_count((before + after[group]) / n_other[group], log_scale)
                before += means[g, group] * sizes[group]
            changes[g, group] = np.log2(_shifted_count(means[g, group], log_scale) / other)
