"""Placements: from the keys of a gene, sorted, to sums of squared placements, whose variances the AUC's follows from.

The placement of a cell is the number of cells on the other side with a lower value, plus half of those with its own
(Orban and Wolfe 1982; Brunner and Munzel 2000). Kernels count in twice the placement, a whole number. Of a group of n1
cells and the n2 others, let one value have ``f`` cells of the group and ``o`` of the others, with ``m`` and ``b`` cells
below it. Each of the ``f`` cells has the twice placement ``w = 2 b + o``: ``f w`` sums to 2 U, and ``f w**2`` to the
squares of the group. The ``o`` others have ``2 m + f``; the squares of the others, summed by parts, are

    4 n1**2 n2  -  sum  f (2 w (2 m + f) + f o),

a sum over the values that the group has: a value of the others alone needs no work.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel, kernel
from scpdex.kernels.entries import code_at
from scpdex.kernels.key_ranges import KeyRanges
from scpdex.kernels.radix_sort import sort_gene
from scpdex.kernels.rank_by_sort import count_negative, count_reference, end_of_group, end_of_tie
from scpdex.kernels.rank_sums import count_zeros
from scpdex.kernels.tie_sums import complete_tie_sums, rise_of_tie_term, term_of


def square_placements(
    keys: NDArray[Any],
    starts: NDArray[np.int64],
    ends: NDArray[np.uint32],
    ranges: KeyRanges,
    sizes: NDArray[np.int64],
    zeros: NDArray[np.int64],
    reference: int | None,
    sums: NDArray[np.float64],
    twice_u: NDArray[np.int64],
    tie_sums: NDArray[Any] | None,
    group_squares: NDArray[Any],
    other_squares: NDArray[Any],
    scratch: tuple[Any, ...],
) -> None:
    """Rank each gene of a block, and sum the squares of twice the placements.

    Parameters
    ----------
    keys, starts, ends, ranges, sizes, zeros, reference, sums, twice_u, tie_sums
        As for :func:`scpdex.kernels.rank_sums.rank_sums`.
    group_squares, other_squares
        Output, genes x codes: squares of each group's cells among the others, and of the others among the group.
        ``int64``, in which they may wrap around, or ``float64``; columns of a reference hold nothing.
    scratch
        Two buffers for entries, and histograms, from :func:`scpdex.kernels.rank_sums.new_scratch`.
    """
    n_zeros = count_zeros(zeros, reference)
    ties = None
    if tie_sums is not None:
        ties = np.empty(n_zeros.size, dtype=tie_sums.dtype)
        tie_sums[:] = 0
    for total in (twice_u, group_squares, other_squares):
        total[:] = 0
    block = (keys, starts, ends, ranges.lowest, ranges.shared, ranges.bits, zeros, n_zeros, reference)
    n_below = np.empty(sizes.size, dtype=np.int64)
    _square_placements(*block, sums, twice_u, tie_sums, ties, group_squares, other_squares, n_below, *scratch)
    n_others = sizes.sum() - sizes if reference is None else sizes[reference]
    size = sizes.astype(other_squares.dtype)
    np.subtract(4 * size * size * n_others, other_squares, out=other_squares)
    if tie_sums is not None and ties is not None:
        complete_tie_sums(zeros, reference, ties, tie_sums)


@kernel
def _square_placements(
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    lowest: NDArray[Any],
    shared: NDArray[Any],
    bits: NDArray[Any],
    zeros: NDArray[Any],
    n_zeros: NDArray[Any],
    reference: int | None,
    sums: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any] | None,
    ties: NDArray[Any] | None,
    group_squares: NDArray[Any],
    other_squares: NDArray[Any],
    n_below: NDArray[Any],
    entries: Any,
    spare_entries: Any,
    histograms: NDArray[Any],
) -> None:
    for g in range(starts.size):
        gene = keys[starts[g] : starts[g] + np.int64(ends[g, -1])]
        in_order = sort_gene(gene, ends[g], lowest[g], shared[g], bits[g], sums[g], histograms, entries, spare_entries)
        n_negative = count_negative(in_order, gene.size)
        rises = None if tie_sums is None else tie_sums[g]
        totals = (n_below, twice_u[g], group_squares[g], other_squares[g])
        n_below[:] = 0
        tie_sum = term_of(n_zeros[g], tie_sums)
        below, tie_sum = _place_run(in_order, np.int64(0), n_negative, reference, np.int64(0), tie_sum, rises, *totals)
        for code in range(zeros.shape[1]):
            if zeros[g, code] > 0:
                _place_cells(np.uint64(code), zeros[g, code], below, n_zeros[g], reference, *totals)
        below += n_zeros[g]
        _, tie_sum = _place_run(in_order, n_negative, gene.size, reference, below, tie_sum, rises, *totals)
        if ties is not None:
            ties[g] = tie_sum


@inner_kernel
def _place_run(
    entries: Any,
    start: int,
    stop: int,
    reference: int | None,
    below: int,
    tie_sum: Any,
    tie_sums: NDArray[Any] | None,
    n_below: NDArray[Any],
    twice_u: NDArray[Any],
    group_squares: NDArray[Any],
    other_squares: NDArray[Any],
) -> Any:
    """Walk from ``start`` to ``stop``; take and return the number of counted cells below, and their tie sum so far.

    Counted cells are all cells against the rest, else those of the reference, as in :mod:`scpdex.kernels.rank_sums`.
    """
    first = np.uint64(start)
    while first < np.uint64(stop):
        last = end_of_tie(entries, first, np.uint64(stop))
        n_counted = np.int64(last - first)
        stop_of_groups = last
        if reference is not None:
            n_counted = count_reference(entries, first, last, np.uint64(reference))
            stop_of_groups = last - np.uint64(n_counted)
        tie_sum += term_of(n_counted, tie_sums)
        while first < stop_of_groups:
            code, begin = code_at(entries, first), first
            first = end_of_group(entries, first, stop_of_groups)
            n_group = np.int64(first - begin)
            _place_cells(code, n_group, below, n_counted, reference, n_below, twice_u, group_squares, other_squares)
            if reference is not None and tie_sums is not None:
                tie_sums[code] += rise_of_tie_term(tie_sums.dtype.type(n_counted), tie_sums.dtype.type(n_group))
        below += n_counted
        first = last
    return below, tie_sum


@inner_kernel
def _place_cells(
    code: Any,
    n_group: int,
    below: int,
    n_counted: int,
    reference: int | None,
    n_below: NDArray[Any],
    twice_u: NDArray[Any],
    group_squares: NDArray[Any],
    other_squares: NDArray[Any],
) -> None:
    """Add the cells of a group that share a value, which ``n_counted`` cells have and ``below`` cells are below."""
    twice_placement = 2 * below + n_counted
    n_others = n_counted
    twice_placement_of_others = 2 * n_below[code] + n_group
    # Against the rest the group's own cells are counted. Numba compiles only the branch for the type of reference.
    if reference is None:
        twice_placement -= twice_placement_of_others
        n_others -= n_group
    n_below[code] += n_group
    twice_u[code] += n_group * twice_placement
    dtype = group_squares.dtype.type
    w = dtype(twice_placement)
    group_squares[code] += dtype(n_group) * w * w
    of_others = 2 * w * dtype(twice_placement_of_others) + dtype(n_group) * dtype(n_others)
    other_squares[code] += dtype(n_group) * of_others
