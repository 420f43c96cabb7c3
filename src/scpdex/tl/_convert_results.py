"""The public verbs that move a result between scanpy's layout in uns and matrices in varm, and from a file to uns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from scpdex.comparisons.spelling import choose_names, quote_names
from scpdex.machine.resources import Resources
from scpdex.messages.stored_results import warn_of_renamed_labels
from scpdex.messages.unwritable_results import warn_of_unwritable_results
from scpdex.results import (
    LevelList,
    UnsStorage,
    VarmStorage,
    convert_file_to_records,
    convert_to_matrices,
    convert_to_records,
    find_entry,
    is_in_file,
    make_level_key,
    open_file_of,
    open_matrices,
    open_records,
    read_bool,
    read_groups,
    read_params,
    refuse_large_records,
    refuse_to_replace,
    refuse_view_of_disk,
    write_results,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from anndata import AnnData

    from scpdex.results import RankedResult, ResultStorage, StoredMatrices, StoredRecords


def rank_genes_to_varm(adata: AnnData, *, key: str = "rank_genes_groups", key_added: str | None = None) -> None:
    """Move a result from scanpy's layout to matrices in ``adata.varm``, which files hold for any number of groups.

    Parameters
    ----------
    adata
        Object with a result of :func:`scpdex.tl.rank_genes_parallel` or :func:`scanpy.tl.rank_genes_groups`.
    key
        Key of the result in ``adata.uns``. With ``split_by``, the key that was given to the ranking stands for all
        levels.
    key_added
        Key of the matrices; the result in scanpy's layout then stays. None, the default, replaces it.

    Returns
    -------
    None. :func:`scpdex.tl.rank_genes_parallel` describes the matrices, under ``storage="varm"``.

    Raises
    ------
    KeyError
        ``adata.uns`` has no such result, or the result lacks a field.
    ValueError
        The result is in ``adata.varm`` already; ``adata.var`` lacks some of its genes, or repeats their names; genes
        were filtered out of it; it would replace a matrix in ``adata.varm`` that is not its own; or ``adata`` is a view
        of data on disk.
    MemoryError
        The matrices need more than half of the memory that is available.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced()
    >>> scpdex.tl.rank_genes_parallel(adata, "bulk_labels", method="wilcoxon", use_raw=False)
    >>> scpdex.tl.rank_genes_to_varm(adata)
    >>> adata.varm["rank_genes_groups_scores"].shape
    (765, 10)
    """
    refuse_view_of_disk(adata, on_disk=adata.isbacked, copy=False)
    levels = LevelList.read(adata.uns.get(key))
    keys = [key] if levels is None else levels.keys(key)
    stored = [open_records(adata, level_key) for level_key in keys]
    new_keys = _refuse_to_replace(adata, stored, levels, key, key_added, VarmStorage())
    results = convert_to_matrices(stored, adata.var_names, Resources.of().limits)
    for level_key, records in zip(keys, stored, strict=True):
        _refuse_unplaced(adata, level_key, records)
    _write_other_form(adata, dict(zip(new_keys, results, strict=True)), levels, key, key_added, VarmStorage())


def _refuse_unplaced(adata: AnnData, key: str, records: StoredRecords) -> None:
    """Raise a ValueError for a result, read by now, that has genes without a row in var, or was filtered."""
    unplaced = records.unplaced.list_names()
    uses_raw = read_bool(records.params.get("use_raw") or False) and adata.raw is not None
    other_genes = uses_raw and not adata.raw.var_names.equals(adata.var_names)
    if unplaced or other_genes:
        reason = (
            "the result ranks the genes of adata.raw"
            if other_genes
            else f"genes {quote_names(unplaced)} are absent there, or repeated"
        )
        msg = (
            f"adata.uns[{key!r}] does not fit adata.varm, which has a row for each gene of adata.var: {reason}. Rank "
            "with use_raw=False and unique names (adata.var_names_make_unique())."
        )
        raise ValueError(msg)
    if records.unplaced.has_empty_ranks:
        msg = f"adata.uns[{key!r}] was filtered and lacks genes: move the result that it was made from."
        raise ValueError(msg)


def rank_genes_to_uns(
    adata: AnnData,
    *,
    key: str = "rank_genes_groups",
    groups: Hashable | Iterable[Hashable] | None = None,
    key_added: str | None = None,
) -> None:
    """Move a result from ``adata.varm`` or a Parquet file to scanpy's layout, for scanpy's plots and getters.

    Parameters
    ----------
    adata
        Object with a result of :func:`scpdex.tl.rank_genes_parallel` with ``storage="varm"`` or the path of a file.
    key
        Key of the result in ``adata.uns``. With ``split_by``, the key that was given to the ranking stands for all
        levels.
    groups
        Group or groups to take, in this order, by their names or as labels. The default is all groups. A choice of
        groups needs ``key_added``, so that the other groups are not lost.
    key_added
        Key of the result in scanpy's layout; the matrices then stay. None, the default, replaces them. A file stays
        where it is.

    Returns
    -------
    None.

    Raises
    ------
    FileNotFoundError
        The file of the result does not exist any more.
    ImportError
        The result is in a file, and pyarrow is not installed.
    KeyError
        ``adata.uns`` has no such result, or the result lacks a field.
    OSError
        The file of the result cannot be read.
    ValueError
        The result is in scanpy's layout already; a group is not in it; a choice of groups would replace all groups;
        groups have different numbers of genes, since the result had ``n_genes`` of each and some of these were left out
        of ``adata``; or ``adata`` is a view of data on disk.
    MemoryError
        scanpy's layout needs more than half of the memory that is available.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced()
    >>> scpdex.tl.rank_genes_parallel(adata, "bulk_labels", method="wilcoxon", use_raw=False, storage="varm")
    >>> scpdex.tl.rank_genes_to_uns(adata, groups=["Dendritic"], key_added="chosen")
    >>> sc.get.rank_genes_groups_df(adata, "Dendritic", key="chosen")["names"].head(2).tolist()
    ['LYZ', 'CST3']
    """
    if groups is not None and key_added in {None, key}:
        msg = f"groups={groups!r} would replace the result of all groups: pass key_added= to keep it."
        raise ValueError(msg)
    refuse_view_of_disk(adata, on_disk=adata.isbacked, copy=False)
    levels = LevelList.read(adata.uns.get(key))
    if levels is not None and groups is not None:
        msg = (
            f"groups= is for one result, and adata.uns[{key!r}] lists those of levels: pass one of these as key: "
            f"{quote_names(levels.keys(key))}."
        )
        raise ValueError(msg)
    keys = [key] if levels is None else levels.keys(key)
    new_key = key if key_added is None else key_added
    if is_in_file(adata.uns.get(keys[0])):
        _convert_files(adata, keys, groups, levels, key, new_key)
        return
    stored = [open_matrices(adata, level_key, _choose_groups(adata, level_key, groups)) for level_key in keys]
    new_keys = _refuse_to_replace(adata, stored, levels, key, key_added, UnsStorage())
    stays = key_added not in {None, key}
    converted = convert_to_records(stored, adata.var_names, Resources.of().limits, copy_fractions=stays)
    results = {}
    for level_key, level_new_key, result in zip(keys, new_keys, converted, strict=True):
        if result is None:
            msg = (
                f"groups of adata.uns[{level_key!r}] have different numbers of genes, since some genes were left out "
                "of adata: rank again."
            )
            raise ValueError(msg)
        results[level_new_key] = result
    _write_other_form(adata, results, levels, key, key_added, UnsStorage())


def _choose_groups(adata: AnnData, key: str, groups: Hashable | Iterable[Hashable] | None) -> Sequence[str] | None:
    """Find the names of some groups of a result; None is all groups."""
    if groups is None:
        return None
    return choose_names(groups, read_groups(adata, key), "groups: group", f"adata.uns[{key!r}]")


def _convert_files(
    adata: AnnData,
    keys: Sequence[str],
    groups: Hashable | Iterable[Hashable] | None,
    levels: LevelList | None,
    key: str,
    new_key: str,
) -> None:
    """Move the results of levels, or the only result, from their file to scanpy's layout."""
    level_names = [None] if levels is None else levels.levels
    new_keys = {level: make_level_key(new_key, level) for level in level_names}
    refuse_to_replace(adata, new_key, dict.fromkeys(level_names, ()), UnsStorage())
    results = {}
    entries = {level_key: find_entry(adata, level_key) for level_key in keys}
    file = open_file_of(entries[keys[0]], keys[0])
    chosen = {
        level_key: _choose_groups(adata, level_key, groups) or read_groups(adata, level_key) for level_key in keys
    }
    refuse_large_records(file, sum(map(len, chosen.values())), Resources.of().limits)
    for level_key, level in zip(keys, level_names, strict=True):
        params = read_params(entries[level_key])
        results[new_keys[level]] = convert_file_to_records(file, level, chosen[level_key], params)
    gene_names = pd.Index(file.gene_names, name=adata.var_names.name)
    warn_of_renamed_labels(adata, key)
    warn_of_unwritable_results(results, new_key, UnsStorage(), adata.var_names.name)
    level_lists = {} if levels is None else {new_key: levels.make_entry()}
    write_results(adata, results, level_lists, UnsStorage(), gene_names)


