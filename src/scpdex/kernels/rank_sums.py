"""Rank sums: from the keys of a gene to Mann-Whitney's U and the tie sum of every group, in integers.

All groups are ranked at once, among the *counted* cells: all cells against the rest, else the cells of the reference.
``twice_midrank`` of a value is twice the number of counted cells below it plus the number tied with it: twice its
midrank, less 1 where the value is counted itself. Its sum over the cells of a group is 2 U, a whole number, plus the
square of the group's size where the group is counted itself. Zeros have no key: they are one tie of known size between
negative and positive values.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel, kernel
from scpdex.kernels.digits import RADIX_BITS
from scpdex.kernels.entries import new_entries
from scpdex.kernels.key_ranges import KeyRanges
from scpdex.kernels.radix_sort import FEW, sort_gene
from scpdex.kernels.rank_by_buckets import HIGH_BITS, fit_buckets, rank_by_buckets
from scpdex.kernels.rank_by_sort import rank_by_sort
from scpdex.kernels.rank_by_table import fit_table, rank_by_table
from scpdex.kernels.tie_sums import complete_tie_sums


def new_scratch(longest: int, *, wide: bool) -> tuple[Any, Any, Any, Any, Any]:
    """Allocate the scratch of :func:`rank_sums` for genes of up to ``longest`` keys; memory is touched on use only.

    Two buffers for entries, one for packed entries, four histograms, of which the last is zero, and a table of twice
    the midrank of each distinct value.
    """
    return (
        new_entries(longest, wide=wide),
        new_entries(longest, wide=wide),
        np.empty(longest, dtype=np.uint32),
        np.zeros((4, 1 << HIGH_BITS), dtype=np.uint32),
        np.empty(1 << RADIX_BITS, dtype=np.int64),
    )


def rank_sums(
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
    scratch: tuple[Any, Any, Any, Any, Any],
) -> None:
    """Rank each gene of a block.

    A gene of few distinct values, such as counts, is ranked by a table of these, one of many by buckets, and one of a
    wide range by a sort: the numbers are the same. Each way is a kernel, which is compiled when a gene first takes it,
    and for the rest or a reference, with tie sums or without them.

    Parameters
    ----------
    keys, starts, ends
        Gene ``g`` owns the keys from ``starts[g]``; relative to that, its group ``c`` ends at ``ends[g, c]``.
    ranges
        Key range of each gene, from :func:`scpdex.kernels.key_ranges.measure_keys`.
    sizes
        Cells of each group. The code of a group is its position here.
    zeros
        Cells of each group that have no key, genes x groups.
    reference
        Code of the reference group, which is the last one; None compares each group with all other cells.
    sums
        Output: sum of values of each group, genes x groups.
    twice_u
        Output: 2 U, genes x groups.
    tie_sums
        Output: the sums of t**3 - t over the ties, ``int64`` where these fit (fewer than 2**21 cells) or else
        ``float64``; genes x 1 against the rest, genes x groups against a reference; None to leave them out.
    scratch
        From :func:`new_scratch`.
    """
    entries, spare_entries, packed, histograms, twice_midrank = scratch
    n_keys = ends[:, -1]
    many = n_keys >= FEW
    by_table = many & fit_table(n_keys, ranges)
    by_buckets = many & ~by_table & fit_buckets(n_keys, sizes.size, ranges)
    if reference is not None and tie_sums is not None:
        by_buckets[:] = False
    n_zeros = count_zeros(zeros, reference)
    twice_midrank_of_zero = np.empty_like(n_zeros)
    ties = None
    twice_u[:] = 0
    if tie_sums is not None:
        ties = np.empty(n_keys.size, dtype=tie_sums.dtype)
        tie_sums[:] = 0
    block = (keys, starts, ends, ranges.lowest, ranges.shared, ranges.bits, n_zeros, reference)
    outputs = (sums, twice_u, tie_sums, twice_midrank_of_zero, ties)
    if by_table.any():
        _rank_by_table(np.flatnonzero(by_table), *block, *outputs, histograms, twice_midrank)
    if by_buckets.any():
        _rank_by_buckets(np.flatnonzero(by_buckets), *block, *outputs, histograms, packed)
    by_sort = ~(by_table | by_buckets)
    if by_sort.any():
        _rank_by_sort(np.flatnonzero(by_sort), *block, *outputs, histograms, entries, spare_entries)
    complete_rank_sums(sizes, zeros, reference, twice_midrank_of_zero, twice_u)
    if tie_sums is not None and ties is not None:
        complete_tie_sums(zeros, reference, ties, tie_sums)


def count_zeros(zeros: NDArray[np.int64], reference: int | None) -> NDArray[np.int64]:
    """Count the zeros of each gene among the counted cells, given those of each group, genes x groups."""
    return np.ascontiguousarray(zeros.sum(axis=1) if reference is None else zeros[:, reference])


def complete_rank_sums(
    sizes: NDArray[np.int64],
    zeros: NDArray[np.int64],
    reference: int | None,
    twice_midrank_of_zero: NDArray[np.int64],
    twice_u: NDArray[np.int64],
) -> None:
    """Add the zeros of each group to its rank sum, and subtract the pairs within the group where it is counted."""
    twice_u += zeros * twice_midrank_of_zero[:, None]
    if reference is None:
        twice_u -= sizes * sizes


@kernel
def _rank_by_table(
    genes: NDArray[Any],
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    lowest: NDArray[Any],
    shared: NDArray[Any],
    bits: NDArray[Any],
    n_zeros: NDArray[Any],
    reference: int | None,
    sums: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any] | None,
    twice_midrank_of_zero: NDArray[Any],
    ties: NDArray[Any] | None,
    histograms: NDArray[Any],
    twice_midrank: NDArray[Any],
) -> None:
    for g in genes:
        midrank, tie_sum = rank_by_table(
            keys[starts[g] : starts[g] + np.int64(ends[g, -1])],
            ends[g],
            lowest[g],
            shared[g],
            bits[g],
            n_zeros[g],
            reference,
            sums[g],
            histograms,
            twice_midrank,
            twice_u[g],
            _row(tie_sums, g),
        )
        twice_midrank_of_zero[g] = midrank
        if ties is not None:
            ties[g] = tie_sum


@kernel
def _rank_by_buckets(
    genes: NDArray[Any],
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    lowest: NDArray[Any],
    shared: NDArray[Any],
    bits: NDArray[Any],
    n_zeros: NDArray[Any],
    reference: int | None,
    sums: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any] | None,
    twice_midrank_of_zero: NDArray[Any],
    ties: NDArray[Any] | None,
    histograms: NDArray[Any],
    packed: NDArray[Any],
) -> None:
    for g in genes:
        midrank, tie_sum = rank_by_buckets(
            keys[starts[g] : starts[g] + np.int64(ends[g, -1])],
            ends[g],
            lowest[g],
            shared[g],
            bits[g],
            n_zeros[g],
            reference,
            sums[g],
            histograms,
            packed,
            twice_u[g],
            _row(tie_sums, g),
        )
        twice_midrank_of_zero[g] = midrank
        if ties is not None:
            ties[g] = tie_sum


@kernel
def _rank_by_sort(
    genes: NDArray[Any],
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    lowest: NDArray[Any],
    shared: NDArray[Any],
    bits: NDArray[Any],
    n_zeros: NDArray[Any],
    reference: int | None,
    sums: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any] | None,
    twice_midrank_of_zero: NDArray[Any],
    ties: NDArray[Any] | None,
    histograms: NDArray[Any],
    entries: Any,
    spare_entries: Any,
) -> None:
    for g in genes:
        gene = keys[starts[g] : starts[g] + np.int64(ends[g, -1])]
        in_order = sort_gene(gene, ends[g], lowest[g], shared[g], bits[g], sums[g], histograms, entries, spare_entries)
        midrank, tie_sum = rank_by_sort(in_order, gene.size, n_zeros[g], reference, twice_u[g], _row(tie_sums, g))
        twice_midrank_of_zero[g] = midrank
        if ties is not None:
            ties[g] = tie_sum


@inner_kernel
def _row(tie_sums: NDArray[Any] | None, g: int) -> Any:
    """Give the tie sums of gene ``g``, if these are asked for."""
    return None if tie_sums is None else tie_sums[g]
