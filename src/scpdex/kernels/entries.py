"""Entries: a key with the group code of its cell, the form in which the values of one gene are sorted.

Entries come in two layouts. Narrow ones, for 32-bit keys, are an array of uint64 with the key above the code. Wide
ones, for 64-bit keys, are a tuple of two arrays: keys (uint64) and codes (uint32). Only the functions below depend on
the layout; each has a plain form and, for Numba, a compiled one. (Arrays of records would do for both, but Numba names
their types by a number that differs from process to process, so that cached kernels which use them get linked to the
wrong code.)
"""

from typing import Any

import numpy as np
from numba import types

from scpdex.kernels._compile import compiled_form

_CODE_BITS = np.uint64(32)
_CODE = np.uint64((1 << 32) - 1)


def new_entries(n: int, *, wide: bool) -> Any:
    """Allocate a buffer of ``n`` entries; memory is touched on use only."""
    if wide:
        return np.empty(n, dtype=np.uint64), np.empty(n, dtype=np.uint32)
    return np.empty(n, dtype=np.uint64)


def key_at(entries: Any, i: int) -> Any:
    """Read the key of an entry."""
    return np.uint32(entries[i] >> _CODE_BITS) if isinstance(entries, np.ndarray) else entries[0][i]


def code_at(entries: Any, i: int) -> Any:
    """Read the group code of an entry, unsigned: an index that Numba does not check for counting from the end."""
    return entries[i] & _CODE if isinstance(entries, np.ndarray) else entries[1][i]


def put(entries: Any, i: Any, key: Any, code: Any) -> None:
    """Write an entry."""
    if isinstance(entries, np.ndarray):
        entries[i] = np.uint64(key) << _CODE_BITS | np.uint64(code)
    else:
        entries[0][i] = key
        entries[1][i] = code


@compiled_form(key_at)
def _key_at(entries, i):
    if isinstance(entries, types.Array):
        return lambda entries, i: np.uint32(entries[i] >> _CODE_BITS)
    return lambda entries, i: entries[0][i]


@compiled_form(code_at)
def _code_at(entries, i):
    if isinstance(entries, types.Array):
        return lambda entries, i: entries[i] & _CODE
    return lambda entries, i: np.uint64(entries[1][i])


@compiled_form(put)
def _put(entries, i, key, code):
    if isinstance(entries, types.Array):

        def put_narrow(entries, i, key, code):
            entries[i] = np.uint64(key) << _CODE_BITS | np.uint64(code)

        return put_narrow

    def put_wide(entries, i, key, code):
        entries[0][i] = key
        entries[1][i] = code

    return put_wide