def _refuse_to_replace(
    adata: AnnData,
    stored: Sequence[StoredMatrices] | Sequence[StoredRecords],
    levels: LevelList | None,
    key: str,
    key_added: str | None,
    storage: ResultStorage,
) -> list[str]:
    """Raise a ValueError if the new result would replace another one; list the key of the result of each level."""
    new_key = key if key_added is None else key_added
    level_names = [None] if levels is None else levels.levels
    fields = [["ranks", *result.field_types, *result.fractions] for result in stored]
    refuse_to_replace(adata, new_key, dict(zip(level_names, fields, strict=True)), storage)
    return [make_level_key(new_key, level) for level in level_names]


def _write_other_form(
    adata: AnnData,
    results: Mapping[str, RankedResult[Any]],
    levels: LevelList | None,
    key: str,
    key_added: str | None,
    storage: ResultStorage,
) -> None:
    """Write one result, or those of all levels, in the other form, by their keys."""
    warn_of_renamed_labels(adata, key)
    warn_of_unwritable_results(results, key if key_added is None else key_added, storage, adata.var_names.name)
    # The list of the levels stays, unless it is to have another key.
    level_lists = {} if levels is None or key_added is None else {key_added: levels.make_entry()}
    write_results(adata, results, level_lists, storage, adata.var_names)
