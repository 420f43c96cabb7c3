"""Tables: the values of a gene that has few distinct ones, such as counts, are counted and ranked without a sort."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel
from scpdex.kernels.digits import clear
from scpdex.kernels.keys import is_negative
from scpdex.kernels.ties import cubed_minus


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
    worth: NDArray[Any],
    twice_u: NDArray[Any],
    tie_sums: NDArray[Any],
) -> Any:
    """Rank a gene whose keys are of one digit; adds and returns what :func:`scpdex.kernels.rank_by_sort.walk` does.

    ``histograms`` holds in its first row, against the rest, how often each value occurs, and zeros in its last; it is
    overwritten but for these. ``worth`` is scratch.
    """
    n_values = np.uint64(1 << width)
    counting = histograms[0]
    if reference >= 0:
        clear(counting, n_values)
        for i in range(np.uint64(ends[reference - 1]), np.uint64(ends[reference])):
            counting[np.uint64(keys[i] - lowest) >> shared] += np.uint32(1)

    below = np.int64(0)
    worth_of_zeros = np.int64(-1)
    ties = cubed_minus(tie_sums.dtype.type(n_zeros))
    for value in range(n_values):
        if worth_of_zeros < 0 and not is_negative(keys.dtype.type(lowest + (np.uint64(value) << shared))):
            worth_of_zeros = 2 * below + n_zeros
            below += n_zeros
        worth[value] = 2 * below + counting[value]
        below += counting[value]
        ties += cubed_minus(tie_sums.dtype.type(counting[value]))
    if worth_of_zeros < 0:
        worth_of_zeros = 2 * below + n_zeros

    i = np.uint64(0)
    for code in range(np.uint64(ends.size)):
        total = np.int64(0)
        end = np.uint64(ends[code])
        while i < end:
            total += worth[np.uint64(keys[i] - lowest) >> shared]
            i += np.uint64(1)
        twice_u[code] += total
    if reference >= 0 and tie_sums.size > 0:
        _tie_with_reference(keys, ends, lowest, shared, counting, histograms[3], tie_sums)
    return worth_of_zeros, ties


@inner_kernel
def _tie_with_reference(
    keys: NDArray[Any],
    ends: NDArray[Any],
    lowest: Any,
    shared: Any,
    counting: NDArray[Any],
    seen: NDArray[Any],
    tie_sums: NDArray[Any],
) -> None:
    """Add by how much the cells of each group raise the reference's tie sum.

    As they join a tie one by one, each that finds ``t`` cells there raises it by ``(t + 1)**3 - (t + 1) - (t**3 - t)``,
    which is ``3 t (t + 1)``. ``seen`` is scratch, zero for each value, and left so.
    """
    i = np.uint64(0)
    for code in range(np.uint64(ends.size)):
        first = i
        total = tie_sums.dtype.type(0)
        while i < np.uint64(ends[code]):
            value = np.uint64(keys[i] - lowest) >> shared
            t = tie_sums.dtype.type(counting[value] + seen[value])
            total += 3 * t * (t + 1)
            seen[value] += np.uint32(1)
            i += np.uint64(1)
        for j in range(first, i):
            seen[np.uint64(keys[j] - lowest) >> shared] = 0
        tie_sums[code] += total
