"""Anderson-Darling: from the keys of a gene, sorted, to the two-sample statistic of every group.

The form for tied values of Scholz and Stephens (1987), "K-sample Anderson-Darling tests", equation 7, of which
``scipy.stats.anderson_ksamp`` is the plain implementation. For two samples of n1 and n2 cells, N in all, the sums over
the two samples reduce to one sum over the distinct values:

    A**2 = (N - 1) / (N n1 n2)  sum  l (N (2 m + f) - n1 (2 b + l))**2 / (t (2 N - t) - N l),   t = 2 b + l.

Here l cells share the value and b cells lie below it; of the first sample, f cells share it and m lie below. All but
the sum are whole numbers.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel, kernel
from scpdex.kernels.entries import code_at, key_at
from scpdex.kernels.key_ranges import KeyRanges
from scpdex.kernels.radix_sort import sort_gene
from scpdex.kernels.rank_by_sort import count_negative, rank_by_sort
from scpdex.kernels.rank_sums import complete_rank_sums, count_zeros

# Terms are added one by one for groups with at least 1 / _MANY as many cells as there are distinct values.
_MANY = 8


def new_anderson_scratch(longest: int, n_codes: int) -> tuple[Any, ...]:
    """Allocate the scratch of :func:`anderson_darling` beyond that of a sort, for genes of up to ``longest`` keys."""
    return (
        np.empty(longest, dtype=np.uint32),
        np.empty(n_codes, dtype=np.int64),
        np.empty(longest + 1, dtype=np.uint32),
        np.empty((2, longest + 1)),
        np.empty((5, longest + 2)),
    )


def anderson_darling(
    keys: NDArray[Any],
    starts: NDArray[np.int64],
    ends: NDArray[np.uint32],
    ranges: KeyRanges,
    sizes: NDArray[np.int64],
    zeros: NDArray[np.int64],
    reference: int | None,
    sums: NDArray[np.float64],
    twice_u: NDArray[np.int64],
    statistics: NDArray[np.float64],
    scratch: tuple[Any, ...],
) -> None:
    """Compare the groups of each gene of a run.

    Parameters
    ----------
    keys, starts, ends, ranges, sizes, zeros, reference, sums, twice_u
        As for :func:`scpdex.kernels.rank_sums.rank_sums`.
    statistics
        Output: A**2 of each group, genes x groups; NaN where all cells compared have one value.
    scratch
        Two buffers for entries and histograms, from :func:`scpdex.kernels.rank_sums.new_scratch`, and what
        :func:`new_anderson_scratch` gives.
    """
    n_zeros = count_zeros(zeros, reference)
    twice_midrank_of_zero = np.empty_like(n_zeros)
    twice_u[:] = 0
    block = (keys, starts, ends, ranges.lowest, ranges.shared, ranges.bits, sizes, zeros, n_zeros, reference)
    _compare_groups(*block, sums, twice_u, statistics, twice_midrank_of_zero, *scratch)
    complete_rank_sums(sizes, zeros, reference, twice_midrank_of_zero, twice_u)


@kernel
def _compare_groups(
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    lowest: NDArray[Any],
    shared: NDArray[Any],
    bits: NDArray[Any],
    sizes: NDArray[Any],
    zeros: NDArray[Any],
    n_zeros: NDArray[Any],
    reference: int | None,
    sums: NDArray[Any],
    twice_u: NDArray[Any],
    statistics: NDArray[Any],
    twice_midrank_of_zero: NDArray[Any],
    entries: Any,
    spare_entries: Any,
    histograms: NDArray[Any],
    events: NDArray[Any],
    cursors: NDArray[Any],
    places: NDArray[Any],
    values: NDArray[Any],
    running: NDArray[Any],
) -> None:
    for g in range(starts.size):
        gene = keys[starts[g] : starts[g] + np.int64(ends[g, -1])]
        in_order = sort_gene(gene, ends[g], lowest[g], shared[g], bits[g], sums[g], histograms, entries, spare_entries)
        twice_midrank_of_zero[g], _ = rank_by_sort(in_order, gene.size, n_zeros[g], reference, twice_u[g], None)
        n_values, zero = _number_values(in_order, ends[g], n_zeros[g], reference, events, cursors, places, values)
        n_groups = statistics.shape[1]
        if reference is None:
            n = np.int64(0)
            for code in range(sizes.size):
                n += sizes[code]
            _weigh_values(n, n_values, values, running)
        start = np.int64(0)
        for code in range(n_groups):
            stop = np.int64(ends[g, code])
            own_events = events[start:stop]
            start = stop
            if reference is None:
                total = _compare_with_rest(own_events, sizes[code], zeros[g, code], zero, n, n_values, values, running)
                n_other = n - sizes[code]
            else:
                n_other = sizes[reference]
                n = n_other + sizes[code]
                total = _compare_with_reference(
                    own_events, sizes[code], zeros[g, code], zero, n, n_values, places, values
                )
            statistics[g, code] = total * (float(n - 1) / n) / float(sizes[code]) / n_other


@inner_kernel
def _number_values(
    entries: Any,
    ends: NDArray[Any],
    n_zeros: int,
    reference: int | None,
    events: NDArray[Any],
    cursors: NDArray[Any],
    places: NDArray[Any],
    values: NDArray[Any],
) -> tuple[int, int]:
    """Assign numbers to the distinct values, ascending; return how many are counted, and the number of zero.

    A value is counted if a counted cell has it: any cell against the rest, else a cell of the reference.

    ``values``
        Output: ``2 b + l`` and ``l`` of each counted value, among the counted cells.
    ``places``
        Output: for each number, twice how many counted values lie below, plus 1 if the value is counted itself.
    ``events``
        Output: the numbers of each group's values in ascending order, at the positions of the group's keys.
    """
    # cursors may be longer than ends: scratch fits the level with most groups.
    for code in range(ends.size):
        cursors[code] = ends[code - 1] if code > 0 else 0
    n = np.int64(ends[-1])
    n_negative = count_negative(entries, n)
    n_counted_values, number, zero = 0, 0, 0
    below = np.int64(0)
    first = np.int64(0)
    passed_zero = False
    while first < n or not passed_zero:
        last = first
        n_counted = np.int64(0)
        if first == n_negative and not passed_zero:
            passed_zero = True
            zero = number
            n_counted = n_zeros
        else:
            key = key_at(entries, first)
            while last < n and key_at(entries, last) == key:
                code = code_at(entries, last)
                events[cursors[code]] = number
                cursors[code] += 1
                # Numba compiles only the branch for the type of reference.
                if reference is None:
                    n_counted += 1
                else:
                    n_counted += np.int64(np.int64(code) == reference)
                last += 1
        places[number] = 2 * n_counted_values + (n_counted > 0)
        if n_counted > 0:
            values[0, n_counted_values] = 2 * below + n_counted
            values[1, n_counted_values] = n_counted
            n_counted_values += 1
        below += n_counted
        number += reference is not None or n_counted > 0
        first = last
    return n_counted_values, zero


@inner_kernel
def _weigh_values(n: int, n_values: int, values: NDArray[Any], running: NDArray[Any]) -> None:
    """Against the rest: turn ``l`` into the weight w of each value, and write running sums to ``running``.

    With ``t = 2 b + l`` these are the sums of w, w t and w t**2 over the values before each, and with ``u = 2 N - t``
    the sums of w u and w u**2 over each value and those after it.
    """
    weights, before, after = values[1], running[:3], running[3:]
    before[0, 0] = before[1, 0] = before[2, 0] = 0
    for v in range(n_values):
        t = values[0, v]
        weights[v] = weights[v] / (t * (2.0 * n - t) - n * weights[v])
        before[0, v + 1] = before[0, v] + weights[v]
        before[1, v + 1] = before[1, v] + weights[v] * t
        before[2, v + 1] = before[2, v] + weights[v] * t * t
    after[0, n_values] = after[1, n_values] = 0
    for v in range(n_values - 1, -1, -1):
        u = 2.0 * n - values[0, v]
        after[0, v] = after[0, v + 1] + weights[v] * u
        after[1, v] = after[1, v + 1] + weights[v] * u * u


@inner_kernel
def _next_value(
    events: NDArray[Any], i: int, zero: int, n_zeros: int, zeros_to_come: bool
) -> tuple[Any, Any, int, bool]:
    """Merge the non-zero values of a group, from position ``i``, with its zeros.

    Returns the number of the next value, how many cells of the group share it, and where to go on.
    """
    if zeros_to_come and (i == events.size or np.int64(events[i]) > zero):
        return np.int64(zero), np.int64(n_zeros), i, False
    number, n_tied = np.int64(events[i]), np.int64(0)
    while i < events.size and np.int64(events[i]) == number:
        n_tied += 1
        i += 1
    return number, n_tied, i, zeros_to_come


@inner_kernel
def _compare_with_rest(
    events: NDArray[Any],
    n_group: int,
    n_zeros: int,
    zero: int,
    n: int,
    n_values: int,
    values: NDArray[Any],
    running: NDArray[Any],
) -> float:
    """Sum the terms of a group against the rest; all groups share the weights of the values."""
    one_by_one = (events.size + 1) * _MANY >= n_values
    total, at, m, i = 0.0, np.int64(0), np.int64(0), np.int64(0)
    zeros_to_come = n_zeros > 0
    while i < events.size or zeros_to_come:
        v, f, i, zeros_to_come = _next_value(events, i, zero, n_zeros, zeros_to_come)
        total += _sum_absent_values(at, v, m, n_group, n, one_by_one, values, running)
        x = np.float64(n * (2 * m + f)) - n_group * values[0, v]
        total += values[1, v] * x * x
        m += f
        at = v + 1
    return total + _sum_absent_values(at, n_values, m, n_group, n, one_by_one, values, running)


@inner_kernel
def _sum_absent_values(
    start: int,
    stop: int,
    m: int,
    n_group: int,
    n: int,
    one_by_one: bool,
    values: NDArray[Any],
    running: NDArray[Any],
) -> float:
    """Sum the terms of neighbouring values that no cell of the group has; ``m`` of its cells lie below."""
    total = 0.0
    if one_by_one:
        for v in range(start, stop):
            x = np.float64(2 * n * m) - n_group * values[0, v]
            total += values[1, v] * x * x
    elif start < stop and 2 * m < n_group:
        # The square is multiplied out, from the end where the group has fewer cells: there little of it cancels.
        k = 2.0 * n * m / n_group
        total = k * k * (running[0, stop] - running[0, start]) - 2 * k * (running[1, stop] - running[1, start])
        total = (total + running[2, stop] - running[2, start]) * n_group * n_group
    elif start < stop:
        k = 2.0 * n * (n_group - m) / n_group
        total = k * k * (running[0, stop] - running[0, start]) - 2 * k * (running[3, start] - running[3, stop])
        total = (total + running[4, start] - running[4, stop]) * n_group * n_group
    return total


@inner_kernel
def _compare_with_reference(
    events: NDArray[Any],
    n_group: int,
    n_zeros: int,
    zero: int,
    n: int,
    n_values: int,
    places: NDArray[Any],
    values: NDArray[Any],
) -> float:
    """Sum the terms of a group against the reference."""
    total, at, m, i = 0.0, np.int64(0), np.int64(0), np.int64(0)
    zeros_to_come = n_zeros > 0
    while i < events.size or zeros_to_come:
        number, f, i, zeros_to_come = _next_value(events, i, zero, n_zeros, zeros_to_come)
        place, tied = np.int64(places[number] >> 1), np.int64(places[number] & 1)
        total += _sum_reference_values(at, place, m, n_group, n, values)
        if tied:
            t, l = values[0, place] + (2 * m + f), values[1, place] + f  # noqa: E741
        else:
            below = values[0, place - 1] + values[1, place - 1] if place > 0 else 0.0
            t, l = below + (2 * m + f), np.float64(f)  # noqa: E741
        x = np.float64(n * (2 * m + f)) - n_group * t
        total += l * x * x / (t * (2.0 * n - t) - n * l)
        m += f
        at = place + tied
    return total + _sum_reference_values(at, n_values, m, n_group, n, values)


@inner_kernel
def _sum_reference_values(start: int, stop: int, m: int, n_group: int, n: int, values: NDArray[Any]) -> float:
    """Sum the terms of neighbouring values that only cells of the reference have."""
    total = 0.0
    twice_n = 2.0 * n
    share = twice_n * m
    for v in range(start, stop):
        t = values[0, v] + 2 * m
        x = share - n_group * t
        total += values[1, v] * x * x / (t * (twice_n - t) - n * values[1, v])
    return total
