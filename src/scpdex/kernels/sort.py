"""Sort: the entries of one gene into ascending key order, stable, by a radix sort on the keys' varying bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._jit import kernel
from scpdex.kernels.entries import code_at, key_at, n_entries, part, put

# Digits of at most this many bits: two passes order log-normalised float32, and the histogram stays in cache.
RADIX_BITS = 13

_INSERTION_SORT_BELOW = 48


def new_histogram() -> NDArray[np.uint32]:
    """Allocate the scratch that sorting needs."""
    return np.empty(1 << RADIX_BITS, dtype=np.uint32)


@kernel
def _insertion_sort(entries: Any) -> None:
    for i in range(1, n_entries(entries)):
        key = key_at(entries, i)
        code = code_at(entries, i)
        j = i
        while j > 0 and key_at(entries, j - 1) > key:
            put(entries, j, key_at(entries, j - 1), code_at(entries, j - 1))
            j -= 1
        put(entries, j, key, code)


@kernel
def _bit_length(x: Any) -> int:
    bits = 0
    while x > 0:
        x >>= np.uint64(1)
        bits += 1
    return bits


@kernel
def sort_entries(entries: Any, spare: Any, histogram: NDArray[Any], span: Any) -> Any:
    """Sort by key and return the sorted entries, which are one of the two given; both are overwritten.

    Keys are shifted to start at 0 and to lose the low bits that all of them share, so that narrow ranges and whole
    numbers take fewer passes. ``span`` is what :func:`scpdex.kernels.moments.scan` found, ``histogram`` is scratch.
    """
    n = np.uint64(n_entries(entries))
    if n < np.uint64(_INSERTION_SORT_BELOW):
        _insertion_sort(entries)
        return entries
    lowest, highest, varying = span
    if varying == 0:
        return entries
    shared = _bit_length(varying & (~varying + np.uint64(1))) - 1
    bits = _bit_length(np.uint64(highest - lowest) >> np.uint64(shared))
    # A histogram much longer than the gene would cost more than a further pass.
    passes = -(-bits // min(RADIX_BITS, max(8, _bit_length(n))))
    width = -(-bits // passes)
    mask = np.uint64((1 << width) - 1)
    source = entries
    target = part(spare, 0, int(n))
    for p in range(passes):
        shift = np.uint64(shared + p * width)
        histogram[: mask + np.uint64(1)] = 0
        for i in range(n):
            histogram[(np.uint64(key_at(source, i) - lowest) >> shift) & mask] += np.uint32(1)
        position = np.uint32(0)
        for digit in range(1 << width):
            count = histogram[digit]
            histogram[digit] = position
            position += count
        for i in range(n):
            key = key_at(source, i)
            digit = (np.uint64(key - lowest) >> shift) & mask
            place = histogram[digit]
            put(target, place, key, code_at(source, i))
            histogram[digit] = place + np.uint32(1)
        source, target = target, source
    return source
