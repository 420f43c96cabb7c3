"""Sort: the values of one gene, each with its group, in ascending order by a radix sort on the keys' varying bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel
from scpdex.kernels.digits import clear, counts_to_positions, most_bits_of_digit, sum_and_count
from scpdex.kernels.entries import code_at, key_at, put
from scpdex.kernels.moments import group_sums

# Inserting so few values one by one is faster than counting their digits.
FEW = 48


@inner_kernel
def sort_gene(
    keys: NDArray[Any],
    ends: NDArray[Any],
    lowest: Any,
    shared: Any,
    bits: int,
    sums: NDArray[Any],
    histograms: NDArray[Any],
    first: Any,
    second: Any,
) -> Any:
    """Sort the values of one gene, many or few, and write the sum of values of each group.

    The keys less the lowest are of so many bits, not counting the ``shared`` low ones. ``first`` and ``second`` are
    room for the entries; one of them is returned.
    """
    entries = first
    if keys.size < FEW:
        group_sums(keys, ends, sums)
        sort_few(keys, ends, first)
    else:
        n_digits = -(-bits // most_bits_of_digit(keys.size))
        width = -(-bits // n_digits)
        sum_and_count(keys, ends, lowest, shared, width, width, sums, histograms)
        entries = sort_entries(keys, ends, lowest, shared, width, n_digits, histograms, first, second)
    return entries


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
    """Sort the values of one gene, digit by digit; stable, so that tied cells are in order of their groups.

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
