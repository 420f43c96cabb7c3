"""Sort: the values of one gene, each with its group, in ascending order by a radix sort on the keys' varying bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._jit import inner_kernel
from scpdex.kernels.entries import code_at, key_at, put

# Digits of at most this many bits: their histogram stays in the cache.
RADIX_BITS = 13


@inner_kernel
def span(keys: NDArray[Any]) -> Any:
    """Give the lowest and the highest key and the bits in which any two differ, as uint64."""
    if keys.size == 0:
        return np.uint64(0), np.uint64(0), np.uint64(0)
    first = keys[0]
    lowest = first
    highest = first
    varying = first ^ first
    for i in range(np.uint64(keys.size)):
        key = keys[i]
        lowest = min(lowest, key)
        highest = max(highest, key)
        varying |= key ^ first
    return np.uint64(lowest), np.uint64(highest), np.uint64(varying)


@inner_kernel
def _bit_length(x: Any) -> int:
    bits = 0
    while x > 0:
        x >>= np.uint64(1)
        bits += 1
    return bits


@inner_kernel
def significant_bits(lowest: Any, highest: Any, varying: Any) -> tuple[Any, int]:
    """Give how many low bits all keys share, and how many are left above these in keys less the lowest.

    Narrow ranges and whole numbers have few.
    """
    shared = np.uint64(0)
    if varying > 0:
        shared = np.uint64(_bit_length(varying & (~varying + np.uint64(1))) - 1)
    return shared, max(1, _bit_length(np.uint64(highest - lowest) >> shared))


@inner_kernel
def most_bits_of_digit(n: int) -> int:
    """Bits of the longest digit that pays for ``n`` keys: a histogram much longer would cost more than a pass."""
    return min(RADIX_BITS, max(8, _bit_length(np.uint64(n))))


@inner_kernel
def clear(counts: NDArray[Any], n: Any) -> None:
    """Set the first ``n`` counts to 0; the assignment to a slice takes Numba longer to compile."""
    for i in range(np.uint64(n)):
        counts[i] = 0


@inner_kernel
def counts_to_positions(histogram: NDArray[Any], n: Any) -> None:
    """Turn how often each value of a digit occurs into the position of the first."""
    position = np.uint32(0)
    for digit in range(np.uint64(n)):
        count = histogram[digit]
        histogram[digit] = position
        position += count


@inner_kernel
def sort_entries(
    keys: NDArray[Any],
    ends: NDArray[Any],
    lowest: Any,
    shared: Any,
    width: int,
    n_digits: int,
    histograms: NDArray[Any],
    first: Any,
    second: Any,
) -> Any:
    """Sort the values of one gene, of two digits or more; stable, so that tied cells are in order of their groups.

    Parameters
    ----------
    keys, ends
        Keys of the gene, group by group, and where each group ends.
    lowest, shared, width, n_digits
        The lowest key, the low bits that all share, and how the others are cut into digits.
    histograms
        How often each value of the first and of the second digit occurs; overwritten.
    first, second
        Room for the entries; one of them is returned.
    """
    n_values = np.uint64(1 << width)
    mask = n_values - np.uint64(1)
    places = histograms[0]
    counts_to_positions(places, n_values)
    i = np.uint64(0)
    for code in range(np.uint64(ends.size)):
        end = np.uint64(ends[code])
        while i < end:
            value = (np.uint64(keys[i] - lowest) >> shared) & mask
            put(first, places[value], keys[i], code)
            places[value] += np.uint32(1)
            i += np.uint64(1)
    for digit in range(1, n_digits):
        places = histograms[1]
        shift = shared + np.uint64(digit * width)
        if digit > 1:
            _count_digit(first, keys.size, lowest, shift, mask, places)
        counts_to_positions(places, n_values)
        for i in range(np.uint64(keys.size)):
            key = key_at(first, i)
            value = (np.uint64(key - lowest) >> shift) & mask
            put(second, places[value], key, code_at(first, i))
            places[value] += np.uint32(1)
        first, second = second, first
    return first


@inner_kernel
def _count_digit(entries: Any, n: int, lowest: Any, shift: Any, mask: Any, counts: NDArray[Any]) -> None:
    clear(counts, mask + np.uint64(1))
    for i in range(np.uint64(n)):
        counts[(np.uint64(key_at(entries, i) - lowest) >> shift) & mask] += np.uint32(1)


@inner_kernel
def sort_few(keys: NDArray[Any], ends: NDArray[Any], entries: Any) -> None:
    """Insert the values of one gene at their places among ``entries``, one by one: for few, the fastest sort."""
    i = 0
    for code in range(np.uint64(ends.size)):
        while i < ends[code]:
            key = keys[i]
            j = i
            while j > 0 and key_at(entries, j - 1) > key:
                put(entries, j, key_at(entries, j - 1), code_at(entries, j - 1))
                j -= 1
            put(entries, j, key, code)
            i += 1
