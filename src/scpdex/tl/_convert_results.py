"""The public verbs that move a result between scanpy's layout in uns and matrices in varm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanpy import logging as logg

from scpdex.comparisons.spelling import choose_names, quote_names
from scpdex.matrix import in_memory
from scpdex.results import (
    Levels,
    StoredResult,
    describe_renamed,
    groups_of,
    is_in_varm,
    label_columns,
    refuse_to_replace,
    refuse_unless_storable,
    store,
)
from scpdex.tl._messages import tell_of_files

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from anndata import AnnData

    from scpdex.results import Storage


def rank_genes_to_varm(adata: AnnData, *, key: str = "rank_genes_groups", key_added: str | None = None) -> None:
    """Move a result from scanpy's layout to matrices in ``adata.varm``, which files hold for any number of groups.

    Parameters
    ----------
    adata
        Object with a result of :func:`scpdex.tl.rank_genes_parallel` or :func:`scanpy.tl.rank_genes_groups`.
    key
        Where in ``adata.uns`` it is; the key that was given with ``split_by`` stands for all levels.
    key_added
        Where to put the other form, and keep this one. None, the default, replaces it.

    Returns
    -------
    None. What is stored is described at :func:`scpdex.tl.rank_genes_parallel`, under ``storage="varm"``.

    Raises
    ------
    KeyError
        There is no such result, or it lacks a field.
    ValueError
        It is in ``adata.varm`` already; its genes are not all in ``adata.var``, or one name is there twice; genes were
        filtered out of it; it would replace a matrix in ``adata.varm`` that is not its own; or ``adata`` is a view of
        data on disk.

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
    refuse_unless_storable(adata, on_disk=adata.isbacked, copy=False)
    levels = Levels.read(adata.uns.get(key))
    keys = [key] if levels is None else levels.keys(key)
    results = {_added(its_key, key, key_added): _fit_for_varm(adata, its_key) for its_key in keys}
    _refuse_to_replace(adata, results, levels, _added(key, key, key_added), "varm")
    _tell_of_renamed(adata, key)
    tell_of_files(results, _added(key, key, key_added), "varm", adata.var_names.name)
    store(adata, results, "varm", var_names=adata.var_names, further=_listed_anew(levels, key_added))


def _fit_for_varm(adata: AnnData, key: str) -> StoredResult:
    """Read a result whose genes are all in var.

    Raises
    ------
    ValueError
        They are not, or were filtered; or the result is in varm already.
    """
    if is_in_varm(adata.uns.get(key)):
        msg = f"adata.uns[{key!r}] is a result with matrices in adata.varm already."
        raise ValueError(msg)
    result = StoredResult.read(adata, key)
    astray = result.names[result.places < 0].tolist()
    of_raw = result.params.get("use_raw") and adata.raw is not None and not adata.raw.var_names.equals(adata.var_names)
    if astray or of_raw:
        why = "ranked are the genes of adata.raw" if of_raw else f"genes {quote_names(astray)} are not there, or twice"
        msg = (
            f"adata.uns[{key!r}] does not fit adata.varm, which has a row for each of adata.var: {why}. Rank with "
            "use_raw=False and unique names (adata.var_names_make_unique())."
        )
        raise ValueError(msg)
    if (result.ranked.order < 0).any():
        msg = f"adata.uns[{key!r}] was filtered, and lacks names: move the result that it was made of."
        raise ValueError(msg)
    return result


