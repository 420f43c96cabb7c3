"""Group slices: neighbouring groups that are read and written together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

# A slice of the columns of matrices then fills whole cache lines.
GROUPS_PER_SLICE = 16


def cut_groups(n_groups: int) -> Iterator[slice]:
    """Cut groups into slices."""
    return (slice(start, min(start + GROUPS_PER_SLICE, n_groups)) for start in range(0, n_groups, GROUPS_PER_SLICE))


def float_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Choose the type that kernels take for stored numbers, which files and converters may have changed."""
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize <= np.float32().itemsize else np.float64)
