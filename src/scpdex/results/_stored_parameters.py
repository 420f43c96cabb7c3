"""Stored parameters: which parameters of a result are lists, which name labels of obs, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from scpdex.results._converted_forms import read_names
from scpdex.statistics.unpacked_value import unpack_single

LabelColumn = Literal["groupby", "split_by"]


@dataclass(frozen=True)
class _StoredParameter:
    name: str
    is_list: bool = False
    """Whether it stays a list where it has one value."""
    labels_of: LabelColumn | None = None
    """Parameter that names the column of obs whose labels this one holds."""


# Every other parameter is a single value and names no label.
_PARAMETERS = (
    _StoredParameter("reference", labels_of="groupby"),
    _StoredParameter("references", is_list=True, labels_of="groupby"),
    _StoredParameter("exclude", is_list=True, labels_of="groupby"),
    _StoredParameter("skipped", is_list=True, labels_of="groupby"),
    _StoredParameter("apart", is_list=True, labels_of="groupby"),
    _StoredParameter("split", labels_of="split_by"),
    _StoredParameter("skipped_splits", is_list=True, labels_of="split_by"),
    _StoredParameter("extras", is_list=True),
)
_LISTS = {parameter.name for parameter in _PARAMETERS if parameter.is_list}


def read_params(entry: Any) -> dict[str, Any]:
    """Read the parameters of a result; arrays and lists of one value become that value, empty ones None."""
    params = entry.get("params") if isinstance(entry, Mapping) else None
    if isinstance(params, pd.DataFrame):
        params = dict(params.items())
    if not isinstance(params, Mapping):
        return {}
    return {str(name): value if name in _LISTS else unpack_single(value) for name, value in params.items()}


def read_label_names(params: Mapping[str, Any], column: LabelColumn) -> list[str]:
    """List the labels of the ``groupby`` or ``split_by`` column that parameters name."""
    names = [parameter.name for parameter in _PARAMETERS if parameter.labels_of == column]
    return [label for name in names for label in read_names(params.get(name))]
