"""Forms: read records, tables, lists and parameters whose types a file or converter changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Parameters that list names; each other one is a single value.
_LISTS = {"apart", "exclude", "extras", "references", "skipped", "skipped_splits"}

# Columns in which data frames of R and pandas keep the names of their rows.
_ROW_NAMES = ("index", "_index", "rownames")


def read_params(entry: Any) -> dict[str, Any]:
    """Read the parameters of a result; arrays and lists of one value become that value, empty ones None."""
    params = entry.get("params") if isinstance(entry, Mapping) else None
    if isinstance(params, pd.DataFrame):
        params = dict(params.items())
    if not isinstance(params, Mapping):
        return {}
    return {str(name): value if name in _LISTS else _single(value) for name, value in params.items()}


def _single(value: Any) -> Any:
    if isinstance(value, np.ndarray | pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        value = value.tolist() if value.size <= 1 else value
    while isinstance(value, list | tuple) and len(value) <= 1:
        value = value[0] if value else None
    value = value.decode() if isinstance(value, bytes) else value
    return None if pd.api.types.is_scalar(value) and pd.isna(value) else value


def is_set(value: Any) -> bool:
    """Tell whether a parameter is true, which converters may write as text."""
    return value.strip().lower() in {"true", "t", "1"} if isinstance(value, str) else bool(value)


def read_names(value: Any) -> tuple[str, ...]:
    """Read a list of names, of which converters make text where there is one name."""
    if value is None:
        return ()
    values = [value] if isinstance(value, str | bytes) else np.ravel(np.asarray(value, dtype=object)).tolist()
    return tuple(one.decode() if isinstance(one, bytes) else str(one) for one in values)


def read_columns(value: Any) -> dict[str, NDArray[Any]] | None:
    """Read records, which may have become a data frame or a mapping, as an array for each group; None if they are not.

    Columns of one value that is no number are left as they are.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.names is None:
            return None
        return {name: value[name] for name in value.dtype.names}
    if isinstance(value, pd.DataFrame | Mapping):
        columns = {str(name): np.asarray(column) for name, column in value.items()}
        columns = {name: column for name, column in columns.items() if not _are_row_names(name, column)}
        lengths = {column.shape for column in columns.values()}
        return columns if len(lengths) == 1 and len(next(iter(lengths))) == 1 else None
    return None


def _are_row_names(name: str, column: NDArray[Any]) -> bool:
    """Tell whether a column has the row names of a data frame, numbers from 0 or 1 up, rather than a group."""
    if name not in _ROW_NAMES or column.ndim != 1:
        return False
    spellings = [str(value) for value in column.tolist()]
    return any(spellings == [str(first + i) for i in range(len(spellings))] for first in (0, 1))


def read_table(value: Any) -> pd.DataFrame | None:
    """Read a table of genes and groups, which may have become records or a mapping; None if it is not one."""
    if isinstance(value, pd.DataFrame):
        return value
    columns = read_columns(value)
    if columns is None:
        return None
    index = next((columns.pop(name) for name in _ROW_NAMES if name in columns), None)
    return pd.DataFrame(columns, index=index)
