"""Moments: per gene and group, the non-zeros, sums and squared deviations, accumulated in cell order in float64."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._jit import kernel
from scpdex.kernels.entries import code_at, key_at, n_entries, part, to_real

_MOST_PASSES = 3


@kernel
def scan(entries: Any, nonzero: NDArray[Any], sums: NDArray[Any]) -> Any:
    """Write the non-zero cells (``int64``) and the sum of values of each group of one gene.

    Returns what a sort needs to know of the keys: the lowest, the highest, and the bits in which any two differ.
    """
    nonzero[:] = 0
    sums[:] = 0
    n = np.uint64(n_entries(entries))
    if n == np.uint64(0):
        return n, n, n
    first = key_at(entries, 0)
    lowest = first
    highest = first
    varying = np.uint64(0)
    for i in range(n):
        key = key_at(entries, i)
        code = code_at(entries, i)
        nonzero[code] += 1
        sums[code] += to_real(key)
        lowest = min(lowest, key)
        highest = max(highest, key)
        varying |= np.uint64(key ^ first)
    return np.uint64(lowest), np.uint64(highest), varying


@kernel
def count_not_finite(entries: Any, start: int, length: int) -> int:
    """Count the NaN and infinite values of a gene."""
    count = 0
    for i in range(start, start + length):
        count += not np.isfinite(to_real(key_at(entries, i)))
    return count


@kernel
def group_expm1_sums(
    entries: Any, starts: NDArray[Any], lengths: NDArray[Any], scale: float, sums: NDArray[Any]
) -> None:
    """Write the sum of ``expm1(scale * value)`` of each group: genes x groups; zeros add nothing."""
    sums[:] = 0
    for g in range(starts.size):
        for i in range(starts[g], starts[g] + lengths[g]):
            sums[g, code_at(entries, i)] += np.expm1(scale * to_real(key_at(entries, i)))


@kernel
def group_moments(
    entries: Any,
    starts: NDArray[Any],
    lengths: NDArray[Any],
    sizes: NDArray[Any],
    nonzero: NDArray[Any],
    means: NDArray[Any],
    squares: NDArray[Any],
    residuals: NDArray[Any],
) -> None:
    """Write non-zero cells, mean and sum of squared deviations from the mean of each group: genes x groups.

    The corrected two-pass algorithm of Chan, Golub and LeVeque (1983), "Algorithms for computing the sample
    variance": the deviations, which would sum to 0 in exact arithmetic, tell how far the rounded mean is off.
    Where that is more than the spread can hide, as in a constant group whose mean was rounded, the pass over the
    gene is made again from the sharpened means, so that a constant group has no spread at all. Twice is enough for
    that; values whose squares overflow would never settle.
    ``residuals`` is scratch, one number per group.
    """
    for g in range(starts.size):
        gene = part(entries, starts[g], starts[g] + lengths[g])
        scan(gene, nonzero[g], means[g])
        for code in range(sizes.size):
            means[g, code] /= max(sizes[code], 1)
        _sharpen(gene, sizes, nonzero[g], means[g], squares[g], residuals)


@kernel
def _sharpen(
    entries: Any,
    sizes: NDArray[Any],
    nonzero: NDArray[Any],
    means: NDArray[Any],
    squares: NDArray[Any],
    residuals: NDArray[Any],
) -> None:
    """Write the squared deviations of one gene's groups and improve the means."""
    for _ in range(_MOST_PASSES):
        settled = True
        residuals[:] = 0
        squares[:] = 0
        for i in range(np.uint64(n_entries(entries))):
            code = code_at(entries, i)
            deviation = to_real(key_at(entries, i)) - means[code]
            residuals[code] += deviation
            squares[code] += deviation * deviation
        for code in range(sizes.size):
            n = sizes[code]
            if n > 0:
                n_zeros = n - nonzero[code]
                mean = means[code]
                residual = residuals[code] - n_zeros * mean
                square = squares[code] + n_zeros * mean * mean
                excess = residual * residual / n
                settled &= excess == 0 or excess < 1e-6 * square
                means[code] = mean + residual / n
                squares[code] = square - excess
        if settled:
            break


@kernel
def _pool(
    n_a: float, mean_a: float, square_a: float, n_b: float, mean_b: float, square_b: float
) -> tuple[float, float, float]:
    if n_a == 0:
        return n_b, mean_b, square_b
    if n_b == 0:
        return n_a, mean_a, square_a
    n = n_a + n_b
    difference = mean_b - mean_a
    share = n_b / n
    return n, mean_a + difference * share, square_a + square_b + difference * difference * n_a * share


@kernel
def moments_of_rest(
    sizes: NDArray[Any],
    means: NDArray[Any],
    squares: NDArray[Any],
    scratch: NDArray[Any],
    rest_means: NDArray[Any],
    rest_squares: NDArray[Any],
) -> None:
    """Write mean and squared deviations of all cells outside each group, genes x groups, without ever subtracting.

    The groups before and the groups after it are each pooled one by one, then with one another, by the update of
    Chan, Golub and LeVeque (1983); equal means stay what they are. ``scratch`` is groups x 3: count, mean and squared
    deviations of those after.
    """
    n_groups = sizes.size
    for g in range(means.shape[0]):
        n, mean, square = 0.0, 0.0, 0.0
        for code in range(n_groups - 1, -1, -1):
            scratch[code, 0], scratch[code, 1], scratch[code, 2] = n, mean, square
            n, mean, square = _pool(n, mean, square, float(sizes[code]), means[g, code], squares[g, code])
        n, mean, square = 0.0, 0.0, 0.0
        for code in range(n_groups):
            after = scratch[code]
            _, rest_means[g, code], rest_squares[g, code] = _pool(n, mean, square, after[0], after[1], after[2])
            n, mean, square = _pool(n, mean, square, float(sizes[code]), means[g, code], squares[g, code])
