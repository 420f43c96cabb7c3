"""Moments: sums and squared deviations of each gene and group, accumulated in cell order in float64."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel, kernel
from scpdex.kernels.keys import to_real

# Another pass sharpens a mean whose rounding error makes up more than the share HIDDEN of the squared deviations.
MOST_PASSES = 3
HIDDEN = 1e-6


@inner_kernel
def group_sums(keys: NDArray[Any], ends: NDArray[Any], sums: NDArray[Any]) -> None:
    """Write the sum of values of each group of one gene."""
    i = np.uint64(0)
    for code in range(ends.size):
        end = np.uint64(ends[code])
        total = np.float64(0)
        while i < end:
            total += to_real(keys[i])
            i += np.uint64(1)
        sums[code] = total


@kernel
def count_not_finite(keys: NDArray[Any]) -> int:
    """Count the NaN and infinite values of a gene."""
    count = 0
    for i in range(keys.size):
        count += not np.isfinite(to_real(keys[i]))
    return count


@kernel
def are_counts(keys: NDArray[Any]) -> bool:
    """Tell whether all values are whole and none is negative, as raw counts are."""
    all_are = True
    for i in range(np.uint64(keys.size)):
        value = to_real(keys[i])
        all_are &= (value >= 0) & (value == np.floor(value))
    return all_are


@inner_kernel
def transform_value(value: float, log_scale: float | None) -> Any:
    """Take a log value back to a count, ``expm1(log_scale * value)``; or, without a scale, ``log1p`` of a count."""
    # Numba compiles only the branch for the type of log_scale.
    if log_scale is None:
        return np.log1p(value)
    return np.expm1(log_scale * value)


@kernel
def group_transformed_sums(
    keys: NDArray[Any], starts: NDArray[Any], ends: NDArray[Any], log_scale: float | None, sums: NDArray[Any]
) -> None:
    """Write the sum of the transformed values of each group, genes x groups; zeros add nothing."""
    for g in range(starts.size):
        i = starts[g]
        for code in range(ends.shape[1]):
            total = np.float64(0)
            while i < starts[g] + np.int64(ends[g, code]):
                total += transform_value(np.float64(to_real(keys[i])), log_scale)
                i += 1
            sums[g, code] = total


@kernel
def group_moments(
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    sizes: NDArray[Any],
    means: NDArray[Any],
    squares: NDArray[Any],
) -> None:
    """Write mean and sum of squared deviations from the mean of each group, genes x groups.

    The corrected two-pass algorithm of Chan, Golub and LeVeque (1983), "Algorithms for computing the sample
    variance": the deviations, which would sum to 0 in exact arithmetic, give the error of the rounded mean.
    Where the spread cannot hide that error, as in a constant group whose mean was rounded, another pass over the group
    starts from the sharpened mean, so that a constant group has no spread at all. Two passes are enough for that, and
    ``MOST_PASSES`` ends the passes over values whose squares overflow.
    """
    for g in range(starts.size):
        gene = keys[starts[g] : starts[g] + np.int64(ends[g, -1])]
        group_sums(gene, ends[g], means[g])
        first = np.uint64(0)
        for code in range(sizes.size):
            last = np.uint64(ends[g, code])
            mean = means[g, code] / max(sizes[code], 1)
            means[g, code], squares[g, code] = _spread(gene[first:last], sizes[code], mean)
            first = last


@inner_kernel
def _spread(keys: NDArray[Any], n: int, mean: float) -> tuple[float, float]:
    """Compute the sharpened mean and the squared deviations of ``n`` cells, those without a key being 0."""
    square = 0.0
    n_zeros = n - keys.size
    for _ in range(MOST_PASSES):
        residual = 0.0
        square = 0.0
        for i in range(np.uint64(keys.size)):
            deviation = to_real(keys[i]) - mean
            residual += deviation
            square += deviation * deviation
        residual -= n_zeros * mean
        square += n_zeros * mean * mean
        excess = residual * residual / max(n, 1)
        mean += residual / max(n, 1)
        square -= excess
        if excess <= HIDDEN * square:
            break
    return mean, square


@inner_kernel
def _pool(
    n_a: float, mean_a: float, square_a: float, n_b: float, mean_b: float, square_b: float
) -> tuple[float, float, float]:
    """Pool the number, mean and squared deviations of two sets of cells."""
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
    """Write mean and squared deviations of all cells outside each group, genes x groups, without a subtraction.

    The groups before a group and the groups after it are each pooled one by one, then with one another, by the update
    of Chan, Golub and LeVeque (1983), which leaves equal means as they are. ``scratch`` is groups x 3: number, mean and
    squared deviations of the groups after each.
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
