"""The base of the logarithm of the data, as ``uns["log1p"]`` records it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scpdex.statistics.unpacked_value import unpack_single

# Spellings of a missing value that converters write.
_MISSING_SPELLINGS = {"", "none", "null", "na", "nan", "<na>"}


def read_log_base(uns: Mapping[str, Any]) -> float | None:
    """Read the base of the logarithm from ``uns["log1p"]["base"]``; None is e.

    Files and converters change the type of the base: arrays of one value and text are valid too.

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
    value = _read_recorded(recorded)
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


def _read_recorded(recorded: Any) -> Any:
    """Unpack a recorded value; None where it is missing, for which converters may write text or an empty mapping."""
    value = unpack_single(recorded.item() if isinstance(recorded, np.generic) else recorded)
    if isinstance(value, str):
        return None if value.strip().lower() in _MISSING_SPELLINGS else value
    return None if isinstance(value, Mapping) and not value else value


def _as_number(value: Any) -> float | None:
    """Convert numbers and their spellings to float; None for anything else."""
    if isinstance(value, str) and value.strip().lower() == "e":
        return float(np.e)
    if isinstance(value, bool | list | tuple):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
