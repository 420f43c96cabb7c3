"""The base of the logarithm of the data, as ``uns["log1p"]`` records it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

# Spellings of a missing value that converters write.
_MISSING_SPELLINGS = {"", "none", "null", "na", "nan", "<na>"}


def read_log_base(uns: Mapping[str, Any]) -> float | None:
    """Read the base of the logarithm from ``uns["log1p"]["base"]``; None is e.

    Files and converters change the type of the base: an array of one value and text are read as well.

    Raises
    ------
    ValueError
        ``uns["log1p"]`` is no mapping, or its base is not a positive number other than 1.
    """
    entry: Any = uns.get("log1p")
    if isinstance(entry, pd.DataFrame):
        entry = dict(entry.items())
    elif isinstance(entry, np.ndarray) and entry.dtype.names is not None:
        entry = {name: entry[name] for name in entry.dtype.names}
    is_mapping = isinstance(entry, Mapping)
    recorded = entry.get("base") if is_mapping else entry
    value = _single_value(recorded)
    if value is None or (not is_mapping and value is True):
        return None
    base = _as_number(value) if is_mapping else None
    if base is None or not 0 < base < np.inf or base == 1:
        place = "adata.uns['log1p']['base']" if is_mapping else "adata.uns['log1p']"
        msg = (
            f"{place} is {recorded!r}, which is not the base of a logarithm. Set adata.uns['log1p'] to "
            "{'base': None} for natural logarithms, or to {'base': 2} for base 2."
        )
        raise ValueError(msg)
    return base


def _single_value(recorded: Any) -> Any:
    """Unpack sequences of one value; None where the value is missing."""
    if isinstance(recorded, np.ndarray | np.generic | pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        recorded = recorded.tolist()
    while isinstance(recorded, list | tuple) and len(recorded) <= 1:
        recorded = recorded[0] if recorded else None
    if isinstance(recorded, bytes):
        recorded = recorded.decode(errors="replace")
    if isinstance(recorded, str):
        return None if recorded.strip().lower() in _MISSING_SPELLINGS else recorded
    if isinstance(recorded, Mapping):
        return recorded or None
    return None if pd.api.types.is_scalar(recorded) and pd.isna(recorded) else recorded


def _as_number(value: Any) -> float | None:
    """Convert numbers and their spellings; None for anything else."""
    if isinstance(value, str) and value.strip().lower() == "e":
        return float(np.e)
    if isinstance(value, bool | list | tuple):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
