"""Argsort: the positions of numbers from the highest down; equal numbers keep their order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel, kernel
from scpdex.kernels.digits import clear, counts_to_positions
from scpdex.kernels.keys import to_key

_DIGIT_BITS = 11
_FEW_DIGITS = 3
_ALL_DIGITS = 6
_MASK = np.uint64((1 << _DIGIT_BITS) - 1)


def argsort_descending(values: NDArray[Any], order: NDArray[Any]) -> None:
    """Write the positions of each row's values from the highest down; equal values, -0 and 0 too, stay in order.

    A radix sort by the upper half of the bits, which is enough for most rows, and else by all bits.
    """
    keys = np.empty(values.shape[1], dtype=np.uint64)
    spare = np.empty(values.shape[1], dtype=order.dtype)
    _argsort_rows(values, order, keys, spare, np.empty(1 << _DIGIT_BITS, dtype=np.uint32))


@kernel
def _argsort_rows(
    values: NDArray[Any], order: NDArray[Any], keys: NDArray[Any], spare: NDArray[Any], counts: NDArray[Any]
) -> None:
    for row in range(values.shape[0]):
        for i in range(keys.size):
            # Adding 0 turns -0 into 0.
            keys[i] = ~to_key(np.float64(values[row, i]) + 0.0)
        _sort_by_digits(keys, np.int64(_FEW_DIGITS), order[row], spare, counts)
        in_order = True
        for i in range(1, keys.size):
            in_order &= keys[order[row, i - 1]] <= keys[order[row, i]]
        if not in_order:
            _sort_by_digits(keys, np.int64(_ALL_DIGITS), order[row], spare, counts)


@inner_kernel
def _sort_by_digits(
    keys: NDArray[Any], n_digits: int, order: NDArray[Any], spare: NDArray[Any], counts: NDArray[Any]
) -> None:
    """Write the positions of the keys in ascending order of their highest digits; equal keys stay in order."""
    source, target = order, spare
    for digit in range(n_digits):
        shift = np.uint64(max(0, 64 - (n_digits - digit) * _DIGIT_BITS))
        clear(counts, counts.size)
        for i in range(np.uint64(keys.size)):
            counts[(keys[i] >> shift) & _MASK] += np.uint32(1)
        counts_to_positions(counts, counts.size)
        for i in range(np.uint64(keys.size)):
            position = np.uint64(i) if digit == 0 else np.uint64(source[i])
            value = (keys[position] >> shift) & _MASK
            target[counts[value]] = position
            counts[value] += np.uint32(1)
        source, target = target, source
    if n_digits % 2 == 1:
        for i in range(order.size):
            order[i] = spare[i]
