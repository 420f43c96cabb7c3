"""Rank by sort: walk along the sorted entries of a gene of any values, tie by tie."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel
from scpdex.kernels.entries import code_at, key_at
from scpdex.kernels.keys import is_negative
from scpdex.kernels.tie_sums import rise_of_tie_term, term_of


@inner_kernel
def rank_by_sort(
    entries: Any,
    n: int,
    n_zeros: int,
    reference: int | None,
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any] | None,
) -> Any:
    """Rank the ``n`` entries of a gene, sorted by :mod:`scpdex.kernels.radix_sort`; ``n_zeros`` counted cells are zero.

    Adds to ``twice_u`` the ``twice_midrank`` of the non-zero cells of each group, see
    :mod:`scpdex.kernels.rank_sums`. Against a reference, adds to ``tie_sums`` by how much these cells raise the
    reference's tie sum. Returns the ``twice_midrank`` of a zero, and the tie sum of the counted cells.
    """
    n_negative = count_negative(entries, n)
    ties = term_of(n_zeros, tie_sums)
    below, ties = _rank_run(entries, np.int64(0), n_negative, reference, np.int64(0), ties, twice_u, tie_sums)
    _, ties = _rank_run(entries, n_negative, n, reference, below + n_zeros, ties, twice_u, tie_sums)
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
def _rank_run(
    entries: Any,
    start: int,
    stop: int,
    reference: int | None,
    below: int,
    ties: Any,
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any] | None,
) -> Any:
    """Walk from ``start`` to ``stop``; take and return the number of counted cells below, and the tie sum so far."""
    first = np.uint64(start)
    while first < np.uint64(stop):
        last = end_of_tie(entries, first, np.uint64(stop))
        n_counted = np.int64(last - first)
        if reference is not None:
            n_counted = count_reference(entries, first, last, np.uint64(reference))
        twice_midrank = 2 * below + n_counted
        for i in range(first, last):
            twice_u[code_at(entries, i)] += twice_midrank
        if last - first > np.uint64(1):
            ties += term_of(n_counted, tie_sums)
            if reference is not None and tie_sums is not None:
                _add_ties_with_reference(entries, first, last - np.uint64(n_counted), n_counted, tie_sums)
        below += n_counted
        first = last
    return below, ties


@inner_kernel
def end_of_tie(entries: Any, first: Any, stop: Any) -> Any:
    """Find where the entries with the key of the ``first`` one end."""
    key = key_at(entries, first)
    first += np.uint64(1)
    while first < stop and key_at(entries, first) == key:
        first += np.uint64(1)
    return first


@inner_kernel
def end_of_group(entries: Any, first: Any, stop: Any) -> Any:
    """Find where the entries of the group of the ``first`` one end, within a tie."""
    code = code_at(entries, first)
    first += np.uint64(1)
    while first < stop and code_at(entries, first) == code:
        first += np.uint64(1)
    return first


@inner_kernel
def count_reference(entries: Any, first: Any, last: Any, reference: Any) -> int:
    """Count the reference cells of a tie: they come last, as the sort is stable and theirs is the last group."""
    count = 0
    while last > first and code_at(entries, last - np.uint64(1)) == reference:
        last -= np.uint64(1)
        count += 1
    return count


@inner_kernel
def _add_ties_with_reference(entries: Any, first: Any, last: Any, n_counted: int, tie_sums: NDArray[Any]) -> None:
    """Add to ``tie_sums`` by how much the cells of each group in a tie raise the term of its ``n_counted`` cells."""
    while first < last:
        code, start = code_at(entries, first), first
        first = end_of_group(entries, first, last)
        n_group = np.int64(first - start)
        tie_sums[code] += rise_of_tie_term(tie_sums.dtype.type(n_counted), tie_sums.dtype.type(n_group))
