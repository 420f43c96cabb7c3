"""File names: which names of groups and keys h5ad and zarr files cannot hold, by what anndata's writers refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# HDF5 ends text at NUL, and UTF-8 has no half of a surrogate pair.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
# Names of folders of a zarr store: those that the file system or the format keeps for itself, and the longest.
_RESERVED = {"", ".", "..", "zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}
_MOST_BYTES = 255


def unwritable_texts(names: Iterable[str]) -> list[str]:
    """Find names that are not even values of an h5ad file: those with NUL or half of a surrogate pair."""
    return [name for name in names if _UNWRITABLE.search(name)]


def unwritable_fields(groups: Iterable[str]) -> list[str]:
    """Find groups that cannot be fields of records: without a name in any file, with a colon in zarr's format 2."""
    return [group for group in groups if not group or ":" in group]


def unwritable_columns(groups: Iterable[str], index_name: object = None) -> list[str]:
    """Find groups whose name cannot be a column of a table, of an index of this name, in an h5ad or zarr file."""
    return [group for group in groups if "/" in group or group in {"_index", index_name} or _is_no_folder(group)]


def is_unwritable_entry(name: str) -> bool:
    """Tell whether h5ad or zarr files cannot hold an entry of ``uns`` or ``varm`` of this name.

    A backslash is a slash to zarr, so that the entry would come back as one within another.
    """
    return "/" in name or "\\" in name or bool(_UNWRITABLE.search(name)) or _is_no_folder(name)


def _is_no_folder(name: str) -> bool:
    return name in _RESERVED or len(name.encode(errors="surrogatepass")) > _MOST_BYTES
