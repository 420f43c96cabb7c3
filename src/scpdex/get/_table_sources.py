"""Table sources: a result that an AnnData holds or names, and one in a Parquet file, as a table reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from scpdex.matrix import is_path
from scpdex.messages.stored_results import warn_of_renamed_labels
from scpdex.results import LevelList, ParquetResult, RankedResult, read_groups, read_steps

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from scpdex.results import RankedGenes


class TableSource(ABC):
    """A stored result, or the results of all levels."""

    place: str
    """Where it is, for messages."""
    adata: AnnData | None
    """The object that holds or names it."""
    levels: LevelList | None
    groups_by_key: dict[str, tuple[str, ...]]
    """Groups of the result, or of that of each level."""

    @property
    def all_groups(self) -> list[str]:
        """Groups of all levels, in the order of the ranking."""
        groups = list(dict.fromkeys(name for names in self.groups_by_key.values() for name in names))
        if self.levels is not None:
            # The list has the groups in order; only the results of the levels have those that were renamed later.
            position_of = {name: i for i, name in enumerate(self.levels.groups)}
            groups.sort(key=lambda name: position_of.get(name, len(position_of)))
        return groups

    @abstractmethod
    def warn_of_renamed_labels(self) -> None:
        """Warn of groups and levels whose labels ``obs`` no longer has."""

    @abstractmethod
    def read(
        self, key: str, groups: Sequence[str], fields: Container[str] | None
    ) -> Iterator[RankedResult[RankedGenes]]:
        """Read some groups of a result; of a file, only some fields, and a few groups at a time."""


class ObjectSource(TableSource):
    """A result under a key of ``uns``."""

    def __init__(self, adata: AnnData, key: str) -> None:
        """Read its groups."""
        self.place = f"adata.uns[{key!r}]"
        self.adata: AnnData = adata
        self._key = key
        self.levels = LevelList.read(adata.uns.get(key))
        keys = [key] if self.levels is None else self.levels.keys(key)
        self.groups_by_key = {level_key: read_groups(adata, level_key) for level_key in keys}

    def warn_of_renamed_labels(self) -> None:
        """Warn of groups and levels whose labels ``obs`` no longer has."""
        warn_of_renamed_labels(self.adata, self._key)

    def read(
        self, key: str, groups: Sequence[str], fields: Container[str] | None
    ) -> Iterator[RankedResult[RankedGenes]]:
        """Read some groups of a result."""
        return read_steps(self.adata, key, groups, fields)


class FileSource(TableSource):
    """A result in a Parquet file."""

    adata = None

    def __init__(self, path: Any) -> None:
        """Read its metadata."""
        self._file = ParquetResult.open(path)
        self.place = repr(str(self._file.path))
        self.levels = self._file.levels
        names = [""] if self.levels is None else self.levels.levels
        self._positions = {name: i for i, name in enumerate(names)}
        self.groups_by_key = {name: self._file.groups(i) for name, i in self._positions.items()}

    def warn_of_renamed_labels(self) -> None:
        """Do nothing: there is no ``obs``."""

    def read(
        self, key: str, groups: Sequence[str], fields: Container[str] | None
    ) -> Iterator[RankedResult[RankedGenes]]:
        """Read some groups and fields of a result, a few groups at a time."""
        file, position = self._file, self._positions[key]
        for ranked in file.read_steps(position, groups, fields):
            yield RankedResult(
                file.params(position),
                ranked,
                file.gene_names,
                np.full(file.gene_names.size, -1),
                uses_raw=False,
                fractions={},
                fields_of_file=file.fields,
            )


def open_source(adata: Any, key: str) -> TableSource:
    """Open a result of an AnnData, or the one in a file.

    Raises
    ------
    FileNotFoundError, ImportError, OSError, ValueError
        The file cannot be read, or is not a result of scpdex.
    KeyError
        The object has no result under the key, or it lacks a field.
    TypeError
        It is neither an AnnData nor a path.
    """
    if isinstance(adata, AnnData):
        return ObjectSource(adata, key)
    if is_path(adata):
        return FileSource(adata)
    msg = f"adata is a {type(adata).__name__}; pass an AnnData, or the path of a Parquet file."
    raise TypeError(msg)
