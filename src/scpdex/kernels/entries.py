"""The entry: one non-zero of a gene as a sortable key beside the group code of its cell.

Entries come in two layouts. Narrow ones, for values that float32 holds, are an array of uint64 with the 32-bit key
above the code. Wide ones, for float64, are a tuple of two arrays: keys (uint64) and codes (uint32). The functions
below are all that kernels know of the layouts; each has a plain form and, for Numba, a compiled one. (Arrays of
records would do for both, but Numba names their types by a number that differs from process to process, so that
cached kernels which use them get linked to the wrong code.)
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

# What a float32 holds exactly is ranked as float32; all else as float64.
_FLOAT32_HOLDS = ("bool", "int8", "int16", "uint8", "uint16", "float32")

_CODE_BITS = np.uint64(32)
_CODE = np.uint64((1 << 32) - 1)


def is_wide(values: np.dtype[Any]) -> bool:
    """Tell whether values of this dtype need wide entries."""
    return values.name not in _FLOAT32_HOLDS


def entry_bytes(*, wide: bool) -> int:
    """Memory of one entry."""
    return 12 if wide else 8


def new_entries(n: int, *, wide: bool) -> Any:
    """Allocate room for ``n`` entries; the memory is touched only when it is used."""
    if wide:
        return np.empty(n, dtype=np.uint64), np.empty(n, dtype=np.uint32)
    return np.empty(n, dtype=np.uint64)


def as_real(value: Any) -> Any:
    """Convert a matrix element to the float that it is ranked as."""
    return np.float64(value) if is_wide(np.dtype(type(value))) else np.float32(value)


def to_key(real: Any) -> Any:
    """Map a float to the unsigned integer that has the same order.

    The bits of an IEEE 754 number order like an unsigned integer once the sign is handled: all bits of a
    negative number are flipped, and the sign bit of any other.
    """
    sign = _sign_bit(real.itemsize)
    bits = real.view(sign.dtype)
    return ~bits if bits & sign else bits | sign


def to_real(key: Any) -> Any:
    """Map a key back to its float: the inverse of :func:`to_key`."""
    sign = _sign_bit(key.itemsize)
    bits = key ^ sign if key & sign else ~key
    return bits.view(np.dtype(f"f{key.itemsize}"))


def is_negative(key: Any) -> bool:
    """Tell whether a key stands for a number below zero."""
    return not key & _sign_bit(key.itemsize)


def key_at(entries: Any, i: int) -> Any:
    """Key of an entry."""
    return np.uint32(entries[i] >> _CODE_BITS) if isinstance(entries, np.ndarray) else entries[0][i]


def code_at(entries: Any, i: int) -> Any:
    """Group code of an entry, unsigned: an index that Numba need not check for counting from the end."""
    return entries[i] & _CODE if isinstance(entries, np.ndarray) else entries[1][i]


def put(entries: Any, i: Any, key: Any, code: Any) -> None:
    """Write an entry."""
    if isinstance(entries, np.ndarray):
        entries[i] = np.uint64(key) << _CODE_BITS | np.uint64(code)
    else:
        entries[0][i] = key
        entries[1][i] = code


def part(entries: Any, start: int, stop: int) -> Any:
    """Entries from ``start`` to ``stop``, on the same memory."""
    if isinstance(entries, np.ndarray):
        return entries[start:stop]
    return entries[0][start:stop], entries[1][start:stop]


def n_entries(entries: Any) -> int:
    """Count the entries."""
    return entries.size if isinstance(entries, np.ndarray) else entries[0].size


def _sign_bit(n_bytes: int) -> Any:
    return np.dtype(f"u{n_bytes}").type(1 << (8 * n_bytes - 1))


@overload(as_real)
def _as_real(value):
    if value.name.removesuffix("ean") in _FLOAT32_HOLDS:
        return lambda value: np.float32(value)
    return lambda value: np.float64(value)


@overload(to_key)
def _to_key(real):
    if real == types.float32:

        def to_key_32(real):
            bits = np.float32(real).view(np.uint32)
            return np.uint32(~bits) if bits >> np.uint32(31) else np.uint32(bits | np.uint32(1 << 31))

        return to_key_32

    def to_key_64(real):
        bits = np.float64(real).view(np.uint64)
        return ~bits if bits >> np.uint64(63) else bits | np.uint64(1 << 63)

    return to_key_64


@overload(to_real)
def _to_real(key):
    if key == types.uint32:

        def to_real_32(key):
            bits = key ^ np.uint32(1 << 31) if key >> np.uint32(31) else ~key
            return np.uint32(bits).view(np.float32)

        return to_real_32

    def to_real_64(key):
        bits = key ^ np.uint64(1 << 63) if key >> np.uint64(63) else ~key
        return np.uint64(bits).view(np.float64)

    return to_real_64


@overload(is_negative)
def _is_negative(key):
    if key == types.uint32:
        return lambda key: key >> np.uint32(31) == 0
    return lambda key: key >> np.uint64(63) == 0


@overload(key_at)
def _key_at(entries, i):
    if isinstance(entries, types.Array):
        return lambda entries, i: np.uint32(entries[i] >> _CODE_BITS)
    return lambda entries, i: entries[0][i]


@overload(code_at)
def _code_at(entries, i):
    if isinstance(entries, types.Array):
        return lambda entries, i: entries[i] & _CODE
    return lambda entries, i: np.uint64(entries[1][i])


@overload(put)
def _put(entries, i, key, code):
    if isinstance(entries, types.Array):

        def put_narrow(entries, i, key, code):
            entries[i] = np.uint64(key) << _CODE_BITS | np.uint64(code)

        return put_narrow

    def put_wide(entries, i, key, code):
        entries[0][i] = key
        entries[1][i] = code

    return put_wide


@overload(part)
def _part(entries, start, stop):
    if isinstance(entries, types.Array):
        return lambda entries, start, stop: entries[start:stop]
    return lambda entries, start, stop: (entries[0][start:stop], entries[1][start:stop])


@overload(n_entries)
def _n_entries(entries):
    if isinstance(entries, types.Array):
        return lambda entries: entries.size
    return lambda entries: entries[0].size
