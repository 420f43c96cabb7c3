"""Text table: data frames as aligned columns of text on stdout, below one header."""

from __future__ import annotations

import sys
from math import isnan
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator

_GAP = "  "
_MISSING = "NaN"


class TextTable:
    """A table that is written part by part: numbers are on the right, with 4 significant digits, and texts on the left.

    Columns are as wide as the first part needs. Later parts can only widen them.
    """

    def __init__(self) -> None:
        """Start without a header."""
        self._widths: dict[str, int] = {}

    def write(self, table: pd.DataFrame) -> None:
        """Write the rows of a part."""
        is_first = not self._widths
        columns = {str(name): _format_values(values) for name, values in table.items()}
        is_number = {str(name): pd.api.types.is_numeric_dtype(values) for name, values in table.items()}
        for name, cells in columns.items():
            self._widths[name] = max(self._widths.get(name, len(name)), *map(len, cells or [""]))

        def align(cells: dict[str, str]) -> str:
            aligned = (
                cell.rjust(self._widths[name]) if is_number[name] else cell.ljust(self._widths[name])
                for name, cell in cells.items()
            )
            return _GAP.join(aligned).rstrip() + "\n"

        if is_first:
            sys.stdout.write(align({name: name for name in columns}))
        sys.stdout.writelines(align(cells) for cells in _iterate_rows(columns))


def _format_values(values: pd.Series[Any]) -> list[str]:
    if pd.api.types.is_float_dtype(values):
        return [_MISSING if isnan(value) else f"{value:.4g}" for value in values.tolist()]
    return [_MISSING if pd.isna(value) else str(value) for value in values.tolist()]


def _iterate_rows(columns: dict[str, list[str]]) -> Iterator[dict[str, str]]:
    names = list(columns)
    for cells in zip(*columns.values(), strict=True):
        yield dict(zip(names, cells, strict=True))
