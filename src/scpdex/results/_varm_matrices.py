"""Varm: a result as genes x groups matrices, which files hold for any number of groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scpdex.results._converted_forms import read_names
from scpdex.results._fractions import FRACTIONS
from scpdex.results._scanpy_records import make_name_array
from scpdex.results._stored_parameters import read_params
from scpdex.statistics.reported_columns import stored_types

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results._ranked_result import GeneMatrices, RankedResult

_STORAGE = "varm"
# What the parameters of marker scores have as their method.
MARKER_METHOD = "score_markers"


def is_in_varm(entry: Any) -> bool:
    """Tell whether an entry of ``uns`` is a result with matrices in ``varm``, also where it lost its parameters.

    anndata.concat may merge such an entry with one that has records; the records then are what is left of a result.
    """
    if not isinstance(entry, Mapping) or "names" in entry:
        return False
    return {"groups", "fields"} <= entry.keys() or str(read_params(entry).get("storage")) == _STORAGE


def is_marker_result(entry: Any) -> bool:
    """Tell whether an entry of ``uns`` is a result of ``score_markers``."""
    has_fields = isinstance(entry, Mapping) and {"groups", "fields"} <= entry.keys()
    return has_fields and str(read_params(entry).get("method")) == MARKER_METHOD


def make_matrix_name(key: str, field: str) -> str:
    """Make the name in ``varm`` of a field of a result."""
    return f"{key}_{field}"


def make_matrices(result: RankedResult[GeneMatrices], key: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Make the entry of ``uns``, and the matrices by their names in ``varm``.

    Each matrix has a row for each variable and a column for each group. ``ranks`` (int32) is 0 for a group's first
    gene, and -1 for genes that are not in the result, where the other matrices are NaN.
    """
    ranked = result.ranked
    fields = {"ranks": ranked.ranks} | ranked.statistics
    entry: dict[str, Any] = {
        "params": result.params | {"storage": _STORAGE},
        "groups": make_name_array(ranked.groups),
    }
    for name, (groups, fractions) in result.fractions.items():
        fields[name] = fractions
        entry[f"{name}_groups"] = make_name_array(groups)
    entry["fields"] = make_name_array(tuple(fields))
    return entry, {make_matrix_name(key, name): matrix for name, matrix in fields.items()}


def list_fields(entry: Mapping[str, Any], key: str, varm: Any) -> tuple[str, ...]:
    """List the fields of a result; where ``uns`` has lost the list, those that ``varm`` has.

    Ranked genes have ranks, whatever the list says; scores of markers have what it says.
    """
    known = ("ranks", *stored_types(), *FRACTIONS)
    present = tuple(field for field in known if field == "ranks" or make_matrix_name(key, field) in varm)
    fields = read_names(entry.get("fields")) or present
    return fields if "ranks" in fields or is_marker_result(entry) else ("ranks", *fields)


def list_matrix_names(entry: Any, key: str, varm: Any) -> list[str]:
    """Name the matrices of a result in ``varm``; other entries of ``uns`` have none."""
    fields = list_fields(entry, key, varm) if is_in_varm(entry) else ()
    return [make_matrix_name(key, field) for field in fields]


def collect_matrices(adata: AnnData) -> dict[str, Any]:
    """Collect the matrices of all results by their names in ``varm``."""
    names = {name for key, entry in adata.uns.items() for name in list_matrix_names(entry, key, adata.varm)}
    return {name: adata.varm[name] for name in names if name in adata.varm}


def remove_matrices(adata: AnnData, key: str) -> None:
    """Remove the matrices of a result that is replaced from ``varm``."""
    for name in list_matrix_names(adata.uns.get(key), key, adata.varm):
        if name in adata.varm:
            del adata.varm[name]
