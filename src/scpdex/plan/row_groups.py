"""Row groups: the rows of a long table that are encoded together for a file, and the bytes that they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

# Positions of the level, the group and the gene of a row.
_POSITION_BYTES = 3 * 4
# A row on its way to the file: its columns in the order of the rows, as a table, and encoded; and the name of its gene.
_COPIES_OF_ROW = 3
_NAME_BYTES_PER_ROW = 40
# Fewer rows make a larger file, more do not make a smaller one.
_MOST_ROWS = 1 << 20
_LEAST_ROWS = 1 << 13


def bytes_per_row(fields: Mapping[str, Any]) -> int:
    """Bytes of a row with such fields, by their dtypes, before it is encoded."""
    return _POSITION_BYTES + sum(int(np.dtype(dtype).itemsize) for dtype in fields.values())


def rows_per_row_group(row_bytes: int, max_bytes: int) -> int:
    """Rows of the long table that are encoded together: as many as fit a sixteenth of ``max_bytes``, within bounds."""
    fitting = max_bytes // (16 * _bytes_per_encoded_row(row_bytes))
    return max(_LEAST_ROWS, min(fitting, _MOST_ROWS))


def row_group_bytes(row_bytes: int, max_bytes: int) -> int:
    """Bytes of the rows that are encoded together; 0 where the result stays in memory, and rows have no bytes."""
    if not row_bytes:
        return 0
    return rows_per_row_group(row_bytes, max_bytes) * _bytes_per_encoded_row(row_bytes)


def _bytes_per_encoded_row(row_bytes: int) -> int:
    return _COPIES_OF_ROW * row_bytes + _NAME_BYTES_PER_ROW
