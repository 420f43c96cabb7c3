"""The public verbs that move a result between scanpy's layout in uns and matrices in varm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.comparisons.spelling import choose_names, quote_names
from scpdex.messages.stored_results import warn_of_renamed_labels
from scpdex.messages.unwritable_results import warn_of_unwritable_results
from scpdex.results import (
    LevelList,
    is_in_varm,
    make_level_key,
    read_groups,
    read_result,
    refuse_to_replace,
    refuse_view_of_disk,
    write_results,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from anndata import AnnData

    from scpdex.results import RankedGenes, RankedResult, Storage


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
    results = [_read_for_varm(adata, level_key) for level_key in keys]
    _write_other_form(adata, results, levels, key, key_added, "varm")


def _read_for_varm(adata: AnnData, key: str) -> RankedResult[RankedGenes]:
    """Read a result in scanpy's layout whose genes are all in var.

    Raises
    ------
    ValueError
        Its genes are not all in var, or were filtered; or it is in varm already.
    """
    if is_in_varm(adata.uns.get(key)):
        msg = f"adata.uns[{key!r}] has its matrices in adata.varm already: there is nothing to move."
        raise ValueError(msg)
    result = read_result(adata, key)
    unplaced = result.gene_names[result.var_positions < 0].tolist()
    uses_raw = result.params.get("use_raw") and adata.raw is not None
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
    if (result.ranked.order < 0).any():
        msg = f"adata.uns[{key!r}] was filtered and lacks genes: move the result that it was made from."
        raise ValueError(msg)
    return result


def rank_genes_to_uns(
    adata: AnnData,
    *,
    key: str = "rank_genes_groups",
    groups: Hashable | Iterable[Hashable] | None = None,
    key_added: str | None = None,
) -> None:
    """Move a result from matrices in ``adata.varm`` to scanpy's layout, for scanpy's plots and getters.

    Parameters
    ----------
    adata
        Object with a result of :func:`scpdex.tl.rank_genes_parallel` with ``storage="varm"``.
    key
        Key of the result in ``adata.uns``. With ``split_by``, the key that was given to the ranking stands for all
        levels.
    groups
        Group or groups to take, in this order, by their names or as labels. The default is all groups. A choice of
        groups needs ``key_added``, so that the other groups are not lost.
    key_added
        Key of the result in scanpy's layout; the matrices then stay. None, the default, replaces them.

    Returns
    -------
    None.

    Raises
    ------
    KeyError
        ``adata.uns`` has no such result, or the result lacks a field.
    ValueError
        The result is in scanpy's layout already; a group is not in it; a choice of groups would replace all groups;
        groups have different numbers of genes, since the result had ``n_genes`` of each and some of these were left out
        of ``adata``; or ``adata`` is a view of data on disk.

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
    results = [_read_for_uns(adata, level_key, groups) for level_key in keys]
    _write_other_form(adata, results, levels, key, key_added, "uns")


def _read_for_uns(adata: AnnData, key: str, groups: Hashable | Iterable[Hashable] | None) -> RankedResult[RankedGenes]:
    """Read some groups, or all, of a result in varm, in which all groups have equally many genes.

    Raises
    ------
    ValueError
        Groups have different numbers of genes, or the result is in uns already.
    """
    all_groups = read_groups(adata, key)
    if not is_in_varm(adata.uns[key]):
        msg = f"adata.uns[{key!r}] is in scanpy's layout already: there is nothing to move."
        raise ValueError(msg)
    chosen = None if groups is None else choose_names(groups, all_groups, "groups: group", f"adata.uns[{key!r}]")
    result = read_result(adata, key, chosen)
    if (result.ranked.order < 0).any():
        msg = (
            f"groups of adata.uns[{key!r}] have different numbers of genes, since some genes were left out of adata: "
            "rank again."
        )
        raise ValueError(msg)
    return result


def _write_other_form(
    adata: AnnData,
    results: Sequence[RankedResult[RankedGenes]],
    levels: LevelList | None,
    key: str,
    key_added: str | None,
    storage: Storage,
) -> None:
    """Write one result, or those of all levels, in the other form, under the key that is to have it."""
    new_key = key if key_added is None else key_added
    level_names = [None] if levels is None else levels.levels
    by_key = {make_level_key(new_key, level): result for level, result in zip(level_names, results, strict=True)}
    fields = [["ranks", *result.ranked.statistics, *result.fractions] for result in results]
    refuse_to_replace(adata, new_key, dict(zip(level_names, fields, strict=True)), storage)
    warn_of_renamed_labels(adata, key)
    warn_of_unwritable_results(by_key, new_key, storage, adata.var_names.name)
    # The list of the levels stays, unless it is to have another key.
    level_lists = {} if levels is None or key_added is None else {key_added: levels.make_entry()}
    write_results(adata, by_key, level_lists, storage, adata.var_names)
