"""Radix sort: the values of one gene, each with its group, in ascending order, by the bits in which its keys differ."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel
from scpdex.kernels.digits import clear, counts_to_positions, most_bits_of_digit, sum_and_count
from scpdex.kernels.entries import code_at, key_at, put
from scpdex.kernels.moments import group_sums

# For fewer values, an insertion sort is faster than counting their digits.
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
    entries: Any,
    spare_entries: Any,
) -> Any:
    """Sort the values of one gene, many or few, and write the sum of values of each group.

    The keys less the lowest have ``bits`` significant bits above the ``shared`` low ones. ``entries`` and
    ``spare_entries`` are buffers, of which the one with the result is returned.
    """
    in_order = entries
    if keys.size < FEW:
        group_sums(keys, ends, sums)
        sort_few(keys, ends, entries)
    else:
        n_digits = -(-bits // most_bits_of_digit(keys.size))
        width = -(-bits // n_digits)
        sum_and_count(keys, ends, lowest, shared, width, width, sums, histograms)
        in_order = sort_entries(keys, ends, lowest, shared, width, n_digits, histograms, entries, spare_entries)
    return in_order


@inner_kernel
def sort_entries(
    keys: NDArray[Any],
    ends: NDArray[Any],
    lowest: Any,
    shared: Any,
    width: int,
    n_digits: int,
    histograms: NDArray[Any],
    entries: Any,
    spare_entries: Any,
) -> Any:
    """Sort the values of one gene, digit by digit; stable, so that tied cells are in order of their groups.

    Parameters
    ----------
    keys, ends
        Keys of the gene, group by group, and where each group ends.
    lowest, shared
        The lowest key, and the number of low bits that all keys share.
    width, n_digits
        Bits of a digit, and number of digits.
    histograms
        How often each value of the first and of the second digit occurs; overwritten.
    entries, spare_entries
        Buffers, of which the one with the result is returned.
    """
    n_values = np.uint64(1 << width)
    mask = n_values - np.uint64(1)
    positions = histograms[0]
    counts_to_positions(positions, n_values)
    i = np.uint64(0)
    for code in range(np.uint64(ends.size)):
        end = np.uint64(ends[code])
        while i < end:
            value = (np.uint64(keys[i] - lowest) >> shared) & mask
            put(entries, positions[value], keys[i], code)
            positions[value] += np.uint32(1)
            i += np.uint64(1)
    for digit in range(1, n_digits):
        positions = histograms[1]
        shift = shared + np.uint64(digit * width)
        if digit > 1:
            _count_digit(entries, keys.size, lowest, shift, mask, positions)
        counts_to_positions(positions, n_values)
        for i in range(np.uint64(keys.size)):
            key = key_at(entries, i)
            value = (np.uint64(key - lowest) >> shift) & mask
            put(spare_entries, positions[value], key, code_at(entries, i))
            positions[value] += np.uint32(1)
        entries, spare_entries = spare_entries, entries
    return entries


@inner_kernel
def _count_digit(entries: Any, n: int, lowest: Any, shift: Any, mask: Any, counts: NDArray[Any]) -> None:
    clear(counts, mask + np.uint64(1))
    for i in range(np.uint64(n)):
        counts[(np.uint64(key_at(entries, i) - lowest) >> shift) & mask] += np.uint32(1)


@inner_kernel
def sort_few(keys: NDArray[Any], ends: NDArray[Any], entries: Any) -> None:
    """Sort the values of one gene by insertion, the fastest sort of few values."""
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
