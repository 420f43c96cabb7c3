"""Digits: the bits in which the keys of a gene differ, cut into digits, and histograms of the digits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel
from scpdex.kernels.key_ranges import bit_length
from scpdex.kernels.keys import to_real

# Bits of a digit: so many that even few values are worth it, and not so many that its histogram leaves the cache.
LEAST_BITS = 8
RADIX_BITS = 13


@inner_kernel
def most_bits_of_digit(n: int) -> int:
    """Choose the most bits of a digit for ``n`` keys: a much longer histogram would cost more than another pass."""
    return min(RADIX_BITS, max(LEAST_BITS, bit_length(np.uint64(n))))


@inner_kernel
def clear(counts: NDArray[Any], n: Any) -> None:
    """Set the first ``n`` counts to 0; Numba takes longer to compile an assignment to a slice."""
    for i in range(np.uint64(n)):
        counts[i] = 0


@inner_kernel
def counts_to_positions(histogram: NDArray[Any], n: Any) -> None:
    """Turn the count of each value of a digit into the position of its first key."""
    position = np.uint32(0)
    for digit in range(np.uint64(n)):
        count = histogram[digit]
        histogram[digit] = position
        position += count


@inner_kernel
def sum_and_count(
    keys: NDArray[Any],
    ends: NDArray[Any],
    lowest: Any,
    shared: Any,
    width: int,
    next_width: int,
    sums: NDArray[Any],
    histograms: NDArray[Any],
) -> None:
    """Write the sum of values of each group, and histograms of the keys' two lowest digits.

    The digits have ``width`` and ``next_width`` bits; ``next_width`` 0 makes no second histogram.
    """
    mask, next_mask = np.uint64((1 << width) - 1), np.uint64((1 << next_width) - 1)
    counts, next_counts = histograms[0], histograms[1]
    clear(counts, mask + np.uint64(1))
    clear(next_counts, next_mask + np.uint64(1))
    i = np.uint64(0)
    for code in range(np.uint64(ends.size)):
        end = np.uint64(ends[code])
        total = np.float64(0)
        while i < end:
            digits = np.uint64(keys[i] - lowest) >> shared
            counts[digits & mask] += np.uint32(1)
            if next_width > 0:
                next_counts[(digits >> np.uint64(width)) & next_mask] += np.uint32(1)
            total += to_real(keys[i])
            i += np.uint64(1)
        sums[code] = total
