"""Key ranges: between which keys the values of each gene lie, and in which bits these keys differ."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel, kernel
from scpdex.kernels.keys import is_negative, to_real


class KeyRanges(NamedTuple):
    """What is known of the keys of each gene of a block. It holds for any of these keys, such as those of one level."""

    lowest: NDArray[np.uint64]
    """Lowest key."""
    shared: NDArray[np.uint64]
    """Number of low bits that all keys share."""
    bits: NDArray[np.int64]
    """Number of significant bits: those of the highest key less the lowest one, above the shared bits."""
    of_one_sign: NDArray[np.bool_]
    """Whether all values are negative, or none is."""


def measure_keys(
    keys: NDArray[Any], starts: NDArray[np.int64], counts: NDArray[np.uint32]
) -> tuple[KeyRanges, NDArray[np.float64]]:
    """Measure the key range of each gene, and give its highest value, or 0 if that is higher.

    Gene ``g`` has ``counts[g]`` keys from ``starts[g]``. Narrow ranges and whole numbers have few significant bits.
    """
    n = starts.size
    ranges = KeyRanges(
        np.empty(n, dtype=np.uint64),
        np.empty(n, dtype=np.uint64),
        np.empty(n, dtype=np.int64),
        np.empty(n, dtype=np.bool_),
    )
    highest_values = np.empty(n)
    _measure_keys(keys, starts, counts, *ranges, highest_values)
    return ranges, highest_values


@kernel
def _measure_keys(
    keys: NDArray[Any],
    starts: NDArray[Any],
    counts: NDArray[Any],
    lowest: NDArray[Any],
    shared: NDArray[Any],
    bits: NDArray[Any],
    of_one_sign: NDArray[Any],
    highest_values: NDArray[Any],
) -> None:
    for g in range(starts.size):
        first = np.uint64(starts[g])
        low = keys.dtype.type(0)
        high = low
        varying = low
        if counts[g] > 0:
            low = keys[first]
            high = low
            # A loop over positions compares several keys at a time.
            for i in range(np.uint64(counts[g])):
                key = keys[first + i]
                # Numba's own min and max take as long to compile as this kernel.
                low = key if key < low else low  # noqa: FURB136
                high = key if key > high else high  # noqa: FURB136
                varying |= key ^ keys[first]
        lowest[g] = low
        differing = np.uint64(varying)
        shared[g] = bit_length(differing & (~differing + np.uint64(1))) - 1 if differing > 0 else 0
        bits[g] = max(1, bit_length(np.uint64(high - low) >> shared[g]))
        of_one_sign[g] = is_negative(low) == is_negative(high)
        value = np.float64(to_real(high))
        highest_values[g] = value if counts[g] > 0 and value > 0 else 0.0


@inner_kernel
def bit_length(x: Any) -> int:
    """Count the bits of a uint64 from the highest one that is set."""
    bits = 0
    while x > 0:
        x >>= np.uint64(1)
        bits += 1
    return bits
