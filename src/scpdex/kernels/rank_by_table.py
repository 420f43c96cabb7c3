"""Rank by table: a gene of few distinct values, such as counts, is ranked by counting each value, without a sort."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel
from scpdex.kernels.digits import LEAST_BITS, RADIX_BITS, clear, sum_and_count
from scpdex.kernels.key_ranges import KeyRanges
from scpdex.kernels.keys import is_negative
from scpdex.kernels.moments import group_sums
from scpdex.kernels.tie_sums import rise_of_tie_term, term_of


def fit_table(n_keys: NDArray[Any], ranges: KeyRanges) -> NDArray[np.bool_]:
    """Tell of which genes the keys have one digit, see :func:`scpdex.kernels.digits.most_bits_of_digit`."""
    bits = ranges.bits
    return (bits <= LEAST_BITS) | ((bits <= RADIX_BITS) & (n_keys >= 1 << np.minimum(bits - 1, RADIX_BITS)))


@inner_kernel
def rank_by_table(
    keys: NDArray[Any],
    ends: NDArray[Any],
    lowest: Any,
    shared: Any,
    width: int,
    n_zeros: int,
    reference: int | None,
    sums: NDArray[Any],
    histograms: NDArray[Any],
    twice_midrank: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any] | None,
) -> Any:
    """Rank a gene whose keys have one digit of ``width`` bits, and write the sum of values of each group.

    Results are those of :func:`scpdex.kernels.rank_by_sort.rank_by_sort`. The last row of ``histograms`` is zero,
    before and after. The other rows and ``twice_midrank`` are scratch.
    """
    n_values = np.uint64(1 << width)
    counted = histograms[0]
    if reference is None:
        sum_and_count(keys, ends, lowest, shared, width, np.int64(0), sums, histograms)
    else:
        group_sums(keys, ends, sums)
        clear(counted, n_values)
        for i in range(np.uint64(ends[reference - 1]), np.uint64(ends[reference])):
            counted[np.uint64(keys[i] - lowest) >> shared] += np.uint32(1)

    below = np.int64(0)
    twice_midrank_of_zero = np.int64(-1)
    ties = term_of(n_zeros, tie_sums)
    for value in range(n_values):
        if twice_midrank_of_zero < 0 and not is_negative(keys.dtype.type(lowest + (np.uint64(value) << shared))):
            twice_midrank_of_zero = 2 * below + n_zeros
            below += n_zeros
        twice_midrank[value] = 2 * below + counted[value]
        below += counted[value]
        ties += term_of(counted[value], tie_sums)
    if twice_midrank_of_zero < 0:
        twice_midrank_of_zero = 2 * below + n_zeros

    i = np.uint64(0)
    for code in range(np.uint64(ends.size)):
        total = np.int64(0)
        end = np.uint64(ends[code])
        while i < end:
            total += twice_midrank[np.uint64(keys[i] - lowest) >> shared]
            i += np.uint64(1)
        twice_u[code] += total
    if reference is not None and tie_sums is not None:
        _add_ties_with_reference(keys, ends, lowest, shared, counted, histograms[3], tie_sums)
    return twice_midrank_of_zero, ties


@inner_kernel
def _add_ties_with_reference(
    keys: NDArray[Any],
    ends: NDArray[Any],
    lowest: Any,
    shared: Any,
    counted: NDArray[Any],
    seen: NDArray[Any],
    tie_sums: NDArray[Any],
) -> None:
    """Add to ``tie_sums`` by how much the cells of each group, one by one, raise the reference's tie sum.

    ``seen`` is scratch, zero for each value before and after.
    """
    one = tie_sums.dtype.type(1)
    i = np.uint64(0)
    for code in range(np.uint64(ends.size)):
        first = i
        total = tie_sums.dtype.type(0)
        while i < np.uint64(ends[code]):
            value = np.uint64(keys[i] - lowest) >> shared
            total += rise_of_tie_term(tie_sums.dtype.type(counted[value] + seen[value]), one)
            seen[value] += np.uint32(1)
            i += np.uint64(1)
        for j in range(first, i):
            seen[np.uint64(keys[j] - lowest) >> shared] = 0
        tie_sums[code] += total
