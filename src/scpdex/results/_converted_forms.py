"""Converted forms: values, names, records and tables whose types a file or a converter changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Columns in which data frames of R and pandas keep the names of their rows.
_ROW_NAMES = ("index", "_index", "rownames")


def read_bool(value: Any) -> bool:
    """Read a bool, which converters may write as text."""
    return value.strip().lower() in {"true", "t", "1"} if isinstance(value, str) else bool(value)


def read_names(value: Any) -> tuple[str, ...]:
    """Read a list of names; converters write a list of one name as text."""
    if value is None:
        return ()
    names = [value] if isinstance(value, str | bytes) else np.ravel(np.asarray(value, dtype=object)).tolist()
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)


def read_columns(value: Any) -> dict[str, NDArray[Any]] | None:
    """Read records, which may have become a data frame or a mapping, as an array for each group.

    None stands for what has no columns of one length.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.names is None:
            return None
        return {name: value[name] for name in value.dtype.names}
    if isinstance(value, pd.DataFrame | Mapping):
        columns = {str(name): np.asarray(column) for name, column in value.items()}
        columns = {name: column for name, column in columns.items() if not _are_row_names(name, column)}
        shapes = {column.shape for column in columns.values()}
        return columns if len(shapes) == 1 and len(next(iter(shapes))) == 1 else None
    return None


def _are_row_names(name: str, column: NDArray[Any]) -> bool:
    """Tell whether a column holds the row names of a data frame, numbers from 0 or 1 up, and is no group."""
    if name not in _ROW_NAMES or column.ndim != 1:
        return False
    spellings = [str(value) for value in column.tolist()]
    return any(spellings == [str(first + i) for i in range(len(spellings))] for first in (0, 1))


def read_table(value: Any) -> pd.DataFrame | None:
    """Read a table, genes x groups, which may have become records or a mapping; None if it is not one."""
    if isinstance(value, pd.DataFrame):
        return value
    columns = read_columns(value)
    if columns is None:
        return None
    index = next((columns.pop(name) for name in _ROW_NAMES if name in columns), None)
    return pd.DataFrame(columns, index=index)
