"""Labels: a column of obs -> label names in scanpy's order and a code per cell; wrong names are refused here."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from natsort import natsorted

from scpdex.comparisons.spelling import find_name, quote_names, suggest_name

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

REST = "rest"


@dataclass(frozen=True)
class Labels:
    """The labels of a column that at least one cell has, in scanpy's order.

    Categorical columns have the order of their categories, numbers that of their values, and others natural order.
    """

    column: str
    """Name of the column of obs."""
    labels: tuple[Hashable, ...]
    codes: NDArray[np.intp]
    """Position of each cell's label; -1 for cells without one."""

    @cached_property
    def names(self) -> list[str]:
        """Spelling of each label."""
        return [str(label) for label in self.labels]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @classmethod
    def read(cls, obs: pd.DataFrame, column: str, argument: str = "groupby") -> Labels:
        """Read a column of ``obs``, of any dtype; ``argument`` is the one that names the column, for messages.

        Raises
        ------
        KeyError
            ``column`` is not one column of ``obs``.
        TypeError
            ``column`` is not a string, or labels are lists or other objects that cannot be compared.
        ValueError
            There are no cells, no cell has a label, or two labels have the same spelling.
        """
        if not isinstance(column, str):
            valid = quote_names([str(name) for name in obs.columns]) or "none exist"
            msg = f"{argument}={column!r} is not the name of a column of adata.obs: pass a string. Valid: {valid}."
            raise TypeError(msg)
        n_columns = list(obs.columns).count(column)
        if n_columns != 1:
            columns = f"{n_columns} columns" if n_columns else "no column"
            hint = suggest_name(column, [str(name) for name in obs.columns])
            msg = f"{argument}={column!r} names {columns} of adata.obs.{hint}"
            raise KeyError(msg)
        if not obs.shape[0]:
            msg = "adata has no cells: there is nothing to rank."
            raise ValueError(msg)
        values = obs[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            codes = values.cat.codes.to_numpy().astype(np.intp)
            used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(values.cat.categories)))
            labels = list(values.cat.categories[used])
        else:
            try:
                codes, labels = _factorize(values)
            except (TypeError, NotImplementedError):
                _refuse_unhashable(values, argument)
                raise
            used = np.array(_order(labels), dtype=np.intp)
            labels = [labels[i] for i in used]
        if not labels:
            msg = f"{argument}={column!r} labels no cell: every value of adata.obs[{column!r}] is missing."
            raise ValueError(msg)
        _refuse_shared_spellings(labels, column)
        positions = np.full(max(codes.max(), used.max()) + 2, -1, dtype=np.intp)
        positions[used] = np.arange(used.size)
        return cls(column, tuple(labels), positions[codes])

    def find_position(self, label: Hashable) -> int | None:
        """Position of a label, which may be given as it is or by its spelling; None if no label matches."""
        # pandas turns integers into floats where a label is missing, so that 1 must find 1.0.
        name = find_name(label, self._positions)
        return None if name is None else self._positions[name]

    def get_position(self, label: Hashable, argument: str, also_valid: tuple[str, ...] = ()) -> int:
        """Position of a label, or an error that names ``argument`` and lists the labels and what is ``also_valid``.

        Raises
        ------
        ValueError
            No label matches; the message suggests the nearest one.
        """
        position = self.find_position(label)
        if position is None:
            hint = suggest_name(str(label), [*self.names, *also_valid])
            msg = f"{argument}: {label!r} is not a group of adata.obs[{self.column!r}].{hint}"
            raise ValueError(msg)
        return position


def _factorize(column: pd.Series[Any]) -> tuple[NDArray[np.intp], list[Hashable]]:
    """Codes and labels in order of appearance; equal values of two spellings (1, True) are two labels."""
    values = pd.factorize(column)[0]
    if column.dtype != object:
        is_first = ~pd.Series(values).duplicated().to_numpy()
        return values, list(column[is_first & (values >= 0)])
    spellings = pd.factorize(column.map(str, na_action="ignore"))[0]
    is_first = ~pd.DataFrame({"value": values, "spelling": spellings}).duplicated().to_numpy()
    return spellings, list(column[is_first & (spellings >= 0)])


def _refuse_unhashable(column: pd.Series[Any], argument: str) -> None:
    """Raise a TypeError that names the first label that cannot be hashed, such as a list."""
    for cell, label in column.items():
        try:
            hash(label)
        except TypeError as error:
            msg = (
                f"{argument}={column.name!r} holds labels of type {type(label).__name__} that cannot be compared "
                f"({error}), the first in cell {cell!r}: {reprlib.repr(label)}. Labels are strings, numbers or bools: "
                f"pass a column of such labels, for example adata.obs[{column.name!r}].map(str)."
            )
            raise TypeError(msg) from None


def _order(labels: list[Hashable]) -> list[int]:
    """Order numbers by value, other labels naturally by spelling ("2" before "10"), as anndata orders strings."""
    if all(isinstance(label, Real | np.bool_) for label in labels):
        return sorted(range(len(labels)), key=lambda i: labels[i])  # type: ignore[arg-type,return-value]
    # Natural order takes "s01" and "s1" for equal: they come in plain order, as in categories that anndata makes.
    in_plain_order = sorted(range(len(labels)), key=lambda i: str(labels[i]))
    return list(natsorted(in_plain_order, key=lambda i: str(labels[i])))


def _refuse_shared_spellings(labels: list[Hashable], column: str) -> None:
    seen: dict[str, Hashable] = {}
    for label in labels:
        other = seen.setdefault(str(label), label)
        if other is not label:
            msg = (
                f"adata.obs[{column!r}] has two labels that are both spelt {str(label)!r}: {other!r} "
                f"({type(other).__name__}) and {label!r} ({type(label).__name__}). Rename one of them."
            )
            raise ValueError(msg)
