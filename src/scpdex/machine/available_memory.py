"""Available memory: what the machine, control groups (containers, batch jobs) and limits of the process leave."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform != "win32":
    import resource

_OWN_GROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class _CGroups:
    """One version of control groups: where it is mounted, and its files."""

    root: Path
    limit: str
    used: str
    cache: tuple[str, ...]
    """Entries of ``memory.stat`` for file cache that makes way, descendants included; the first that exists counts."""


# Version 1 counts the group alone under the plain name. In a hybrid hierarchy, version 2 is mounted below version 1.
_VERSION_1 = (
    _CGroups(
        Path("/sys/fs/cgroup/memory"),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        ("total_inactive_file", "inactive_file"),
    ),
)
_VERSION_2 = tuple(
    _CGroups(Path(root), "memory.max", "memory.current", ("inactive_file",))
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
)
# Address space of a thread: its stack, and what glibc reserves for its allocations.
_BYTES_OF_STACK = 8 << 20
_BYTES_OF_ARENA = 64 << 20
# Threads beside those that compute: one reads, one writes the result. Without room for these and one more, the
# interpreter or a compiled library ends the process without an error that could be raised.
_OTHER_THREADS = 2


def available_memory(n_threads: int = 1) -> int:
    """Bytes that this process can still allocate, beside what so many further threads take of its address space.

    The least of what the machine has, what the control groups (containers, jobs) of the process leave, and what its
    own limits leave (``ulimit -v`` and ``-d``).
    """
    available = int(psutil.virtual_memory().available)
    return max(0, min([available, *_left_in_groups(), *_left_of_limits(n_threads)]))


def fit_threads(n_threads: int) -> int:
    """Lower a number of threads to what the limits of this process have room for, in half of what they leave.

    Raises
    ------
    MemoryError
        There is no room for one.
    """
    for limit, left, bytes_per_thread in _process_limits():
        least = (1 + _OTHER_THREADS) * bytes_per_thread
        if left < least:
            msg = (
                f"the memory limit of this process ({limit}) leaves {max(0, left) / 1e6:,.0f} MB, and a call on one "
                f"thread needs {least / 1e6:,.0f} MB beside its data: raise the limit."
            )
            raise MemoryError(msg)
        n_threads = min(n_threads, max(1, left // 2 // bytes_per_thread - _OTHER_THREADS))
    return n_threads


def _left_in_groups() -> Iterator[int]:
    """Bytes that each control group on the way up leaves."""
    for line in (_read(_OWN_GROUPS) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        versions = _VERSION_1 if "memory" in controllers.split(",") else () if controllers else _VERSION_2
        for version in versions:
            folder = version.root / path.lstrip("/")
            for group in (folder, *folder.parents):
                limit = _number(_read(group / version.limit))
                # No number where there is no limit ("max"), or no such file.
                if limit is not None:
                    used = _number(_read(group / version.used)) or 0
                    yield limit - used + _file_cache(group, version)


def _file_cache(group: Path, version: _CGroups) -> int:
    """Bytes of files in the system's cache that a control group counts as used and that make way."""
    stat = dict(line.split(" ", 1) for line in (_read(group / "memory.stat") or "").splitlines() if " " in line)
    found = (_number(stat.get(name)) for name in version.cache)
    return next((n_bytes for n_bytes in found if n_bytes is not None), 0)


def _process_limits() -> Iterator[tuple[str, int, int]]:
    """Name each soft limit of this process on memory, with the bytes that it leaves and those that a thread takes."""
    # Windows has no such limits.
    if sys.platform == "win32":
        return
    used = psutil.Process().memory_info()
    for option, limit, n_bytes, bytes_per_thread in (
        ("-v", resource.RLIMIT_AS, used.vms, _BYTES_OF_STACK + _BYTES_OF_ARENA),
        ("-d", resource.RLIMIT_DATA, getattr(used, "data", used.vms), _BYTES_OF_STACK),
    ):
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY:
            yield f"ulimit {option}", most - n_bytes, bytes_per_thread


def _left_of_limits(n_threads: int) -> Iterator[int]:
    """Bytes that the limits of this process leave beside its threads, arenas of which may be smaller."""
    for _, left, bytes_per_thread in _process_limits():
        yield max(left // 2, left - n_threads * bytes_per_thread)


def _read(path: Path) -> str | None:
    """Give the text of a file of the system; None where there is none, or none that may be read."""
    try:
        return path.read_text()
    except OSError:
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdecimal() else None
