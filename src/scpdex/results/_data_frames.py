"""Data frames: columns, those of few distinct values as codes, as a data frame of pandas or polars."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

Backend = Literal["pandas", "polars"]


@dataclass(frozen=True)
class CodedColumn:
    """A column of few distinct values, as the code of each row's value."""

    values: Sequence[Any] | NDArray[Any] | pd.Series[Any]
    codes: NDArray[np.integer[Any]]
    """Position of each row's value in ``values``; -1 is a missing value."""
    is_categorical: bool = False

    def to_pandas(self) -> Any:
        """Make the column in the form that pandas takes."""
        values = self.values if isinstance(self.values, pd.Series) else pd.Series(list(self.values))
        if self.is_categorical:
            return pd.Categorical.from_codes(self.codes, categories=pd.Index(values))
        has_missing = bool((self.codes < 0).any())
        taken = values.array.take(self.codes, allow_fill=has_missing)
        # pandas infers a dtype from objects, which would depend on the rows of the table.
        return taken if has_missing or values.dtype != object else pd.Series(taken, dtype=object, copy=False)

    def to_polars(self, name: str) -> pl.Series:
        """Make the column in the form that polars takes; ``name`` is its name, for messages.

        Raises
        ------
        ValueError
            Values are of several types.
        """
        import polars as pl  # noqa: PLC0415

        # polars would make 1 of True beside an integer.
        if pd.api.types.infer_dtype(self.values).startswith("mixed"):
            msg = f"column {name!r} holds values of several types, and polars takes one: pass backend='pandas'."
            raise ValueError(msg)
        values = pl.Series(self._list_values())
        codes = pl.Series(np.where(self.codes < 0, 0, self.codes))
        column = values.gather(codes)
        if (self.codes < 0).any():
            column = pl.select(pl.when(pl.Series(self.codes >= 0)).then(column)).to_series()
        return column.cast(pl.Enum(values)) if self.is_categorical else column

    def _list_values(self) -> NDArray[Any] | list[Any]:
        """List the values, missing ones as None; numbers and bools without these as an array of their dtype."""
        if isinstance(self.values, pd.Series) and not self.values.hasnans:
            array = self.values.to_numpy()
            if array.dtype.kind in "biuf":
                return array
        return [None if pd.isna(value) else value for value in self.values]


def refuse_backend(backend: str, argument: str, *, hint: str = "") -> None:
    """Raise an error for a backend that is unknown or not installed; messages quote the argument that names it.

    ``hint`` tells of another way than installing it.

    Raises
    ------
    ImportError
        polars is not installed.
    ValueError
        It is neither pandas nor polars.
    """
    if backend not in get_args(Backend):
        msg = f"{argument} is not valid: pass 'pandas' or 'polars'."
        raise ValueError(msg)
    if backend == "polars" and find_spec("polars") is None:
        msg = f"{argument} needs polars, which is not installed: python -m pip install 'scpdex[polars]'.{hint}"
        raise ImportError(msg)


def concatenate_frames(frames: Sequence[Any], backend: Backend) -> pd.DataFrame | pl.DataFrame:
    """Concatenate the rows of data frames that have the same columns."""
    if backend == "pandas":
        return pd.concat(frames, ignore_index=True)
    import polars as pl  # noqa: PLC0415

    # A column of nothing but nulls has no type of its own.
    return pl.concat(frames, how="vertical_relaxed")


def make_frame(
    columns: Mapping[str, NDArray[Any] | CodedColumn], backend: Backend, *, nan_to_null: bool = True
) -> pd.DataFrame | pl.DataFrame:
    """Make a data frame, without a copy of arrays; NaN becomes null in polars, its missing value, unless told not."""
    if backend == "pandas":
        data = {name: c.to_pandas() if isinstance(c, CodedColumn) else c for name, c in columns.items()}
        return pd.DataFrame(data, copy=False)
    import polars as pl  # noqa: PLC0415

    return pl.DataFrame(
        {name: c.to_polars(name) if isinstance(c, CodedColumn) else c for name, c in columns.items()},
        nan_to_null=nan_to_null,
    )
