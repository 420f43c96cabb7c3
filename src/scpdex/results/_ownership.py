"""Replace: refuse to overwrite entries of uns and matrices in varm that belong to no result of the same key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scpdex.results._levels import Levels, is_of_level, key_of_level
from scpdex.results._varm_matrices import name_of_matrix, names_of_matrices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anndata import AnnData

    from scpdex.results._write_result import Storage


def outdated_levels(adata: AnnData, keys: Iterable[str]) -> list[str]:
    """Find the results of levels that are listed by the entries under these keys, and go with the list."""
    lists = [(key, Levels.read(adata.uns.get(key))) for key in keys]
    listed = [level_key for key, levels in lists if levels is not None for level_key in levels.keys(key)]
    return [key for key in listed if is_of_level(adata.uns.get(key))]


def refuse_to_replace(adata: AnnData, key: str, fields: Mapping[str | None, Iterable[str]], storage: Storage) -> None:
    """Raise a ValueError where a result would replace anything but the result that was under its own key.

    ``fields`` are those of the result of each level, by its name; None is that of all cells. Entries of ``uns`` are
    protected from the results of levels, whose keys users do not choose one by one.
    """
    names: dict[str, str | None] = {}
    listed = Levels.read(adata.uns.get(key))
    own_keys = set() if listed is None else set(listed.keys(key))
    for level, level_fields in fields.items():
        level_key = key_of_level(key, level)
        is_own = is_of_level(adata.uns.get(level_key)) or level_key in own_keys
        if level is not None and level_key in adata.uns and not is_own:
            msg = (
                f"the result of level {level!r} would replace adata.uns[{level_key!r}], which is something else: pass "
                "another key_added."
            )
            raise ValueError(msg)
        level_names = {name_of_matrix(level_key, field): level for field in level_fields} if storage == "varm" else {}
        if shared := level_names.keys() & names.keys():
            msg = (
                f"matrices of level {level!r} would have names that those of another level have ({min(shared)!r}): "
                "rename the level, or pass storage='uns'."
            )
            raise ValueError(msg)
        names |= level_names
    keys = {key, *(key_of_level(key, level) for level in fields)}
    _refuse_to_replace_matrices(adata, names, keys | set(outdated_levels(adata, keys)))


def _refuse_to_replace_matrices(adata: AnnData, names: Iterable[str], replaced_keys: set[str]) -> None:
    """Raise a ValueError where ``varm`` has a matrix of one of these names that none of the replaced results owns."""
    present = [name for name in names if name in adata.varm]
    owners = {
        name: key
        for key, entry in adata.uns.items()
        if key not in replaced_keys
        for name in names_of_matrices(entry, key, adata.varm)
    }
    if of_others := [name for name in present if name in owners]:
        msg = (
            f"The result would replace adata.varm[{of_others[0]!r}], which belongs to the result "
            f"adata.uns[{owners[of_others[0]]!r}]: pass another key_added."
        )
        raise ValueError(msg)
    replaced = {name for key in replaced_keys for name in names_of_matrices(adata.uns.get(key), key, adata.varm)}
    if not_owned := [name for name in present if name not in replaced]:
        more = f" and {len(not_owned) - 1} more matrices" if len(not_owned) > 1 else ""
        delete = f"for name in {not_owned}: del adata.varm[name]" if more else f"del adata.varm[{not_owned[0]!r}]"
        msg = (
            f"The result would replace adata.varm[{not_owned[0]!r}]{more}, which no result in adata.uns owns: pass "
            f"another key_added, or delete them first: `{delete}`."
        )
        raise ValueError(msg)
