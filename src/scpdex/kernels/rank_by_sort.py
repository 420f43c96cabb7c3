"""Walk: along the sorted entries of a gene, tie by tie, telling each group what its cells are worth."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel
from scpdex.kernels.entries import code_at, key_at
from scpdex.kernels.keys import is_negative
from scpdex.kernels.ties import cubed_minus


@inner_kernel
def walk(entries: Any, n: int, n_zeros: int, reference: int, twice_u: NDArray[Any], tie_sums: NDArray[Any]) -> Any:
    """Rank the ``n`` sorted entries of a gene.

    ``n_zeros`` of the cells that count are zeros. Adds for each group the sum of what its non-zero cells are worth to
    ``twice_u`` and, against a reference, by how much these raise the reference's tie sum to ``tie_sums``. Returns what
    a zero is worth, and the tie sum of the cells that count.
    """
    n_negative = count_negative(entries, n)
    ties = cubed_minus(tie_sums.dtype.type(n_zeros))
    below, ties = _walk_part(entries, np.int64(0), n_negative, reference, np.int64(0), ties, twice_u, tie_sums)
    _, ties = _walk_part(entries, n_negative, n, reference, below + n_zeros, ties, twice_u, tie_sums)
    return 2 * below + n_zeros, ties


@inner_kernel
def count_negative(entries: Any, n: int) -> int:
    """Count the sorted entries below zero."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if is_negative(key_at(entries, middle)):
            low = middle + 1
        else:
            high = middle
    return low


@inner_kernel
def _walk_part(
    entries: Any,
    start: int,
    stop: int,
    reference: int,
    below: int,
    ties: Any,
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any],
) -> Any:
    """Walk from ``start`` to ``stop``, given the counting cells below and the tie sum so far; give both back."""
    first = np.uint64(start)
    while first < np.uint64(stop):
        key = key_at(entries, first)
        last = first + np.uint64(1)
        while last < np.uint64(stop) and key_at(entries, last) == key:
            last += np.uint64(1)
        counting = np.int64(last - first)
        if reference >= 0:
            counting = _count_reference(entries, first, last, np.uint64(reference))
        worth = 2 * below + counting
        for i in range(first, last):
            twice_u[code_at(entries, i)] += worth
        if last - first > np.uint64(1):
            ties += cubed_minus(tie_sums.dtype.type(counting))
            if reference >= 0 and tie_sums.size > 0:
                _tie_with_reference(entries, first, last - np.uint64(counting), counting, tie_sums)
        below += counting
        first = last
    return below, ties


@inner_kernel
def _count_reference(entries: Any, first: Any, last: Any, reference: Any) -> int:
    """Count the reference cells of a tie: they come last, as the sort is stable and theirs is the last group."""
    count = 0
    while last > first and code_at(entries, last - np.uint64(1)) == reference:
        last -= np.uint64(1)
        count += 1
    return count


@inner_kernel
def _tie_with_reference(entries: Any, first: Any, last: Any, counting: int, tie_sums: NDArray[Any]) -> None:
    """Add by how much the cells of each group, one group after the other, raise the tie sum of ``counting`` cells."""
    before = cubed_minus(tie_sums.dtype.type(counting))
    while first < last:
        code = code_at(entries, first)
        start = first
        while first < last and code_at(entries, first) == code:
            first += np.uint64(1)
        tied = tie_sums.dtype.type(counting + np.int64(first - start))
        tie_sums[code] += cubed_minus(tied) - before
