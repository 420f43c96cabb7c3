"""File entries: results in ``uns`` and ``varm`` of an h5ad file or zarr store, read, and written to an h5ad file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import h5py
import zarr
from anndata.io import read_elem, write_elem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# An entry of uns that is or lists a result has at least one of these.
_FIELDS_OF_RESULTS = {"groups", "names", "params", "splits"}


@dataclass(frozen=True)
class EntryChanges:
    """How the entries of ``uns`` or ``varm`` differ from those before."""

    written: dict[str, Any]
    """New and replaced entries."""
    removed: tuple[str, ...]

    @classmethod
    def between(cls, before: Mapping[str, Any], after: Mapping[str, Any]) -> Self:
        """Compare entries by identity."""
        written = {name: value for name, value in after.items() if name not in before or value is not before[name]}
        return cls(written, tuple(name for name in before if name not in after))


def read_uns(root: Any, *, with_results: bool) -> dict[str, Any]:
    """Read ``"log1p"`` and, if asked for, all results in ``uns`` of an open file; other entries are then None."""
    if "uns" not in root:
        return {}
    names = list(root["uns"]) if with_results else [name for name in root["uns"] if name == "log1p"]
    return {name: _read_entry(root["uns"], name) for name in names}


def _read_entry(uns: Any, name: str) -> Any:
    is_group = isinstance(uns[name], h5py.Group | zarr.Group)
    return read_elem(uns[name]) if name == "log1p" or (is_group and _FIELDS_OF_RESULTS & set(uns[name])) else None


def open_varm(root: Any) -> dict[str, Any]:
    """Give the entries of ``varm`` of an open file; arrays stay on the disk."""
    # Groups of zarr have no `items`.
    entries = {name: root["varm"][name] for name in root.get("varm", ())}
    return {
        name: entry if isinstance(entry, h5py.Dataset | zarr.Array) else read_elem(entry)
        for name, entry in entries.items()
    }


def write_entries(path: Path, changes: Mapping[str, EntryChanges]) -> None:
    """Write changed entries of ``uns`` and ``varm`` to an h5ad file, and nothing else."""
    with h5py.File(path, "r+") as file:
        for place in changes:
            if place not in file:
                # Files of other programs may lack it.
                write_elem(file, place, {})
        # All removals come first, since HDF5 uses freed space again only while the file is open.
        for place, changed in changes.items():
            for name in (*changed.removed, *changed.written):
                if name in file[place]:
                    del file[place][name]
        for place, changed in changes.items():
            for name, value in changed.written.items():
                write_elem(file[place], name, value)
