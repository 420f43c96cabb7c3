"""Write checks: where a result can be stored, and which entries of uns and matrices in varm it must not replace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.results._level_list import LevelList, is_of_level, make_level_key
from scpdex.results._varm_matrices import list_matrix_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anndata import AnnData

    from scpdex.results._result_storage import ResultStorage


def refuse_view_of_disk(adata: AnnData, *, on_disk: bool, copy: bool) -> None:
    """Raise a ValueError for a view of data on disk, which cannot hold a result, unless a copy is to hold it."""
    if on_disk and adata.is_view and not copy:
        msg = (
            "adata is a view of data on disk, and storing a result would read all of it into memory. Pass copy=True "
            "for an AnnData with obs, var, uns and the result, without X, or the path of a Parquet file as storage."
        )
        raise ValueError(msg)


def outdated_levels(adata: AnnData, keys: Iterable[str]) -> list[str]:
    """Find the results of levels that entries under these keys list, and that are replaced together with the list."""
    lists = [(key, LevelList.read(adata.uns.get(key))) for key in keys]
    level_keys = [level_key for key, levels in lists if levels is not None for level_key in levels.keys(key)]
    return [level_key for level_key in level_keys if is_of_level(adata.uns.get(level_key))]


def refuse_to_replace(
    adata: AnnData, key: str, fields: Mapping[str | None, Iterable[str]], storage: ResultStorage
) -> None:
    """Raise a ValueError where a result would replace anything but the earlier result under its own key.

    ``fields`` are those of the result of each level, by its name; None is that of all cells. Entries of ``uns`` are
    protected from the results of levels, whose keys users do not choose one by one.
    """
    names: dict[str, str | None] = {}
    levels = LevelList.read(adata.uns.get(key))
    own_keys = set() if levels is None else set(levels.keys(key))
    for level, level_fields in fields.items():
        level_key = make_level_key(key, level)
        is_own = is_of_level(adata.uns.get(level_key)) or level_key in own_keys
        if level is not None and level_key in adata.uns and not is_own:
            msg = (
                f"The result of level {level!r} would replace adata.uns[{level_key!r}], which is something else: pass "
                "another key_added."
            )
            raise ValueError(msg)
        level_names = dict.fromkeys(storage.name_matrices(level_key, level_fields), level)
        if shared := level_names.keys() & names.keys():
            msg = (
                f"A matrix of level {level!r} and one of level {names[min(shared)]!r} would both be called "
                f"adata.varm[{min(shared)!r}]: rename one of the levels, or pass storage='uns'."
            )
            raise ValueError(msg)
        names |= level_names
    keys = {key, *(make_level_key(key, level) for level in fields)}
    _refuse_to_replace_matrices(adata, names, keys | set(outdated_levels(adata, keys)))


def _refuse_to_replace_matrices(adata: AnnData, names: Iterable[str], replaced_keys: set[str]) -> None:
    """Raise a ValueError where ``varm`` has a matrix of one of these names that none of the replaced results owns."""
    present = [name for name in names if name in adata.varm]
    owners = {
        name: key
        for key, entry in adata.uns.items()
        if key not in replaced_keys
        for name in list_matrix_names(entry, key, adata.varm)
    }
    if owned := [name for name in present if name in owners]:
        msg = (
            f"The result would replace adata.varm[{owned[0]!r}], which belongs to the result "
            f"adata.uns[{owners[owned[0]]!r}]: pass another key_added."
        )
        raise ValueError(msg)
    replaced = {name for key in replaced_keys for name in list_matrix_names(adata.uns.get(key), key, adata.varm)}
    if not_owned := [name for name in present if name not in replaced]:
        more = f" and {len(not_owned) - 1} more matrices" if len(not_owned) > 1 else ""
        delete = f"for name in {not_owned}: del adata.varm[name]" if more else f"del adata.varm[{not_owned[0]!r}]"
        msg = (
            f"The result would replace adata.varm[{not_owned[0]!r}]{more}, which no result in adata.uns owns: pass "
            f"another key_added, or delete them first: `{delete}`."
        )
        raise ValueError(msg)
