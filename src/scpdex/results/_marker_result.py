"""Marker result: scores of each group over each other one, as matrices in ``varm`` and an entry in ``uns``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.comparisons.spelling import quote_names, suggest_name
from scpdex.results._converted_forms import read_names
from scpdex.results._scanpy_records import make_name_array
from scpdex.results._stored_parameters import read_params
from scpdex.results._varm_matrices import MARKER_METHOD, is_marker_result, make_matrix_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

# Rank of genes that were not tested.
UNTESTED_RANK = -1


@dataclass(frozen=True)
class MarkerResult:
    """The numbers of each variable and scored group, and of each pair."""

    groups: tuple[str, ...]
    others: tuple[str, ...]
    """Names of all compared groups."""
    matrices: dict[str, NDArray[Any]]
    """By field: variables x scored groups; NaN or, of ranks, -1 for variables that were not tested."""
    arrays: dict[str, NDArray[np.float64]]
    """By effect: scored groups x all groups x variables; empty unless pairs are reported."""

    @classmethod
    def empty(
        cls,
        groups: Sequence[str],
        others: Sequence[str],
        fields: Mapping[str, Any],
        pairwise_columns: Sequence[str],
        tested: NDArray[np.int64],
        n_vars: int,
    ) -> MarkerResult:
        """Allocate a result, ``fields`` with their dtypes; variables that are not ``tested`` have no numbers."""
        untested = np.setdiff1d(np.arange(n_vars), tested)
        matrices = {name: np.empty((n_vars, len(groups)), dtype=dtype) for name, dtype in fields.items()}
        for matrix in matrices.values():
            matrix[untested] = np.nan if matrix.dtype.kind == "f" else UNTESTED_RANK
        arrays = {name: np.empty((len(groups), len(others), n_vars)) for name in pairwise_columns}
        for array in arrays.values():
            array[..., untested] = np.nan
        return cls(tuple(groups), tuple(others), matrices, arrays)

    @property
    def by_variable(self) -> dict[str, NDArray[np.float64]]:
        """The arrays of pairs as matrices: variables x pairs, on the same memory."""
        return {name: array.reshape(-1, array.shape[-1]).T for name, array in self.arrays.items()}

    def make_entry(self, params: Mapping[str, Any], key: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Make the entry of ``uns``, and the matrices by their names in ``varm``."""
        entry: dict[str, Any] = {
            "params": {"method": MARKER_METHOD, **params, "storage": "varm"},
            "groups": make_name_array(self.groups),
            "others": make_name_array(self.others),
            "fields": make_name_array(tuple(self.matrices)),
        }
        if self.arrays:
            entry["pairwise"] = dict(self.arrays)
        return entry, {make_matrix_name(key, name): matrix for name, matrix in self.matrices.items()}


@dataclass(frozen=True)
class StoredMarkers:
    """A result that was read from an object."""

    params: dict[str, Any]
    groups: tuple[str, ...]
    fields: dict[str, NDArray[Any]]
    """By name: variables x scored groups."""

    @classmethod
    def read(cls, adata: AnnData, key: str) -> StoredMarkers:
        """Read a result of ``score_markers``.

        Raises
        ------
        KeyError
            There is none under this key, or a matrix of it is missing.
        """
        entry = adata.uns.get(key)
        if not is_marker_result(entry):
            found = [str(name) for name, value in adata.uns.items() if is_marker_result(value)]
            there = (
                f"Results: {quote_names(found)}." if found else "There are none: call scpdex.tl.score_markers first."
            )
            msg = f"adata.uns[{key!r}] holds no scores of markers. {there}"
            raise KeyError(msg)
        groups, names = read_names(entry["groups"]), read_names(entry["fields"])
        missing = [name for name in names if make_matrix_name(key, name) not in adata.varm]
        if missing:
            msg = (
                f"adata.varm[{make_matrix_name(key, missing[0])!r}] is missing, a matrix of the result "
                f"adata.uns[{key!r}]: score again."
            )
            raise KeyError(msg)
        fields = {name: np.asarray(adata.varm[make_matrix_name(key, name)]) for name in names}
        return cls(read_params(entry), groups, fields)

    @property
    def is_tested(self) -> NDArray[np.bool_]:
        """Whether each variable was tested."""
        is_tested = np.zeros(next(iter(self.fields.values())).shape[0], dtype=np.bool_)
        for matrix in self.fields.values():
            has_number = ~np.isnan(matrix) if matrix.dtype.kind == "f" else matrix != UNTESTED_RANK
            is_tested |= has_number.any(axis=1)
        return is_tested

    def scores(self, field: str) -> NDArray[np.float64]:
        """Give a field as scores, of which the highest are the best: ranks and p-values with the other sign."""
        self.refuse_unknown(field)
        values = np.asarray(self.fields[field], dtype=np.float64)
        return -values if is_best_lowest(field) else values

    def refuse_unknown(self, field: object) -> None:
        """Raise a ValueError for a field that the result lacks."""
        if field not in self.fields:
            msg = f"order_by={field!r} is not a field of the result.{suggest_name(str(field), list(self.fields))}"
            raise ValueError(msg)


def is_best_lowest(field: str) -> bool:
    """Tell whether the lowest numbers of a field are the best: ranks and p-values."""
    return field.endswith("_min_rank") or field.startswith("pvals_")
