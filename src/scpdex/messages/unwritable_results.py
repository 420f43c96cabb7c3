"""Warnings of names, and numbers of groups, with which h5ad and zarr files cannot hold a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanpy import logging as logg

from scpdex.comparisons.spelling import quote_names
from scpdex.links import page
from scpdex.results import (
    exceed_hdf5_limit,
    find_unwritable_columns,
    find_unwritable_fields,
    find_unwritable_texts,
    is_unwritable_entry,
    read_label_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scpdex.results import RankedResult, ResultStorage


def warn_of_unwritable_results(
    results: Mapping[str, RankedResult[Any]], key: str, storage: ResultStorage, index_name: object
) -> None:
    """Warn of results, by their keys in ``uns``, that files cannot hold, and name the way out.

    ``key`` is the key that was asked for, which stands for all levels; ``index_name`` is that of the index of var.
    """
    _warn_of_keys(results, key, storage)
    groups = list(dict.fromkeys(name for result in results.values() for name in result.ranked.groups))
    labels = [name for result in results.values() for name in read_label_names(result.params, "groupby")]
    texts = _warn_of_texts([*groups, *labels])
    if storage.has_record_arrays:
        _warn_of_records(results, texts, index_name)


def warn_of_unwritable_matrices(groups: Iterable[str], key: str, names: Iterable[str]) -> None:
    """Warn of names of groups, or of the entry and matrices of a key, that files cannot hold."""
    if any(map(is_unwritable_entry, [key, *names])):
        _warn_of_key(key)
    _warn_of_texts(groups)


def _warn_of_texts(groups: Iterable[str]) -> list[str]:
    """Warn of names of groups that no file can hold, and list them."""
    texts = find_unwritable_texts(dict.fromkeys(groups))
    if texts:
        logg.warning(
            f"h5ad and zarr files cannot hold the names of groups {quote_names(texts)}, which have NUL or half of a "
            "surrogate pair: rename these categories before ranking."
        )
    return texts


def _warn_of_key(key: str) -> None:
    logg.warning(
        f"h5ad and zarr files cannot hold the entries that key_added={key!r} names: pass another key, of 1 to some "
        "230 bytes and without '/' and '\\\\'."
    )


def _warn_of_records(results: Mapping[str, RankedResult[Any]], texts: list[str], index_name: object) -> None:
    """Warn of too many groups, and of those that cannot be fields or columns; ``texts`` have their own warning."""
    all_groups = [result.ranked.groups for result in results.values()]
    too_many = [len(groups) for groups in all_groups if exceed_hdf5_limit(groups)]
    if too_many:
        logg.warning(
            f"an h5ad file cannot hold the records of {max(too_many):,} groups: pass storage='varm', or call "
            "scpdex.tl.rank_genes_to_varm(adata) before writing the object to a file. See "
            f"{page('tables', 'thousands-of-groups')}"
        )
    groups = dict.fromkeys(name for names in all_groups for name in names)
    fields = [name for name in find_unwritable_fields(groups) if name not in texts]
    if fields:
        logg.warning(
            f"h5ad files, or zarr files of format 2, cannot hold records with fields for groups {quote_names(fields)}: "
            "pass storage='varm', or rename these categories, before writing the object to a file."
        )
    columns = dict.fromkeys(
        name for result in results.values() for names, _ in result.fractions.values() for name in names
    )
    tables = [name for name in find_unwritable_columns(columns, index_name) if name not in {*texts, *fields}]
    if tables:
        logg.warning(
            f"h5ad and zarr files cannot hold columns of `pts` for the groups {quote_names(tables)}: pass "
            "storage='varm', rename these categories, or use pts=False, before writing the object to a file."
        )


def _warn_of_keys(results: Mapping[str, RankedResult[Any]], key: str, storage: ResultStorage) -> None:
    """Warn of the key, or else of the levels, whose entries files cannot hold."""

    def is_unwritable(result_key: str, result: RankedResult[Any]) -> bool:
        fields = ("ranks", *result.ranked.statistics, *result.fractions)
        return any(map(is_unwritable_entry, [result_key, *storage.name_matrices(result_key, fields)]))

    unwritable = [result for result_key, result in results.items() if is_unwritable(result_key, result)]
    if is_unwritable_entry(key) or any(is_unwritable(key, result) for result in unwritable):
        _warn_of_key(key)
    elif unwritable:
        levels = [str(result.params.get("split")) for result in unwritable]
        column = unwritable[0].params.get("split_by")
        logg.warning(
            f"h5ad and zarr files cannot hold the entries of `{storage.place}` that levels {quote_names(levels)} name: "
            f"rename these categories of {column!r} before ranking."
        )
