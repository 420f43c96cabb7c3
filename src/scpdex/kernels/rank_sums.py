"""Rank sums: from the keys of a gene to Mann-Whitney's U and the tie sum of every group, in integers.

All groups are ranked together. The cells that count are all cells, or those of the reference; each value is worth
twice the counting cells below it plus those tied with it. Summed over the cells of a group that is 2 U, a whole number,
plus the square of the group's size where its own cells count. Zeros have no key: they are one tie of known size
between negative and positive values.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._jit import kernel
from scpdex.kernels.moments import group_sums
from scpdex.kernels.sort import choose_digits, sort_entries, sort_few, span
from scpdex.kernels.tables import rank_by_table, sum_and_count
from scpdex.kernels.ties import conclude
from scpdex.kernels.walk import walk

# Inserting so few values one by one is faster than counting their digits.
_FEW = 48


@kernel
def rank_sums(
    keys: NDArray[Any],
    starts: NDArray[Any],
    ends: NDArray[Any],
    sizes: NDArray[Any],
    zeros: NDArray[Any],
    reference: int,
    first: Any,
    second: Any,
    histograms: NDArray[Any],
    worth: NDArray[Any],
    sums: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any],
) -> None:
    """Rank each gene of a run, one after the other while it is in the cache.

    Few distinct values, such as those of counts, are ranked by a table of them, the others by a sort: the numbers are
    the same.

    Parameters
    ----------
    keys, starts, ends
        Gene ``g`` owns the keys from ``starts[g]``; relative to that, its group ``c`` ends at ``ends[g, c]``.
    sizes
        Cells of each group, ``int64``. Groups' codes are positions here.
    zeros
        Cells of each group that have no key, genes x groups, ``int64``.
    reference
        Code of the reference group, which is the last one, or -1 to compare each group with all other cells.
    first, second, histograms, worth
        Scratch: as many entries as the longest gene has, twice; :func:`scpdex.kernels.sort.new_histograms`;
        ``2**RADIX_BITS`` integers, ``int64``.
    sums
        Written: sum of values of each group, genes x groups.
    twice_u
        Written: genes x groups, ``int64``.
    tie_sums
        Written: the sums of t**3 - t over the ties, ``int64`` where these fit (fewer than 2**21 cells) or else
        ``float64``; genes x 1 against the rest, genes x groups against a reference, genes x 0 to do without there.
    """
    for g in range(starts.size):
        gene = keys[starts[g] : starts[g] + np.int64(ends[g, -1])]
        lowest, highest, varying = span(gene)
        shared, width, n_digits = choose_digits(gene.size, lowest, highest, varying)
        few = gene.size < _FEW
        if few:
            group_sums(gene, ends[g], sums[g])
            sort_few(gene, ends[g], first)
        else:
            sum_and_count(gene, ends[g], lowest, shared, width, n_digits, sums[g], histograms)
        if n_digits == 1 and not few:
            worth_of_zeros, ties = rank_by_table(
                gene, ends[g], lowest, shared, width, zeros[g], reference, histograms, worth, twice_u[g], tie_sums[g]
            )
        else:
            entries = first
            if not few:
                entries = sort_entries(gene, ends[g], lowest, shared, width, n_digits, histograms, first, second)
            worth_of_zeros, ties = walk(entries, gene.size, zeros[g], reference, twice_u[g], tie_sums[g])
        for code in range(sizes.size):
            of_itself = sizes[code] * sizes[code] if reference < 0 else 0
            twice_u[g, code] += zeros[g, code] * worth_of_zeros - of_itself
        conclude(zeros[g], reference, ties, tie_sums[g])
