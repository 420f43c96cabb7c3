"""Walk: from the sorted entries of a gene to Mann-Whitney's U and the tie sum of every group, in integers.

All statistics are held twofold, as ``2 U``, so that midranks stay whole numbers. Cells without an entry are zeros:
one tie of known size between the negative and the positive values.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._jit import kernel
from scpdex.kernels.entries import code_at, is_negative, key_at, n_entries, part
from scpdex.kernels.sort import sort_entries


@kernel
def _cubed_minus(t: Any) -> Any:
    return t * t * t - t


@kernel
def _walk_vs_rest(
    entries: Any, sizes: NDArray[Any], nonzero: NDArray[Any], twice_u: NDArray[Any], tie_sums: NDArray[Any]
) -> None:
    """Write 2 U of each group against all other cells to ``twice_u``, the gene's tie sum to ``tie_sums[0]``."""
    n = n_entries(entries)
    n_zeros = sizes.sum() - n
    tie_sum = _cubed_minus(tie_sums.dtype.type(n_zeros))
    twice_u[:] = 0
    zeros_below = 0
    first = 0
    n_negative = 0
    while first < n:
        key = key_at(entries, first)
        last = first + 1
        while last < n and key_at(entries, last) == key:
            last += 1
        if is_negative(key):
            n_negative = last
        else:
            zeros_below = n_zeros
        twice_midrank = 2 * (first + zeros_below) + (last - first) + 1
        for i in range(first, last):
            twice_u[code_at(entries, i)] += twice_midrank
        if last - first > 1:
            tie_sum += _cubed_minus(tie_sums.dtype.type(last - first))
        first = last
    twice_midrank_of_zeros = 2 * n_negative + n_zeros + 1
    for g in range(sizes.size):
        twice_u[g] += (sizes[g] - nonzero[g]) * twice_midrank_of_zeros - sizes[g] * (sizes[g] + 1)
    tie_sums[0] = tie_sum


@kernel
def _walk_vs_reference(
    entries: Any,
    sizes: NDArray[Any],
    nonzero: NDArray[Any],
    reference: int,
    seen: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any],
) -> None:
    """Write 2 U of each group against the reference cells, and the tie sum of each such pair.

    Going up, a cell of a group adds twice the reference cells below it, plus those in its own tie. A tie of ``r``
    reference and ``c`` group cells has the tie sum of the reference's ``r`` plus, as the group's cells join one by
    one, ``(t + 1)**3 - (t + 1) - (t**3 - t) = 3 t (t + 1)`` for each that found ``t`` there. ``tie_sums`` of size 0
    asks for no tie sums. ``seen`` is scratch, one zero per group, and is left so.
    """
    n = n_entries(entries)
    with_ties = tie_sums.size > 0
    reference_zeros = sizes[reference] - nonzero[reference]
    reference_negative = 0
    reference_below = 0
    reference_tie_sum = _cubed_minus(tie_sums.dtype.type(reference_zeros))
    above_zero = False
    twice_u[:] = 0
    tie_sums[:] = 0
    first = 0
    while first < n:
        key = key_at(entries, first)
        last = first + 1
        in_tie = np.int64(code_at(entries, first) == reference)
        while last < n and key_at(entries, last) == key:
            in_tie += code_at(entries, last) == reference
            last += 1
        if not above_zero and not is_negative(key):
            above_zero = True
            reference_negative = reference_below
            reference_below += reference_zeros
        twice_below = 2 * reference_below + in_tie
        if with_ties and last - first > 1:
            reference_tie_sum += _cubed_minus(tie_sums.dtype.type(in_tie))
            for i in range(first, last):
                code = code_at(entries, i)
                twice_u[code] += twice_below
                t = tie_sums.dtype.type(in_tie + seen[code])
                tie_sums[code] += 3 * t * (t + 1)
                seen[code] += 1
            for i in range(first, last):
                seen[code_at(entries, i)] = 0
        else:
            for i in range(first, last):
                twice_u[code_at(entries, i)] += twice_below
        reference_below += in_tie
        first = last
    if not above_zero:
        reference_negative = reference_below
    twice_below_zeros = 2 * reference_negative + reference_zeros
    for g in range(sizes.size):
        twice_u[g] += (sizes[g] - nonzero[g]) * twice_below_zeros
    if with_ties:
        for g in range(sizes.size):
            with_group = tie_sums.dtype.type(reference_zeros + sizes[g] - nonzero[g])
            tie_sums[g] += reference_tie_sum + (
                _cubed_minus(with_group) - _cubed_minus(tie_sums.dtype.type(reference_zeros))
            )


@kernel
def rank_sums(
    entries: Any,
    starts: NDArray[Any],
    lengths: NDArray[Any],
    sizes: NDArray[Any],
    nonzero: NDArray[Any],
    reference: int,
    spare: Any,
    histogram: NDArray[Any],
    seen: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any],
) -> None:
    """Sort and walk each gene of a run: 2 U and tie sums of all groups; entries are reordered on the way.

    Parameters
    ----------
    entries, starts, lengths
        The gene block.
    sizes
        Cells of each group, ``int64``. Groups' codes are positions here.
    nonzero
        Non-zero cells, genes x groups.
    reference
        Code of the reference group, or -1 to compare each group with all other cells.
    spare, histogram, seen
        Scratch: as many entries as the longest gene has, ``2**RADIX_BITS`` integers, a zero per group.
    twice_u
        Written: genes x groups, ``int64``.
    tie_sums
        Written: the sums of t**3 - t over the ties, ``int64`` where these fit (fewer than 2**21 cells) or else
        ``float64``; genes x 1 against the rest, genes x groups against a reference, genes x 0 to do without there.
    """
    for g in range(starts.size):
        gene = part(entries, starts[g], starts[g] + lengths[g])
        ordered = sort_entries(gene, spare, histogram)
        if reference < 0:
            _walk_vs_rest(ordered, sizes, nonzero[g], twice_u[g], tie_sums[g])
        else:
            _walk_vs_reference(ordered, sizes, nonzero[g], reference, seen, twice_u[g], tie_sums[g])
