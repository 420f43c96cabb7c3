"""Keys: values as unsigned integers of the same order, so that kernels sort and compare one form of number."""

from typing import Any

import numpy as np
from numba import types

from scpdex.kernels._compile import compiled_form

# Values of these dtypes are ranked as float32, which holds them exactly; all others as float64.
_FLOAT32_HOLDS = ("bool", "int8", "int16", "uint8", "uint16", "float32")


def key_dtype(values: np.dtype[Any]) -> np.dtype[Any]:
    """Dtype of the keys of a matrix: ``uint32`` where float32 holds its values, else ``uint64``."""
    return np.dtype(np.uint32 if values.name in _FLOAT32_HOLDS else np.uint64)


def as_real(value: Any) -> Any:
    """Convert a matrix element to the float that it is ranked as."""
    return np.float32(value) if key_dtype(np.dtype(type(value))).itemsize == 4 else np.float64(value)


def to_key(real: Any) -> Any:
    """Map a float to the unsigned integer that has the same order.

    The bits of an IEEE 754 number order like an unsigned integer once all bits of a negative number are flipped, and
    the sign bit of any other.
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


def _sign_bit(n_bytes: int) -> Any:
    return np.dtype(f"u{n_bytes}").type(1 << (8 * n_bytes - 1))


@compiled_form(as_real)
def _as_real(value):
    if value.name.removesuffix("ean") in _FLOAT32_HOLDS:
        return lambda value: np.float32(value)
    return lambda value: np.float64(value)


@compiled_form(to_key)
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


@compiled_form(to_real)
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


@compiled_form(is_negative)
def _is_negative(key):
    if key == types.uint32:
        return lambda key: key >> np.uint32(31) == 0
    return lambda key: key >> np.uint64(63) == 0
