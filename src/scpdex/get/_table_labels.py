"""Table labels: the values of the columns ``group`` and ``split``, as names of a result or as labels of obs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from scpdex.comparisons.labels import Labels
from scpdex.comparisons.spelling import find_name, quote_names
from scpdex.matrix import read_annotations
from scpdex.results import CodedColumn, read_params

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results import LabelColumn

_KINDS: dict[LabelColumn, tuple[str, str]] = {
    "groupby": ("groups", "leave them out by group="),
    "split_by": ("levels", "pass the key of one level"),
}


@dataclass(frozen=True)
class TableLabels:
    """Names of groups or levels, and the labels that a table has in their place."""

    names: Sequence[str]
    labels: pd.Series[Any] | None = None
    """Label of each name, which are no strings; None leaves the names."""

    @classmethod
    def read(cls, adata: AnnData | None, key: str, argument: LabelColumn, names: Sequence[str]) -> TableLabels:
        """Read the labels of the names from the column of ``obs`` that ``argument`` of the ranking named.

        Without ``adata`` the names stay.

        Raises
        ------
        KeyError
            The result does not name the column, or ``obs`` lacks it.
        ValueError
            ``obs`` no longer has the label of a name.
        """
        if adata is None:
            return cls(names)
        column = get_label_column(read_params(adata.uns.get(key)), argument, "keep_labels")
        obs = read_annotations(adata.obs, column)
        labels = Labels.read(obs, column, argument)
        positions = get_positions_of_names(labels, names, argument)
        if all(isinstance(label, str) for label in labels.labels):
            return cls(names)
        dtype = obs[column].dtype
        if isinstance(dtype, pd.CategoricalDtype):
            dtype = dtype.categories.dtype
        return cls(names, pd.Series([labels.labels[i] for i in positions], dtype=dtype))

    def make_column(self, codes: NDArray[Any]) -> CodedColumn:
        """Make the column of a table, from the position of each row's name."""
        if self.labels is None:
            return CodedColumn(self.names, codes, is_categorical=True)
        return CodedColumn(self.labels, codes)


def get_label_column(params: dict[str, Any], argument: LabelColumn, needed_by: str) -> str:
    """Get the column of ``obs`` that an argument of the ranking named; ``needed_by`` is what needs it, for messages.

    Raises
    ------
    KeyError
        The parameters of the result do not name it.
    """
    column = params.get(argument)
    if not isinstance(column, str):
        msg = (
            f"{needed_by} needs the column that {_KINDS[argument][0]} were taken from, and the result lacks "
            f"params[{argument!r}]: rank again, or set it."
        )
        raise KeyError(msg)
    return column


def get_positions_of_names(labels: Labels, names: Sequence[str], argument: LabelColumn) -> list[int]:
    """Get the position of the label that each name of a result means.

    Raises
    ------
    ValueError
        A name means no label.
    """
    known = dict.fromkeys(names)
    position_of = {name: i for i, label in enumerate(labels.labels) if (name := find_name(label, known)) is not None}
    # A label's own spelling goes before that of an equal number.
    position_of |= {name: i for i, name in enumerate(labels.names)}
    absent = [name for name in names if name not in position_of]
    if absent:
        kind, way_out = _KINDS[argument]
        msg = (
            f"{kind} {quote_names(absent)} of the result are not in adata.obs[{labels.column!r}] any more: rank again, "
            f"or {way_out}."
        )
        raise ValueError(msg)
    return [position_of[name] for name in names]
