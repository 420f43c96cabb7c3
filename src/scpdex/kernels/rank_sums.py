"""Walk: from the sorted entries of a gene to Mann-Whitney's U and the tie sum of every group, in integers.

All statistics are held twofold, as ``2 U``, so that midranks stay whole numbers. Cells without an entry are zeros:
one tie of known size between the negative and the positive values.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._jit import kernel
from scpdex.kernels.entries import code_at, is_negative, key_at, n_entries, part
from scpdex.kernels.moments import scan
from scpdex.kernels.sort import sort_entries


@kernel
def _cubed_minus(t: Any) -> Any:
    return t * t * t - t


@kernel
def _first_positive(entries: Any) -> int:
    """Position of the first entry above zero: that is where the zeros are."""
    low, high = 0, n_entries(entries)
    while low < high:
        middle = (low + high) // 2
        if is_negative(key_at(entries, middle)):
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _end_of_tie(entries: Any, first: Any, stop: Any) -> Any:
    """Position after the last entry that is tied with the first."""
    key = key_at(entries, first)
    last = first + np.uint64(1)
    while last < stop and key_at(entries, last) == key:
        last += np.uint64(1)
    return last


@kernel
def _add_midranks(entries: Any, start: int, stop: int, zeros_below: int, twice_u: NDArray[Any], tie_sum: Any) -> Any:
    """Add twice its midrank to the group of each entry from ``start`` to ``stop``; give the tie sum with theirs."""
    first = np.uint64(start)
    while first < np.uint64(stop):
        last = _end_of_tie(entries, first, np.uint64(stop))
        tied = np.int64(last - first)
        twice_midrank = 2 * (np.int64(first) + zeros_below) + tied + 1
        for i in range(first, last):
            twice_u[code_at(entries, i)] += twice_midrank
        if tied > 1:
            tie_sum += _cubed_minus(type(tie_sum)(tied))
        first = last
    return tie_sum


@kernel
def _walk_vs_rest(
    entries: Any, sizes: NDArray[Any], nonzero: NDArray[Any], twice_u: NDArray[Any], tie_sums: NDArray[Any]
) -> None:
    """Write 2 U of each group against all other cells to ``twice_u``, the gene's tie sum to ``tie_sums[0]``."""
    n = n_entries(entries)
    n_zeros = sizes.sum() - n
    n_negative = _first_positive(entries)
    twice_u[:] = 0
    tie_sum = _cubed_minus(tie_sums.dtype.type(n_zeros))
    tie_sum = _add_midranks(entries, 0, n_negative, 0, twice_u, tie_sum)
    tie_sums[0] = _add_midranks(entries, n_negative, n, n_zeros, twice_u, tie_sum)
    twice_midrank_of_zeros = 2 * n_negative + n_zeros + 1
    for g in range(sizes.size):
        twice_u[g] += (sizes[g] - nonzero[g]) * twice_midrank_of_zeros - sizes[g] * (sizes[g] + 1)


@kernel
def _add_reference_below(entries: Any, start: int, stop: int, reference: Any, below: int, twice_u: NDArray[Any]) -> int:
    """Add to the group of each entry twice the reference cells below it and those in its tie; give those below all."""
    first = np.uint64(start)
    while first < np.uint64(stop):
        last = _end_of_tie(entries, first, np.uint64(stop))
        in_tie = 0
        for i in range(first, last):
            in_tie += code_at(entries, i) == reference
        for i in range(first, last):
            twice_u[code_at(entries, i)] += 2 * below + in_tie
        below += in_tie
        first = last
    return below


