"""Read result: a stored result of scanpy or scpdex, in records or matrices, and the groups that it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.comparisons.spelling import choose_names, quote_names
from scpdex.results._converted_forms import read_names
from scpdex.results._level_list import LevelList
from scpdex.results._read_file import is_in_file, read_file_steps
from scpdex.results._read_matrices import StoredMatrices, read_matrices
from scpdex.results._read_records import read_gene_names, read_records
from scpdex.results._stored_parameters import read_params
from scpdex.results._stored_records import StoredRecords
from scpdex.results._varm_matrices import is_in_varm, is_marker_result

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results._ranked_result import RankedGenes, RankedResult


def read_steps(
    adata: AnnData, key: str, groups: Sequence[str], fields: Container[str] | None = None
) -> Iterator[RankedResult[RankedGenes]]:
    """Read some groups of a result, in this order: all at once, or a few groups at a time where they are in a file.

    Of a file, only some fields are read; None reads all.

    Raises
    ------
    FileNotFoundError
        The result is in a file that does not exist any more.
    ImportError
        The result is in a file, and pyarrow is not installed.
    KeyError
        There is no result of this name, or it lacks a field.
    OSError
        The file of the result cannot be read.
    ValueError
        A group is not in it, or its file is not a result of scpdex.
    """
    entry = find_entry(adata, key)
    params = _read_own_params(entry)
    if is_in_file(entry):
        return read_file_steps(adata, entry, params, key, groups, fields)
    read = read_matrices if is_in_varm(entry) else read_records
    return iter([read(adata, entry, params, key, _find_groups(adata, key, groups))])


def open_matrices(adata: AnnData, key: str, groups: Sequence[str] | None = None) -> StoredMatrices:
    """Open a result in ``varm``, to read some of its groups, in this order, a slice at a time; None is all groups.

    Raises
    ------
    KeyError
        There is no result of this name, or it lacks a field.
    ValueError
        A group is not in it, or the result is in ``uns``.
    """
    entry = find_entry(adata, key)
    if not is_in_varm(entry):
        msg = f"adata.uns[{key!r}] is in scanpy's layout already: there is nothing to move."
        raise ValueError(msg)
    return StoredMatrices.open(adata, entry, _read_own_params(entry), key, _find_groups(adata, key, groups))


def open_records(adata: AnnData, key: str) -> StoredRecords:
    """Open a result in ``uns``, to read its groups a slice at a time.

    Raises
    ------
    KeyError
        There is no result of this name, or it lacks a field.
    ValueError
        The result is in ``varm`` or in a file.
    """
    if is_in_file(adata.uns.get(key)):
        msg = (
            f"adata.uns[{key!r}] has its table in the file {str(adata.uns[key]['path'])!r}: rank with storage='varm', "
            "or call scpdex.tl.rank_genes_to_uns(adata) first."
        )
        raise ValueError(msg)
    if is_in_varm(adata.uns.get(key)):
        msg = f"adata.uns[{key!r}] has its matrices in adata.varm already: there is nothing to move."
        raise ValueError(msg)
    entry = find_entry(adata, key)
    return StoredRecords.open(adata, entry, _read_own_params(entry), key)


def _read_own_params(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Read the parameters that do not depend on where the result is."""
    return {name: value for name, value in read_params(entry).items() if name != "storage"}


def _find_groups(adata: AnnData, key: str, groups: Sequence[str] | None) -> NDArray[np.intp] | None:
    """Find the positions of groups in a result; None is all groups in their order, which need no copy."""
    all_groups = read_groups(adata, key)
    if groups is None or tuple(groups) == all_groups:
        return None
    position_of = {group: i for i, group in enumerate(all_groups)}
    chosen = choose_names(groups, all_groups, "group", f"adata.uns[{key!r}]")
    return np.array([position_of[name] for name in chosen], dtype=np.intp)


def read_groups(adata: AnnData, key: str) -> tuple[str, ...]:
    """Read the names of a result's groups.

    Raises
    ------
    KeyError
        There is no result of this name, or it lacks a field.
    """
    entry = find_entry(adata, key)
    return tuple(read_gene_names(entry, key)) if _group_field(entry) == "names" else read_names(entry["groups"])


def find_entry(adata: AnnData, key: str) -> Mapping[str, Any]:
    """Find the entry of a result in ``uns``, or raise a KeyError that says what is missing and which results exist."""
    entry = adata.uns.get(key)
    if is_marker_result(entry):
        msg = (
            f"adata.uns[{key!r}] holds scores of markers, not ranked genes: call scpdex.get.score_markers_df(adata), "
            "or scpdex.tl.markers_to_rank_genes(adata) first."
        )
        raise KeyError(msg)
    if isinstance(entry, Mapping) and _group_field(entry) in entry:
        return entry
    levels = LevelList.read(entry)
    if levels is not None:
        msg = f"adata.uns[{key!r}] holds no ranked genes. It lists those of levels: {quote_names(levels.keys(key))}."
        raise KeyError(msg)
    results = quote_names([str(name) for name, value in adata.uns.items() if _is_result(value)]) or "none"
    if not isinstance(entry, Mapping):
        msg = f"adata.uns[{key!r}] holds no ranked genes. Results: {results}."
        raise KeyError(msg)
    missing = "splits" if "split_by" in read_params(entry) and "groups" in entry else _group_field(entry)
    msg = (
        f"adata.uns[{key!r}] holds no ranked genes: the field {missing!r} is missing. It has the fields: "
        f"{quote_names([str(name) for name in entry]) or 'none'}. (Converters drop fields that they do not know, and "
        "anndata.concat drops those that differ between objects.) Rank again, or take the result from an object that "
        f"has it whole. Results: {results}."
    )
    raise KeyError(msg)


def _group_field(entry: Any) -> str:
    """Name the field without which an entry of ``uns`` is no result: it names the groups."""
    return "groups" if is_in_varm(entry) or is_in_file(entry) else "names"


def _is_result(entry: Any) -> bool:
    is_whole = isinstance(entry, Mapping) and _group_field(entry) in entry and not is_marker_result(entry)
    return is_whole or LevelList.read(entry) is not None
