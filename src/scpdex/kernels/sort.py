"""Sort: the entries of one gene into ascending key order, stable, by a radix sort on the keys' varying bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._jit import kernel

# Digits of at most this many bits: two passes order log-normalised float32, and the histogram stays in cache.
RADIX_BITS = 13

_INSERTION_SORT_BELOW = 48


@kernel
def _insertion_sort(entries: NDArray[Any]) -> None:
    for i in range(1, entries.size):
        key = entries[i].key
        code = entries[i].code
        j = i
        while j > 0 and entries[j - 1].key > key:
            entries[j] = entries[j - 1]
            j -= 1
        entries[j].key = key
        entries[j].code = code


@kernel
def _bit_length(x: Any) -> int:
    bits = 0
    while x > 0:
        x >>= type(x)(1)
        bits += 1
    return bits


@kernel
def sort_entries(entries: NDArray[Any], spare: NDArray[Any], histogram: NDArray[Any]) -> NDArray[Any]:
    """Sort by key and return the sorted array, which is one of the two given; both are overwritten.

    ``histogram`` holds ``2**RADIX_BITS`` integers. Keys are shifted to start at 0 and to lose the low bits that
    all of them share, so that narrow ranges and whole numbers take fewer passes.
    """
    n = entries.size
    if n < _INSERTION_SORT_BELOW:
        _insertion_sort(entries)
        return entries
    first = entries[0].key
    lowest = first
    highest = first
    varying = first ^ first
    for i in range(n):
        key = entries[i].key
        lowest = min(lowest, key)
        highest = max(highest, key)
        varying |= key ^ first
    if varying == 0:
        return entries
    shared = _bit_length(varying & (~varying + type(varying)(1))) - 1
    bits = _bit_length((highest - lowest) >> type(lowest)(shared))
    # A histogram much longer than the gene would cost more than a further pass.
    passes = -(-bits // min(RADIX_BITS, max(8, _bit_length(n))))
    width = -(-bits // passes)
    mask = (np.int64(1) << width) - 1
    source = entries
    target = spare[:n]
    for p in range(passes):
        shift = type(lowest)(shared + p * width)
        histogram[: mask + 1] = 0
        for i in range(n):
            histogram[np.int64((source[i].key - lowest) >> shift) & mask] += 1
        position = 0
        for digit in range(mask + 1):
            count = histogram[digit]
            histogram[digit] = position
            position += count
        for i in range(n):
            digit = np.int64((source[i].key - lowest) >> shift) & mask
            target[histogram[digit]] = source[i]
            histogram[digit] += 1
        source, target = target, source
    return source