def rank_genes_to_uns(
    adata: AnnData,
    *,
    key: str = "rank_genes_groups",
    groups: Hashable | Iterable[Hashable] | None = None,
    key_added: str | None = None,
) -> None:
    """Turn a result that lies as matrices in ``adata.varm`` into scanpy's layout, for its plots and getters.

    Parameters
    ----------
    adata
        Object with a result of :func:`scpdex.tl.rank_genes_parallel` with ``storage="varm"``.
    key
        Where in ``adata.uns`` it is described; the key that was given with ``split_by`` stands for all levels.
    groups
        Group or groups to take, by their names or as labels, in this order; all by default. Some need ``key_added``, so
        that the others are not lost.
    key_added
        Where to put scanpy's layout, and keep the matrices. None, the default, replaces them.

    Returns
    -------
    None.

    Raises
    ------
    KeyError
        There is no such result, or it lacks a field.
    ValueError
        It is in scanpy's layout already; a group is not in it; some groups would replace all; groups have different
        numbers of genes, since the result had ``n_genes`` of each and some were left out of ``adata``; or ``adata`` is
        a view of data on disk.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced()
    >>> scpdex.tl.rank_genes_parallel(adata, "bulk_labels", method="wilcoxon", use_raw=False, storage="varm")
    >>> scpdex.tl.rank_genes_to_uns(adata, groups=["Dendritic"], key_added="of_interest")
    >>> sc.get.rank_genes_groups_df(adata, "Dendritic", key="of_interest")["names"].head(2).tolist()
    ['LYZ', 'CST3']
    """
    if groups is not None and key_added in {None, key}:
        msg = "groups= takes some groups only: pass key_added= so that the others are not lost."
        raise ValueError(msg)
    refuse_unless_storable(adata, on_disk=adata.isbacked, copy=False)
    levels = Levels.read(adata.uns.get(key))
    if levels is not None and groups is not None:
        msg = (
            f"groups= is for one result, and adata.uns[{key!r}] lists those of levels: {quote_names(levels.keys(key))}."
        )
        raise ValueError(msg)
    keys = [key] if levels is None else levels.keys(key)
    results = {_added(its_key, key, key_added): _fit_for_uns(adata, its_key, groups) for its_key in keys}
    _refuse_to_replace(adata, results, levels, _added(key, key, key_added), "uns")
    _tell_of_renamed(adata, key)
    tell_of_files(results, _added(key, key, key_added), "uns", adata.var_names.name)
    store(adata, results, "uns", var_names=adata.var_names, further=_listed_anew(levels, key_added))


def _fit_for_uns(adata: AnnData, key: str, groups: Hashable | Iterable[Hashable] | None) -> StoredResult:
    """Read a result of which all groups have as many genes.

    Raises
    ------
    ValueError
        They have not; or the result is in uns already.
    """
    all_groups = groups_of(adata, key)
    if not is_in_varm(adata.uns[key]):
        msg = f"adata.uns[{key!r}] is in scanpy's layout already."
        raise ValueError(msg)
    chosen = None if groups is None else choose_names(groups, all_groups, "groups: group", f"adata.uns[{key!r}]")
    result = StoredResult.read(adata, key, chosen)
    if (result.ranked.order < 0).any():
        msg = (
            f"groups of adata.uns[{key!r}] have different numbers of genes, since some genes were left out: rank again."
        )
        raise ValueError(msg)
    return result


def _tell_of_renamed(adata: AnnData, key: str) -> None:
    """Say that groups of a result are no labels any more."""
    renamed = describe_renamed(adata, key, in_memory(adata.obs, *label_columns(adata, key)))
    if renamed is not None:
        logg.warning(renamed)


def _added(key_of_result: str, key: str, key_added: str | None) -> str:
    """Give the key that a result, of a level or not, is moved to."""
    return (key if key_added is None else key_added) + key_of_result[len(key) :]


def _refuse_to_replace(
    adata: AnnData, results: Mapping[str, StoredResult], levels: Levels | None, key: str, storage: Storage
) -> None:
    """Raise a ValueError where the moved results would replace anything but what was under their own keys."""
    names = [None] if levels is None else levels.levels
    fields = [["ranks", *result.ranked.statistics, *result.fractions] for result in results.values()]
    refuse_to_replace(adata, key, dict(zip(names, fields, strict=True)), storage)


def _listed_anew(levels: Levels | None, key_added: str | None) -> dict[str, dict[str, Any]]:
    """Make the entry that lists the levels, where it is to have another key."""
    return {} if levels is None or key_added is None else {key_added: levels.entry()}
