"""Pairwise ranks: from the keys of a gene, sorted once, to Mann-Whitney's U of every pair of groups, in integers.

On the walk along the sorted values, ``below`` is twice the number of cells of each group that have lower values, plus
the number of those that have this one. A cell of group i adds ``below`` of group j to 2 U of i over j, for all j at
once: a value takes as many additions as there are groups, whatever the number of cells. Zeros are one tie.

Two groups have the tie sum ``sum (ti + tj)**3 - (ti + tj)``: the tie sums of both, and ``3 ti tj (ti + tj)`` of each
value that both have.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel, kernel
from scpdex.kernels.entries import code_at
from scpdex.kernels.key_ranges import KeyRanges
from scpdex.kernels.radix_sort import sort_gene
from scpdex.kernels.rank_by_sort import count_negative, end_of_group, end_of_tie
from scpdex.kernels.tie_sums import tie_term


def rank_pairs(
    keys: NDArray[Any],
    starts: NDArray[np.int64],
    ends: NDArray[np.uint32],
    ranges: KeyRanges,
    zeros: NDArray[np.int64],
    rows: NDArray[np.int64],
    twice_u: NDArray[np.int64],
    tie_sums: NDArray[Any] | None,
    scratch: tuple[Any, ...],
) -> None:
    """Rank each gene of a block among the cells of every pair of groups.

    Parameters
    ----------
    keys, starts, ends, ranges, zeros
        As for :func:`scpdex.kernels.rank_sums.rank_sums`.
    rows
        Row of each group in the output; -1 for groups that are only compared with.
    twice_u
        Output: 2 U of each row's group over every group, genes x rows x groups; not of a group over itself.
    tie_sums
        Output: sums of t**3 - t over the ties of the cells of both groups, in ``int64`` or ``float64``, of the same
        shape; None to leave them out.
    scratch
        Two buffers for entries, and histograms, from :func:`scpdex.kernels.rank_sums.new_scratch`.
    """
    twice_u[:] = 0
    if tie_sums is not None:
        tie_sums[:] = 0
    n_groups = zeros.shape[1]
    block = (keys, starts, ends, ranges.lowest, ranges.shared, ranges.bits, zeros, rows)
    own_ties = np.empty(n_groups, dtype=np.int64 if tie_sums is None else tie_sums.dtype)
    groups = (np.empty(n_groups), np.empty(n_groups, dtype=np.int64), own_ties)
    tie = (np.empty(n_groups, dtype=np.uint64), np.empty(n_groups, dtype=np.int64))
    _rank_pairs(*block, twice_u, tie_sums, *groups, *tie, *scratch)


@kernel
def _rank_pairs(
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    lowest: NDArray[Any],
    shared: NDArray[Any],
    bits: NDArray[Any],
    zeros: NDArray[Any],
    rows: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any] | None,
    sums: NDArray[Any],
    below: NDArray[Any],
    own_ties: NDArray[Any],
    tied: NDArray[Any],
    n_tied: NDArray[Any],
    entries: Any,
    spare_entries: Any,
    histograms: NDArray[Any],
) -> None:
    for g in range(starts.size):
        gene = keys[starts[g] : starts[g] + np.int64(ends[g, -1])]
        in_order = sort_gene(gene, ends[g], lowest[g], shared[g], bits[g], sums, histograms, entries, spare_entries)
        n_negative = count_negative(in_order, gene.size)
        ties = None if tie_sums is None else tie_sums[g]
        below[:] = 0
        own_ties[:] = 0
        _rank_run(in_order, np.int64(0), n_negative, rows, twice_u[g], ties, below, own_ties, tied, n_tied)
        n_with_zeros = 0
        for code in range(np.uint64(zeros.shape[1])):
            if zeros[g, code] > 0:
                tied[n_with_zeros] = code
                n_tied[n_with_zeros] = zeros[g, code]
                n_with_zeros += 1
        _rank_tie(n_with_zeros, rows, twice_u[g], ties, below, own_ties, tied, n_tied)
        _rank_run(in_order, n_negative, gene.size, rows, twice_u[g], ties, below, own_ties, tied, n_tied)
        if ties is not None:
            _add_own_ties(rows, ties, own_ties)


@inner_kernel
def _rank_run(
    entries: Any,
    start: int,
    stop: int,
    rows: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any] | None,
    below: NDArray[Any],
    own_ties: NDArray[Any],
    tied: NDArray[Any],
    n_tied: NDArray[Any],
) -> None:
    """Walk along the sorted entries from ``start`` to ``stop``."""
    first = np.uint64(start)
    while first < np.uint64(stop):
        last = end_of_tie(entries, first, np.uint64(stop))
        if last - first == np.uint64(1):
            code = code_at(entries, first)
            row = rows[code]
            if row >= 0:
                _add_row(twice_u[np.uint64(row)], np.int64(1), below)
            below[code] += 2
            first = last
            continue
        n_groups = 0
        while first < last:
            tied[n_groups] = code_at(entries, first)
            begin = first
            first = end_of_group(entries, first, last)
            n_tied[n_groups] = np.int64(first - begin)
            n_groups += 1
        _rank_tie(n_groups, rows, twice_u, tie_sums, below, own_ties, tied, n_tied)


@inner_kernel
def _rank_tie(
    n_groups: int,
    rows: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any] | None,
    below: NDArray[Any],
    own_ties: NDArray[Any],
    tied: NDArray[Any],
    n_tied: NDArray[Any],
) -> None:
    """Rank the cells of one value: ``n_tied`` of each of the first ``n_groups`` groups that are ``tied``."""
    for i in range(np.uint64(n_groups)):
        below[tied[i]] += n_tied[i]
    for i in range(np.uint64(n_groups)):
        row = rows[tied[i]]
        if row >= 0:
            _add_row(twice_u[np.uint64(row)], n_tied[i], below)
            # Numba compiles only the branch for the type of tie_sums.
            if tie_sums is not None:
                _add_shared_ties(tie_sums[np.uint64(row)], n_tied[i], n_groups, tied, n_tied)
    for i in range(np.uint64(n_groups)):
        below[tied[i]] += n_tied[i]
        own_ties[tied[i]] += tie_term(own_ties.dtype.type(n_tied[i]))


@inner_kernel
def _add_row(row: NDArray[Any], n_cells: int, below: NDArray[Any]) -> None:
    for code in range(np.uint64(below.size)):
        row[code] += n_cells * below[code]


@inner_kernel
def _add_shared_ties(row: NDArray[Any], n_cells: int, n_groups: int, tied: NDArray[Any], n_tied: NDArray[Any]) -> None:
    n = row.dtype.type(n_cells)
    for i in range(np.uint64(n_groups)):
        t = row.dtype.type(n_tied[i])
        row[tied[i]] += 3 * n * t * (n + t)


@inner_kernel
def _add_own_ties(rows: NDArray[Any], tie_sums: NDArray[Any], own_ties: NDArray[Any]) -> None:
    for code in range(np.uint64(rows.size)):
        if rows[code] >= 0:
            row = tie_sums[np.uint64(rows[code])]
            for other in range(np.uint64(rows.size)):
                row[other] += own_ties[code] + own_ties[other]
