"""Labels: a column of obs as names in scanpy's order and a code per cell; wrong names are refused here."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from natsort import natsorted

from scpdex.comparisons.names import is_number, listed, suggest

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

REST = "rest"


@dataclass(frozen=True)
class Labels:
    """The labels in use, in scanpy's order: that of the categories, or of value for numbers, or natural."""

    groupby: str
    labels: tuple[Hashable, ...]
    codes: NDArray[np.intp]
    """Position of each cell's label; -1 for cells that have none."""

    @cached_property
    def names(self) -> list[str]:
        """Spelling of each label."""
        return [str(label) for label in self.labels]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def _positions_of_numbers(self) -> dict[Hashable, int]:
        # Integers become floats when pandas has to make room for a missing label.
        return {label: i for i, label in enumerate(self.labels) if is_number(label)}

    @classmethod
    def read(cls, obs: pd.DataFrame, groupby: str, argument: str = "groupby") -> Labels:
        """Read a column of ``obs``, of any dtype; messages name the argument that named it.

        Raises
        ------
        KeyError
            ``groupby`` is not one column of ``obs``.
        TypeError
            ``groupby`` is not a string, or labels are lists or other objects that cannot be compared.
        ValueError
            There are no cells, no cell has a label, or two labels have the same spelling.
        """
        if not isinstance(groupby, str):
            valid = listed([str(column) for column in obs.columns]) or "none exist"
            msg = f"{argument}={groupby!r} is not the name of a column of adata.obs: pass a string. Valid: {valid}."
            raise TypeError(msg)
        n_columns = list(obs.columns).count(groupby)
        if n_columns != 1:
            found = f"{n_columns} columns" if n_columns else "no column"
            msg = f"{argument}={groupby!r} names {found} of adata.obs.{suggest(groupby, [str(c) for c in obs.columns])}"
            raise KeyError(msg)
        if not obs.shape[0]:
            msg = "adata has no cells: there is nothing to rank."
            raise ValueError(msg)
        column = obs[groupby]
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy().astype(np.intp)
            used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(column.cat.categories)))
            labels = list(column.cat.categories[used])
        else:
            try:
                codes, labels = _factorize(column)
            except (TypeError, NotImplementedError):
                _refuse_unhashable(column, argument)
                raise
            used = np.array(_order(labels), dtype=np.intp)
            labels = [labels[i] for i in used]
        if not labels:
            msg = f"{argument}={groupby!r} labels no cell: every value of adata.obs[{groupby!r}] is missing."
            raise ValueError(msg)
        _refuse_shared_spellings(labels, groupby)
        rank = np.full(max(codes.max(), used.max()) + 2, -1, dtype=np.intp)
        rank[used] = np.arange(used.size)
        return cls(groupby, tuple(labels), rank[codes])

    def find(self, label: Hashable) -> int | None:
        """Position of a label, which may be given as itself or by its spelling; None if there is none."""
        found = self._positions.get(str(label))
        return self._positions_of_numbers.get(label) if found is None and is_number(label) else found

    def position(self, label: Hashable, argument: str, also: tuple[str, ...] = ()) -> int:
        """Position of a label, or an error; ``also`` names what else would be valid.

        Raises
        ------
        ValueError
            There is none; the message suggests the nearest and lists what there is.
        """
        found = self.find(label)
        if found is None:
            hint = suggest(str(label), [*self.names, *also])
            msg = f"{argument}: {label!r} is not a group of adata.obs[{self.groupby!r}].{hint}"
            raise ValueError(msg)
        return found


def _factorize(column: pd.Series[Any]) -> tuple[NDArray[np.intp], list[Hashable]]:
    """Codes and labels in order of appearance; labels of one value but two spellings (1, True) stay apart."""
    values = pd.factorize(column)[0]
    if column.dtype != object:
        first = ~pd.Series(values).duplicated().to_numpy()
        return values, list(column[first & (values >= 0)])
    spellings = pd.factorize(column.map(str, na_action="ignore"))[0]
    first = ~pd.DataFrame({"value": values, "spelling": spellings}).duplicated().to_numpy()
    return spellings, list(column[first & (spellings >= 0)])


def _refuse_unhashable(column: pd.Series[Any], argument: str) -> None:
    """Raise a TypeError that names the first label that cannot be compared with others, such as a list."""
    for cell, label in column.items():
        try:
            hash(label)
        except TypeError as error:
            msg = (
                f"{argument}={column.name!r} holds labels of type {type(label).__name__} that cannot be compared "
                f"({error}), the first in cell {cell!r}: {reprlib.repr(label)}. Labels are strings, numbers or bools: "
                f"pass a column of these, such as adata.obs[{column.name!r}].map(str)."
            )
            raise TypeError(msg) from None


def _order(labels: list[Hashable]) -> list[int]:
    """Order numbers by value, all else naturally by spelling ("2" before "10"), as anndata orders strings."""
    if all(isinstance(label, Real | np.bool_) for label in labels):
        return sorted(range(len(labels)), key=lambda i: labels[i])  # type: ignore[arg-type,return-value]
    # Natural order holds "s01" and "s1" equal: those come in plain order, as in categories that anndata makes.
    in_plain_order = sorted(range(len(labels)), key=lambda i: str(labels[i]))
    return list(natsorted(in_plain_order, key=lambda i: str(labels[i])))


def _refuse_shared_spellings(labels: list[Hashable], groupby: str) -> None:
    seen: dict[str, Hashable] = {}
    for label in labels:
        other = seen.setdefault(str(label), label)
        if other is not label:
            msg = (
                f"adata.obs[{groupby!r}] has two labels that are both spelt {str(label)!r}: {other!r} "
                f"({type(other).__name__}) and {label!r} ({type(label).__name__}). Rename one of them."
            )
            raise ValueError(msg)