@kernel
def _walk_vs_reference(
    entries: Any, sizes: NDArray[Any], nonzero: NDArray[Any], reference: Any, twice_u: NDArray[Any]
) -> None:
    """Write 2 U of each group against the reference cells."""
    n_zeros = sizes[reference] - nonzero[reference]
    n_negative = _first_positive(entries)
    twice_u[:] = 0
    below = _add_reference_below(entries, 0, n_negative, reference, 0, twice_u)
    for g in range(sizes.size):
        twice_u[g] += (sizes[g] - nonzero[g]) * (2 * below + n_zeros)
    _add_reference_below(entries, n_negative, n_entries(entries), reference, below + n_zeros, twice_u)


@kernel
def _ties_with_reference(
    entries: Any,
    sizes: NDArray[Any],
    nonzero: NDArray[Any],
    reference: Any,
    seen: NDArray[Any],
    tie_sums: NDArray[Any],
) -> None:
    """Write the tie sum of each group's cells pooled with the reference cells.

    A tie of ``r`` reference and ``c`` group cells has the tie sum of the reference's ``r`` plus, as the group's cells
    join one by one, ``(t + 1)**3 - (t + 1) - (t**3 - t) = 3 t (t + 1)`` for each that found ``t`` there. ``seen`` is
    scratch, one zero per group, and is left so.
    """
    n = np.uint64(n_entries(entries))
    zeros = tie_sums.dtype.type(sizes[reference] - nonzero[reference])
    of_reference = _cubed_minus(zeros)
    tie_sums[:] = 0
    first = np.uint64(0)
    while first < n:
        last = _end_of_tie(entries, first, n)
        if last - first > np.uint64(1):
            in_tie = 0
            for i in range(first, last):
                in_tie += code_at(entries, i) == reference
            of_reference += _cubed_minus(tie_sums.dtype.type(in_tie))
            for i in range(first, last):
                code = code_at(entries, i)
                t = tie_sums.dtype.type(in_tie + seen[code])
                tie_sums[code] += 3 * t * (t + 1)
                seen[code] += 1
            for i in range(first, last):
                seen[code_at(entries, i)] = 0
        first = last
    for g in range(sizes.size):
        with_group = zeros + tie_sums.dtype.type(sizes[g] - nonzero[g])
        tie_sums[g] += of_reference + (_cubed_minus(with_group) - _cubed_minus(zeros))


@kernel
def rank_sums(
    entries: Any,
    starts: NDArray[Any],
    lengths: NDArray[Any],
    sizes: NDArray[Any],
    reference: int,
    spare: Any,
    histogram: NDArray[Any],
    seen: NDArray[Any],
    nonzero: NDArray[Any],
    sums: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any],
) -> None:
    """Scan, sort and walk each gene of a run, one after the other while it is in the cache; entries are reordered.

    Parameters
    ----------
    entries, starts, lengths
        The gene block.
    sizes
        Cells of each group, ``int64``. Groups' codes are positions here.
    reference
        Code of the reference group, or -1 to compare each group with all other cells.
    spare, histogram, seen
        Scratch: as many entries as the longest gene has, ``2**RADIX_BITS`` integers, a zero per group.
    nonzero, sums
        Written: non-zero cells (``int64``) and sum of values of each group, genes x groups.
    twice_u
        Written: genes x groups, ``int64``.
    tie_sums
        Written: the sums of t**3 - t over the ties, ``int64`` where these fit (fewer than 2**21 cells) or else
        ``float64``; genes x 1 against the rest, genes x groups against a reference, genes x 0 to do without there.
    """
    for g in range(starts.size):
        gene = part(entries, starts[g], starts[g] + lengths[g])
        span = scan(gene, nonzero[g], sums[g])
        ordered = sort_entries(gene, spare, histogram, span)
        if reference < 0:
            _walk_vs_rest(ordered, sizes, nonzero[g], twice_u[g], tie_sums[g])
        else:
            _walk_vs_reference(ordered, sizes, nonzero[g], np.uint64(reference), twice_u[g])
            if tie_sums.shape[1] > 0:
                _ties_with_reference(ordered, sizes, nonzero[g], np.uint64(reference), seen, tie_sums[g])
