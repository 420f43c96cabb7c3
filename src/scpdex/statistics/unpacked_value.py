"""Single values, which files and converters may have put into arrays, lists or bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def unpack_single(value: Any) -> Any:
    """Unpack arrays and sequences of one value, and decode bytes; None for empty ones and missing values.

    Longer arrays and sequences are returned as they are.
    """
    if isinstance(value, np.ndarray | pd.Series | pd.Index | pd.api.extensions.ExtensionArray) and value.size <= 1:
        value = value.tolist()
    while isinstance(value, list | tuple) and len(value) <= 1:
        value = value[0] if value else None
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return None if pd.api.types.is_scalar(value) and pd.isna(value) else value
