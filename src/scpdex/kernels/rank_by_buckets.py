"""Rank by buckets: move each of many distinct values once, to a bucket of equal low digits, and rank by high digits.

A radix sort moves each value once for each digit, and then needs a walk along the ties. Once the low digits are in
order, the second move is unnecessary: a table with the number of counted cells below each high digit, advanced from
bucket to bucket, gives the midrank of each value.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel
from scpdex.kernels.digits import clear, counts_to_positions
from scpdex.kernels.keys import is_negative
from scpdex.kernels.tie_sums import tie_term

# Few enough buckets to write to all of them at once; few enough high digits for their tables to stay in the cache.
LOW_BITS = 10
HIGH_BITS = 16
_CODE_BITS = 16
# A table that is this many times as long as the gene costs more than a second move.
_SPARSE = 4


@inner_kernel
def fit_buckets(n: int, n_codes: int, bits: int, lowest: Any, highest: Any) -> bool:
    """Tell whether buckets can rank ``n`` keys of ``bits`` significant bits, from the lowest to the highest key."""
    return (
        LOW_BITS < bits <= LOW_BITS + HIGH_BITS
        and _SPARSE * n >= 1 << (bits - LOW_BITS)
        and n_codes <= 1 << _CODE_BITS
        and is_negative(lowest) == is_negative(highest)
    )


@inner_kernel
def rank_by_buckets(
    keys: NDArray[Any],
    ends: NDArray[Any],
    lowest: Any,
    shared: Any,
    bits: int,
    n_zeros: int,
    reference: int,
    histograms: NDArray[Any],
    packed: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any],
) -> Any:
    """Rank a gene; results are those of :func:`scpdex.kernels.rank_by_sort.rank_by_sort`.

    ``histograms`` holds how often each low digit and, against the rest, each high digit occurs; its last row is zero,
    before and after. All other rows are overwritten. ``packed`` is scratch, a ``uint32`` for each key.
    """
    n_high = np.uint64(1 << (bits - LOW_BITS))
    stops, below, upto, seen = histograms[0], histograms[1], histograms[2], histograms[3]
    _fill_buckets(keys, ends, lowest, shared, stops, packed)
    n_counted = np.int64(keys.size)
    if reference >= 0:
        n_counted = np.int64(ends[reference]) - np.int64(ends[reference - 1])
        clear(below, n_high)
        for i in range(np.uint64(ends[reference - 1]), np.uint64(ends[reference])):
            below[np.uint64(keys[i] - lowest) >> shared >> np.uint64(LOW_BITS)] += np.uint32(1)
    counts_to_positions(below, n_high)
    for high in range(n_high):
        upto[high] = below[high]
    twice_zeros_below, twice_midrank_of_zero = 2 * n_zeros, n_zeros
    if is_negative(keys.dtype.type(lowest)):
        twice_zeros_below, twice_midrank_of_zero = np.int64(0), 2 * n_counted + n_zeros

    ties = tie_term(tie_sums.dtype.type(n_zeros))
    first = np.uint64(0)
    for bucket in range(np.uint64(1 << LOW_BITS)):
        last = np.uint64(stops[bucket])
        if reference < 0:
            for i in range(first, last):
                upto[_high(packed[i])] += np.uint32(1)
            for i in range(first, last):
                n_below = np.int64(below[_high(packed[i])])
                n_upto = np.int64(upto[_high(packed[i])])
                twice_u[_code(packed[i])] += twice_zeros_below + n_below + n_upto
        else:
            for i in range(first, last):
                upto[_high(packed[i])] += np.uint32(_code(packed[i]) == np.uint64(reference))
            _rank_against_reference(
                packed, first, last, np.uint64(reference), below, upto, twice_zeros_below, seen, twice_u, tie_sums
            )
        for i in range(first, last):
            high = _high(packed[i])
            # The first cell of a tie adds its term; for the others upto and below are equal, and the term is 0.
            ties += tie_term(tie_sums.dtype.type(upto[high] - below[high]))
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


@inner_kernel
def _rank_against_reference(
    packed: NDArray[Any],
    first: Any,
    last: Any,
    reference: Any,
    below: NDArray[Any],
    upto: NDArray[Any],
    twice_zeros_below: int,
    seen: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any],
) -> None:
    """Rank the cells of a bucket, and add to ``tie_sums`` by how much each group raises the reference's tie sum.

    A cell that joins a tie of ``t`` cells raises it by ``(t + 1)**3 - (t + 1) - (t**3 - t)``, which is
    ``3 t (t + 1)``. ``seen`` is scratch, zero for each high digit before and after.
    """
    start = first
    for i in range(first, last):
        code, high = _code(packed[i]), _high(packed[i])
        n_below, n_upto = np.int64(below[high]), np.int64(upto[high])
        twice_u[code] += twice_zeros_below + n_below + n_upto
        if code != reference and tie_sums.size > 0:
            # Cells of one group are neighbours in a bucket; most are alone of their group.
            following = np.uint64(i) + np.uint64(1)
            is_last = following == last or _code(packed[following]) != code
            t = tie_sums.dtype.type(n_upto - n_below)
            if i > start or not is_last:
                t += tie_sums.dtype.type(seen[high])
                seen[high] += np.uint32(1)
            tie_sums[code] += 3 * t * (t + 1)
            if is_last:
                for j in range(start, i):
                    seen[_high(packed[j])] = 0
                seen[high] = 0
                start = following
