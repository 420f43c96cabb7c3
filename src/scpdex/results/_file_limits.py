"""File limits: names, and numbers of groups, that h5ad and zarr files cannot hold, by what anndata's writers refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# HDF5 ends text at NUL, and UTF-8 has no half of a surrogate pair.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
# Names that the file system or the zarr format reserves in the folders of a zarr store, and the longest name there.
_RESERVED_NAMES = {"", ".", "..", "zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}
_MAX_NAME_BYTES = 255
_MAX_HDF5_MESSAGE_BYTES = (1 << 16) - 1


def find_unwritable_texts(names: Iterable[str]) -> list[str]:
    """Find names that an h5ad file cannot hold even as values: those with NUL or half of a surrogate pair."""
    return [name for name in names if _UNWRITABLE.search(name)]


def find_unwritable_fields(groups: Iterable[str]) -> list[str]:
    """Find groups that cannot be fields of records: the empty name in any file, a colon in zarr's format 2."""
    return [group for group in groups if not group or ":" in group]


def find_unwritable_columns(groups: Iterable[str], index_name: object = None) -> list[str]:
    """Find groups that cannot be columns of a table in an h5ad or zarr file; ``index_name`` is that of its index."""
    return [group for group in groups if "/" in group or group in {"_index", index_name} or _is_no_folder_name(group)]


def is_unwritable_entry(name: str) -> bool:
    """Tell whether h5ad or zarr files cannot hold an entry of ``uns`` or ``varm`` of this name.

    zarr reads a backslash as a slash, so that the entry would come back as one within another.
    """
    return "/" in name or "\\" in name or bool(_UNWRITABLE.search(name)) or _is_no_folder_name(name)


def _is_no_folder_name(name: str) -> bool:
    return name in _RESERVED_NAMES or len(name.encode(errors="surrogatepass")) > _MAX_NAME_BYTES


def exceed_hdf5_limit(groups: Sequence[str]) -> bool:
    """Tell whether groups are too many for an h5ad file to hold records with a field for each.

    HDF5 keeps the description of a dataset in messages of less than 64 KiB. That of records takes 10 bytes and, for
    each field, 52 and its name with a closing zero in units of 8 (the HDF5 file format's datatype message, version 1).
    """
    n_bytes = 10 + sum(52 + 8 * -(-(len(group.encode()) + 1) // 8) for group in groups)
    return n_bytes > _MAX_HDF5_MESSAGE_BYTES
