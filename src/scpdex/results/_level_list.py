"""Level list: the entry of uns that lists the levels of a split column, whose results have keys of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scpdex.results._converted_forms import read_names
from scpdex.results._scanpy_records import make_name_array
from scpdex.results._stored_parameters import read_params


def make_level_key(key: str, level: str | None) -> str:
    """Make the key in ``uns`` of the result of a level; None stands for all cells."""
    return key if level is None else f"{key}_{level}"


def is_of_level(entry: Any) -> bool:
    """Tell whether an entry of ``uns`` is the result of a level."""
    return "split" in read_params(entry)


@dataclass(frozen=True)
class LevelList:
    """The levels that have results, and the groups of all of these results in their order."""

    params: dict[str, Any]
    levels: tuple[str, ...]
    groups: tuple[str, ...]

    @classmethod
    def read(cls, entry: Any) -> LevelList | None:
        """Read an entry of ``uns``; None if it lists no levels."""
        if not isinstance(entry, Mapping) or "splits" not in entry or not entry.keys() & {"params", "groups"}:
            return None
        return cls(read_params(entry), read_names(entry["splits"]), read_names(entry.get("groups")))

    def make_entry(self) -> dict[str, Any]:
        """Make the entry of ``uns``."""
        return {
            "params": self.params,
            "splits": make_name_array(self.levels),
            "groups": make_name_array(self.groups),
        }

    def keys(self, key: str) -> list[str]:
        """List the key in ``uns`` of the result of each level."""
        return [make_level_key(key, level) for level in self.levels]
