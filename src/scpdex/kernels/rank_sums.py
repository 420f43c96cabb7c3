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
from scpdex.kernels.digits import RADIX_BITS, most_bits_of_digit, significant_bits, span, sum_and_count
from scpdex.kernels.entries import new_entries
from scpdex.kernels.moments import group_sums
from scpdex.kernels.radix_sort import FEW, sort_gene
from scpdex.kernels.rank_by_buckets import HIGH_BITS, LOW_BITS, fit_buckets, rank_by_buckets
from scpdex.kernels.rank_by_sort import rank_by_sort
from scpdex.kernels.rank_by_table import rank_by_table
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


@inner_kernel
def count_zeros(zeros: NDArray[Any], reference: int, twice_u: NDArray[Any]) -> Any:
    """Count the zeros of a gene among the counted cells, and set the rank sums to 0."""
    n_zeros = np.int64(0)
    for code in range(zeros.size):
        twice_u[code] = 0
        if reference < 0 or code == reference:
            n_zeros += zeros[code]
    return n_zeros


@inner_kernel
def complete_rank_sums(
    sizes: NDArray[Any], zeros: NDArray[Any], reference: int, twice_midrank_of_zero: int, twice_u: NDArray[Any]
) -> None:
    """Add the zeros of each group to its rank sum, and subtract the pairs within the group where it is counted."""
    for code in range(sizes.size):
        own_pairs = sizes[code] * sizes[code] if reference < 0 else 0
        twice_u[code] += zeros[code] * twice_midrank_of_zero - own_pairs


@kernel
def rank_sums(
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    sizes: NDArray[Any],
    zeros: NDArray[Any],
    reference: int,
    sums: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any],
    entries: Any,
    spare_entries: Any,
    packed: NDArray[Any],
    histograms: NDArray[Any],
    twice_midrank: NDArray[Any],
) -> None:
    """Rank each gene of a run, one after the other while it is in the cache.

    A gene of few distinct values, such as counts, is ranked by a table of these, one of many by buckets, and one of a
    wide range by a sort: the numbers are the same.

    Parameters
    ----------
    keys, starts, ends
        Gene ``g`` owns the keys from ``starts[g]``; relative to that, its group ``c`` ends at ``ends[g, c]``.
    sizes
        Cells of each group, ``int64``. The code of a group is its position here.
    zeros
        Cells of each group that have no key, genes x groups, ``int64``.
    reference
        Code of the reference group, which is the last one, or -1 to compare each group with all other cells.
    sums
        Output: sum of values of each group, genes x groups.
    twice_u
        Output: 2 U, genes x groups, ``int64``.
    tie_sums
        Output: the sums of t**3 - t over the ties, ``int64`` where these fit (fewer than 2**21 cells) or else
        ``float64``; genes x 1 against the rest, genes x groups against a reference, or genes x 0 to skip them there.
    entries, spare_entries, packed, histograms, twice_midrank
        Scratch, from :func:`new_scratch`.
    """
    for g in range(starts.size):
        gene = keys[starts[g] : starts[g] + np.int64(ends[g, -1])]
        n_zeros = count_zeros(zeros[g], reference, twice_u[g])
        for code in range(tie_sums.shape[1]):
            tie_sums[g, code] = 0
        lowest, highest, varying = span(gene)
        shared, bits = significant_bits(lowest, highest, varying)
        most = most_bits_of_digit(gene.size)
        few = gene.size < FEW
        if not few and bits <= most:
            if reference < 0:
                sum_and_count(gene, ends[g], lowest, shared, bits, np.int64(0), sums[g], histograms)
            else:
                group_sums(gene, ends[g], sums[g])
            twice_midrank_of_zero, ties = rank_by_table(
                gene,
                ends[g],
                lowest,
                shared,
                bits,
                n_zeros,
                reference,
                histograms,
                twice_midrank,
                twice_u[g],
                tie_sums[g],
            )
        elif not few and fit_buckets(gene.size, sizes.size, bits, keys.dtype.type(lowest), keys.dtype.type(highest)):
            high_bits = bits - LOW_BITS if reference < 0 else np.int64(0)
            sum_and_count(gene, ends[g], lowest, shared, np.int64(LOW_BITS), high_bits, sums[g], histograms)
            twice_midrank_of_zero, ties = rank_by_buckets(
                gene, ends[g], lowest, shared, bits, n_zeros, reference, histograms, packed, twice_u[g], tie_sums[g]
            )
        else:
            in_order = sort_gene(gene, ends[g], lowest, shared, bits, sums[g], histograms, entries, spare_entries)
            twice_midrank_of_zero, ties = rank_by_sort(in_order, gene.size, n_zeros, reference, twice_u[g], tie_sums[g])
        complete_rank_sums(sizes, zeros[g], reference, twice_midrank_of_zero, twice_u[g])
        complete_tie_sums(zeros[g], reference, ties, tie_sums[g])
