"""Group slices: neighbouring groups that are read and written together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

# A slice of the columns of matrices then fills whole cache lines.
GROUPS_PER_SLICE = 16


def cut_groups(n_groups: int, length: int = GROUPS_PER_SLICE) -> Iterator[slice]:
    """Cut groups into slices of ``length``, the last of which may be shorter."""
    return (slice(start, min(start + length, n_groups)) for start in range(0, n_groups, length))


def float_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Choose the type that kernels take for stored numbers, which files and converters may have changed."""
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize <= np.float32().itemsize else np.float64)
