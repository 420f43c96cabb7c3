"""Rank by buckets: move each of many distinct values once, to a bucket of equal low digits, and rank by high digits.

A radix sort moves each value once for each digit, and then needs a walk along the ties. Once the low digits are in
order, the second move is unnecessary: a table with the number of counted cells below each high digit, advanced from
bucket to bucket, gives the midrank of each value.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel
from scpdex.kernels.digits import clear, counts_to_positions, sum_and_count
from scpdex.kernels.key_ranges import KeyRanges
from scpdex.kernels.keys import is_negative
from scpdex.kernels.tie_sums import term_of

# Few enough buckets to write to all of them at once; few enough high digits for their tables to stay in the cache.
LOW_BITS = 10
HIGH_BITS = 16
_CODE_BITS = 16
# A table that is this many times as long as the gene costs more than a second move.
_SPARSE = 4


def fit_buckets(n_keys: NDArray[Any], n_codes: int, ranges: KeyRanges) -> NDArray[np.bool_]:
    """Tell which genes buckets can rank, and faster than a sort."""
    high_bits = ranges.bits - LOW_BITS
    return (
        (high_bits > 0)
        & (high_bits <= HIGH_BITS)
        & (_SPARSE * n_keys.astype(np.int64) >= 1 << np.clip(high_bits, 0, HIGH_BITS))
        & ranges.of_one_sign
        & (n_codes <= 1 << _CODE_BITS)
    )


@inner_kernel
def rank_by_buckets(
    keys: NDArray[Any],
    ends: NDArray[Any],
    lowest: Any,
    shared: Any,
    bits: int,
    n_zeros: int,
    reference: int | None,
    sums: NDArray[Any],
    histograms: NDArray[Any],
    packed: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any] | None,
) -> Any:
    """Rank a gene, and write the sum of values of each group.

    Results are those of :func:`scpdex.kernels.rank_by_sort.rank_by_sort`, without tie sums against a reference: these
    cost more here than in sorted values. ``packed`` is scratch, a ``uint32`` for each key, and so are all but the last
    of ``histograms``.
    """
    n_high = np.uint64(1 << (bits - LOW_BITS))
    stops, below, upto = histograms[0], histograms[1], histograms[2]
    n_counted = np.int64(keys.size)
    if reference is None:
        sum_and_count(keys, ends, lowest, shared, np.int64(LOW_BITS), bits - LOW_BITS, sums, histograms)
    else:
        sum_and_count(keys, ends, lowest, shared, np.int64(LOW_BITS), np.int64(0), sums, histograms)
        n_counted = np.int64(ends[reference]) - np.int64(ends[reference - 1])
        clear(below, n_high)
        for i in range(np.uint64(ends[reference - 1]), np.uint64(ends[reference])):
            below[np.uint64(keys[i] - lowest) >> shared >> np.uint64(LOW_BITS)] += np.uint32(1)
    _fill_buckets(keys, ends, lowest, shared, stops, packed)
    counts_to_positions(below, n_high)
    for high in range(n_high):
        upto[high] = below[high]
    twice_zeros_below, twice_midrank_of_zero = 2 * n_zeros, n_zeros
    if is_negative(keys.dtype.type(lowest)):
        twice_zeros_below, twice_midrank_of_zero = np.int64(0), 2 * n_counted + n_zeros

    ties = term_of(n_zeros, tie_sums)
    first = np.uint64(0)
    for bucket in range(np.uint64(1 << LOW_BITS)):
        last = np.uint64(stops[bucket])
        for i in range(first, last):
            if reference is None:
                upto[_high(packed[i])] += np.uint32(1)
            else:
                upto[_high(packed[i])] += np.uint32(_code(packed[i]) == np.uint64(reference))
        for i in range(first, last):
            n_below = np.int64(below[_high(packed[i])])
            n_upto = np.int64(upto[_high(packed[i])])
            twice_u[_code(packed[i])] += twice_zeros_below + n_below + n_upto
        for i in range(first, last):
            high = _high(packed[i])
            # The first cell of a tie adds its term; for the others upto and below are equal, and the term is 0.
            ties += term_of(upto[high] - below[high], tie_sums)
            below[high] = upto[high]
        first = last
    return twice_midrank_of_zero, ties


@inner_kernel
def _high(packed: Any) -> Any:
    return np.uint64(packed >> np.uint32(_CODE_BITS))


@inner_kernel
def _code(packed: Any) -> Any:
    return np.uint64(packed & np.uint32((1 << _CODE_BITS) - 1))


@inner_kernel
def _fill_buckets(
    keys: NDArray[Any], ends: NDArray[Any], lowest: Any, shared: Any, stops: NDArray[Any], packed: NDArray[Any]
) -> None:
    """Move the values to the buckets of their low digits, high digit and group packed in one number.

    ``stops`` holds the size of each bucket before, and the end of each bucket after.
    """
    counts_to_positions(stops, np.uint64(1 << LOW_BITS))
    i = np.uint64(0)
    for code in range(np.uint64(ends.size)):
        end = np.uint64(ends[code])
        while i < end:
            digits = np.uint64(keys[i] - lowest) >> shared
            bucket = digits & np.uint64((1 << LOW_BITS) - 1)
            packed[stops[bucket]] = np.uint32(
                (digits >> np.uint64(LOW_BITS)) << np.uint64(_CODE_BITS) | np.uint64(code)
            )
            stops[bucket] += np.uint32(1)
            i += np.uint64(1)
