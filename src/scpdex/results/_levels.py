"""Split: results of the levels of a column, each under a key of its own, and the entry that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scpdex.results._converted_forms import read_names, read_params
from scpdex.results._scanpy_records import strings


def key_of_level(key: str, level: str | None) -> str:
    """Key in ``uns`` of the result of a level; None is that of all cells."""
    return key if level is None else f"{key}_{level}"


def is_of_level(entry: Any) -> bool:
    """Tell whether an entry of ``uns`` is the result of a level."""
    return "split" in read_params(entry)


@dataclass(frozen=True)
class Levels:
    """The levels of which there are results, and the groups of all of these in their order."""

    params: dict[str, Any]
    levels: tuple[str, ...]
    groups: tuple[str, ...]

    @classmethod
    def read(cls, entry: Any) -> Levels | None:
        """Read an entry of ``uns``; None if it does not list levels."""
        if not isinstance(entry, Mapping) or "splits" not in entry or not entry.keys() & {"params", "groups"}:
            return None
        return cls(read_params(entry), read_names(entry["splits"]), read_names(entry.get("groups")))

    def entry(self) -> dict[str, Any]:
        """Make the entry of ``uns``."""
        return {"params": self.params, "splits": strings(self.levels), "groups": strings(self.groups)}

    def keys(self, key: str) -> list[str]:
        """Give the key in ``uns`` of the result of each level."""
        return [key_of_level(key, level) for level in self.levels]
