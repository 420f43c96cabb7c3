"""Anderson-Darling: from the keys of a gene to the two-sample statistic of every group, by way of the sorted gene.

The form for tied values of Scholz and Stephens (1987), "K-sample Anderson-Darling tests", equation 7, of which
``scipy.stats.anderson_ksamp`` is the plain implementation. With two samples of n1 and n2 cells, N together, the two
sums over samples are one: of each distinct value that l cells share, b cells lie below and a above, m of the first
sample lie below and f share it,

    A**2 = (N - 1) / (N n1 n2)  sum  l (N (2 m + f) - n1 (2 b + l))**2 / (t (2 N - t) - N l),   t = 2 b + l.

All but the sum are whole numbers.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel, kernel
from scpdex.kernels.digits import significant_bits, span
from scpdex.kernels.entries import code_at, key_at
from scpdex.kernels.radix_sort import sort_gene
from scpdex.kernels.rank_by_sort import count_negative, walk
from scpdex.kernels.rank_sums import complete_rank_sums, count_zeros

# A group that has one of so many distinct values, or more, is compared value by value.
_MANY = 8


def new_anderson_scratch(longest: int, n_codes: int) -> tuple[Any, ...]:
    """Allocate what :func:`anderson_darling` needs beyond the scratch of a sort, for genes of so many keys."""
    return (
        np.empty(longest, dtype=np.uint32),
        np.empty(n_codes, dtype=np.int64),
        np.empty(longest + 1, dtype=np.uint32),
        np.empty((2, longest + 1)),
        np.empty((5, longest + 2)),
    )


@kernel
def anderson_darling(
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    sizes: NDArray[Any],
    zeros: NDArray[Any],
    reference: int,
    sums: NDArray[Any],
    twice_u: NDArray[Any],
    statistics: NDArray[Any],
    first: Any,
    second: Any,
    histograms: NDArray[Any],
    events: NDArray[Any],
    cursors: NDArray[Any],
    places: NDArray[Any],
    values: NDArray[Any],
    running: NDArray[Any],
) -> None:
    """Compare the groups of each gene of a run.

    Parameters
    ----------
    keys, starts, ends, sizes, zeros, reference, sums, twice_u
        As for :func:`scpdex.kernels.rank_sums.rank_sums`.
    statistics
        Written: A**2 of each group, genes x groups; NaN where all cells compared have one value.
    first, second, histograms
        Of :func:`scpdex.kernels.rank_sums.new_scratch`.
    events, cursors, places, values, running
        :func:`new_anderson_scratch`.
    """
    no_tie_sums = np.empty(0, dtype=np.int64)
    for g in range(starts.size):
        gene = keys[starts[g] : starts[g] + np.int64(ends[g, -1])]
        n_zeros = count_zeros(zeros[g], reference, twice_u[g])
        lowest, highest, varying = span(gene)
        shared, bits = significant_bits(lowest, highest, varying)
        entries = sort_gene(gene, ends[g], lowest, shared, bits, sums[g], histograms, first, second)
        worth_of_zeros, _ = walk(entries, gene.size, n_zeros, reference, twice_u[g], no_tie_sums)
        complete_rank_sums(sizes, zeros[g], reference, worth_of_zeros, twice_u[g])
        n_values, zero = _tell_apart(entries, ends[g], n_zeros, reference, events, cursors, places, values)
        n_groups = statistics.shape[1]
        if reference < 0:
            n = np.int64(0)
            for code in range(sizes.size):
                n += sizes[code]
            _weigh(n, n_values, values, running)
        start = np.int64(0)
        for code in range(n_groups):
            stop = np.int64(ends[g, code])
            of_group = events[start:stop]
            start = stop
            if reference < 0:
                total = _against_rest(of_group, sizes[code], zeros[g, code], zero, n, n_values, values, running)
                others = n - sizes[code]
            else:
                others = sizes[reference]
                n = others + sizes[code]
                total = _against_reference(of_group, sizes[code], zeros[g, code], zero, n, n_values, places, values)
            statistics[g, code] = total * (float(n - 1) / n) / float(sizes[code]) / others


@inner_kernel
def _tell_apart(
    entries: Any,
    ends: NDArray[Any],
    n_zeros: int,
    reference: int,
    events: NDArray[Any],
    cursors: NDArray[Any],
    places: NDArray[Any],
    values: NDArray[Any],
) -> tuple[int, int]:
    """Give each distinct value a number, in ascending order; return how many of them count, and that of zero.

    A value counts that cells of the reference have or, against the rest, any cells. Written are, of each value that
    counts, ``2 b + l`` and ``l`` among the cells that count (``values``); for each number, how many values below it
    count, times two, plus whether it counts itself (``places``); and the numbers of each group's values, in ascending
    order (``events``, where the group's keys are).
    """
    # Scratch is as long as the level with most groups needs it.
    for code in range(ends.size):
        cursors[code] = ends[code - 1] if code > 0 else 0
    n = np.int64(ends[-1])
    n_negative = count_negative(entries, n)
    n_counting, number, zero = 0, 0, 0
    below = np.int64(0)
    first = np.int64(0)
    passed_zero = False
    while first < n or not passed_zero:
        last = first
        counting = np.int64(0)
        if first == n_negative and not passed_zero:
            passed_zero = True
            zero = number
            counting = n_zeros
        else:
            key = key_at(entries, first)
            while last < n and key_at(entries, last) == key:
                code = code_at(entries, last)
                events[cursors[code]] = number
                cursors[code] += 1
                counting += np.int64(reference < 0 or np.int64(code) == reference)
                last += 1
        places[number] = 2 * n_counting + (counting > 0)
        if counting > 0:
            values[0, n_counting] = 2 * below + counting
            values[1, n_counting] = counting
            n_counting += 1
        below += counting
        number += reference >= 0 or counting > 0
        first = last
    return n_counting, zero


@inner_kernel
def _weigh(n: int, n_values: int, values: NDArray[Any], running: NDArray[Any]) -> None:
    """Against the rest: turn ``l`` into the weight of each value, and add up along the values.

    With ``t = 2 b + l`` and weight w, the sums of w, w t and w t**2 over the values before each are written, and of
    w u and w u**2 with ``u = 2 N - t`` over each and those after it.
    """
    weights, before, upper = values[1], running[:3], running[3:]
    before[0, 0] = before[1, 0] = before[2, 0] = 0
    for v in range(n_values):
        t = values[0, v]
        weights[v] = weights[v] / (t * (2.0 * n - t) - n * weights[v])
        before[0, v + 1] = before[0, v] + weights[v]
        before[1, v + 1] = before[1, v] + weights[v] * t
        before[2, v + 1] = before[2, v] + weights[v] * t * t
    upper[0, n_values] = upper[1, n_values] = 0
    for v in range(n_values - 1, -1, -1):
        u = 2.0 * n - values[0, v]
        upper[0, v] = upper[0, v + 1] + weights[v] * u
        upper[1, v] = upper[1, v + 1] + weights[v] * u * u


@inner_kernel
def _against_rest(
    events: NDArray[Any],
    n_group: int,
    n_zeros: int,
    zero: int,
    n: int,
    n_values: int,
    values: NDArray[Any],
    running: NDArray[Any],
) -> float:
    """Add up the terms of a group, which share their weights with all other groups."""
    one_by_one = (events.size + 1) * _MANY >= n_values
    total, at, m, i = 0.0, np.int64(0), np.int64(0), np.int64(0)
    zeros_to_come = n_zeros > 0
    while i < events.size or zeros_to_come:
        if zeros_to_come and (i == events.size or np.int64(events[i]) > zero):
            v, f = np.int64(zero), np.int64(n_zeros)
            zeros_to_come = False
        else:
            v, f = np.int64(events[i]), np.int64(0)
            while i < events.size and np.int64(events[i]) == v:
                f += 1
                i += 1
        total += _shared_run(at, v, m, n_group, n, one_by_one, values, running)
        x = np.float64(n * (2 * m + f)) - n_group * values[0, v]
        total += values[1, v] * x * x
        m += f
        at = v + 1
    return total + _shared_run(at, n_values, m, n_group, n, one_by_one, values, running)


@inner_kernel
def _shared_run(
    start: int,
    stop: int,
    m: int,
    n_group: int,
    n: int,
    one_by_one: bool,
    values: NDArray[Any],
    running: NDArray[Any],
) -> float:
    """Add up the terms of neighbouring values that no cell of the group has, ``m`` of its cells lying below."""
    total = 0.0
    if one_by_one:
        for v in range(start, stop):
            x = np.float64(2 * n * m) - n_group * values[0, v]
            total += values[1, v] * x * x
    elif start < stop and 2 * m < n_group:
        # The square is multiplied out; from the end that the group has fewer cells at, little of it cancels.
        k = 2.0 * n * m / n_group
        total = k * k * (running[0, stop] - running[0, start]) - 2 * k * (running[1, stop] - running[1, start])
        total = (total + running[2, stop] - running[2, start]) * n_group * n_group
    elif start < stop:
        k = 2.0 * n * (n_group - m) / n_group
        total = k * k * (running[0, stop] - running[0, start]) - 2 * k * (running[3, start] - running[3, stop])
        total = (total + running[4, start] - running[4, stop]) * n_group * n_group
    return total


@inner_kernel
def _against_reference(
    events: NDArray[Any],
    n_group: int,
    n_zeros: int,
    zero: int,
    n: int,
    n_values: int,
    places: NDArray[Any],
    values: NDArray[Any],
) -> float:
    """Add up the terms of a group and the reference."""
    total, at, m, i = 0.0, np.int64(0), np.int64(0), np.int64(0)
    zeros_to_come = n_zeros > 0
    while i < events.size or zeros_to_come:
        if zeros_to_come and (i == events.size or np.int64(events[i]) > zero):
            number, f = np.int64(zero), np.int64(n_zeros)
            zeros_to_come = False
        else:
            number, f = np.int64(events[i]), np.int64(0)
            while i < events.size and np.int64(events[i]) == number:
                f += 1
                i += 1
        place, tied = np.int64(places[number] >> 1), np.int64(places[number] & 1)
        total += _run(at, place, m, n_group, n, values)
        if tied:
            t, l = values[0, place] + (2 * m + f), values[1, place] + f  # noqa: E741
        else:
            below = values[0, place - 1] + values[1, place - 1] if place > 0 else 0.0
            t, l = below + (2 * m + f), np.float64(f)  # noqa: E741
        x = np.float64(n * (2 * m + f)) - n_group * t
        total += l * x * x / (t * (2.0 * n - t) - n * l)
        m += f
        at = place + tied
    return total + _run(at, n_values, m, n_group, n, values)


@inner_kernel
def _run(start: int, stop: int, m: int, n_group: int, n: int, values: NDArray[Any]) -> float:
    """Add up the terms of neighbouring values that only cells of the reference have."""
    total = 0.0
    twice_n = 2.0 * n
    share = twice_n * m
    for v in range(start, stop):
        t = values[0, v] + 2 * m
        x = share - n_group * t
        total += values[1, v] * x * x / (t * (twice_n - t) - n * values[1, v])
    return total
