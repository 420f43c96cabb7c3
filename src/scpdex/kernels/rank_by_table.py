"""Rank by table: a gene of few distinct values, such as counts, is ranked by counting each value, without a sort."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel
from scpdex.kernels.digits import clear
from scpdex.kernels.keys import is_negative
from scpdex.kernels.tie_sums import tie_term


@inner_kernel
def rank_by_table(
    keys: NDArray[Any],
    ends: NDArray[Any],
    lowest: Any,
    shared: Any,
    width: int,
    n_zeros: int,
    reference: int,
    histograms: NDArray[Any],
    twice_midrank: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any],
) -> Any:
    """Rank a gene whose keys have one digit of ``width`` bits.

    Results are those of :func:`scpdex.kernels.rank_by_sort.rank_by_sort`. Against the rest, the first row of
    ``histograms`` holds how often each value occurs; the last row is zero, before and after. All other rows are
    overwritten. ``twice_midrank`` is scratch.
    """
    n_values = np.uint64(1 << width)
    counted = histograms[0]
    if reference >= 0:
        clear(counted, n_values)
        for i in range(np.uint64(ends[reference - 1]), np.uint64(ends[reference])):
            counted[np.uint64(keys[i] - lowest) >> shared] += np.uint32(1)

    below = np.int64(0)
    twice_midrank_of_zero = np.int64(-1)
    ties = tie_term(tie_sums.dtype.type(n_zeros))
    for value in range(n_values):
        if twice_midrank_of_zero < 0 and not is_negative(keys.dtype.type(lowest + (np.uint64(value) << shared))):
            twice_midrank_of_zero = 2 * below + n_zeros
            below += n_zeros
        twice_midrank[value] = 2 * below + counted[value]
        below += counted[value]
        ties += tie_term(tie_sums.dtype.type(counted[value]))
    if twice_midrank_of_zero < 0:
        twice_midrank_of_zero = 2 * below + n_zeros

    i = np.uint64(0)
    for code in range(np.uint64(ends.size)):
        total = np.int64(0)
        end = np.uint64(ends[code])
        while i < end:
            total += twice_midrank[np.uint64(keys[i] - lowest) >> shared]
            i += np.uint64(1)
        twice_u[code] += total
    if reference >= 0 and tie_sums.size > 0:
        _add_ties_with_reference(keys, ends, lowest, shared, counted, histograms[3], tie_sums)
    return twice_midrank_of_zero, ties


@inner_kernel
def _add_ties_with_reference(
    keys: NDArray[Any],
    ends: NDArray[Any],
    lowest: Any,
    shared: Any,
    counted: NDArray[Any],
    seen: NDArray[Any],
    tie_sums: NDArray[Any],
) -> None:
    """Add to ``tie_sums`` by how much the cells of each group raise the reference's tie sum.

    A cell that joins a tie of ``t`` cells raises it by ``(t + 1)**3 - (t + 1) - (t**3 - t)``, which is
    ``3 t (t + 1)``. ``seen`` is scratch, zero for each value before and after.
    """
    i = np.uint64(0)
    for code in range(np.uint64(ends.size)):
        first = i
        total = tie_sums.dtype.type(0)
        while i < np.uint64(ends[code]):
            value = np.uint64(keys[i] - lowest) >> shared
            t = tie_sums.dtype.type(counted[value] + seen[value])
            total += 3 * t * (t + 1)
            seen[value] += np.uint32(1)
            i += np.uint64(1)
        for j in range(first, i):
            seen[np.uint64(keys[j] - lowest) >> shared] = 0
        tie_sums[code] += total
