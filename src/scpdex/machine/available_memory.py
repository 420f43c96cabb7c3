"""Available memory: bytes that the machine, control groups (containers, batch jobs) and process limits leave."""

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

_CGROUPS_OF_PROCESS = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class _CGroups:
    """Mount point of one version of control groups, and the names of its files."""

    root: Path
    limit_file: str
    usage_file: str
    cache_entries: tuple[str, ...]
    """Entries of ``memory.stat`` for reclaimable file cache, descendants included; the first that exists counts."""


# In version 1, the entry without "total_" leaves descendants out. A hybrid hierarchy mounts version 2 below version 1.
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
# Address space of a thread, in bytes: its stack, and the arena that glibc reserves for its allocations.
_STACK_BYTES = 8 << 20
_ARENA_BYTES = 64 << 20
# Threads beside those that compute: one reads, one writes the result. Without room for these and one that computes,
# the interpreter or a compiled library ends the process instead of raising an error.
_HELPER_THREADS = 2


def available_memory(n_threads: int = 1) -> int:
    """Bytes that this process can still allocate, beside the address space of ``n_threads`` further threads.

    The least of what the machine has available, what the control groups (containers, batch jobs) of the process leave,
    and what its own limits leave (``ulimit -v`` and ``-d``).
    """
    available = int(psutil.virtual_memory().available)
    return max(0, min([available, *_bytes_left_in_cgroups(), *_bytes_left_by_limits(n_threads)]))


def fit_threads(n_threads: int) -> int:
    """Lower a number of threads until they fit half of the memory that the limits of this process leave.

    Raises
    ------
    MemoryError
        One thread does not fit.
    """
    for limit, left, bytes_per_thread in _process_limits():
        least = (1 + _HELPER_THREADS) * bytes_per_thread
        if left < least:
            msg = (
                f"the memory limit of this process ({limit}) leaves {max(0, left) / 1e6:,.0f} MB, and a call on one "
                f"thread needs {least / 1e6:,.0f} MB beside its data: raise the limit."
            )
            raise MemoryError(msg)
        n_threads = min(n_threads, max(1, left // 2 // bytes_per_thread - _HELPER_THREADS))
    return n_threads


def _bytes_left_in_cgroups() -> Iterator[int]:
    """Bytes that each control group of this process leaves, from its own up to the root."""
    for line in (_read_text(_CGROUPS_OF_PROCESS) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        versions = _VERSION_1 if "memory" in controllers.split(",") else () if controllers else _VERSION_2
        for version in versions:
            folder = version.root / path.lstrip("/")
            for group in (folder, *folder.parents):
                limit = _parse_number(_read_text(group / version.limit_file))
                # Not a number without a limit ("max"), or without such a file.
                if limit is not None:
                    used = _parse_number(_read_text(group / version.usage_file)) or 0
                    yield limit - used + _file_cache(group, version)


def _file_cache(group: Path, version: _CGroups) -> int:
    """Bytes of file cache that a control group counts as used, and that the system can reclaim."""
    stat = dict(line.split(" ", 1) for line in (_read_text(group / "memory.stat") or "").splitlines() if " " in line)
    sizes = (_parse_number(stat.get(name)) for name in version.cache_entries)
    return next((n_bytes for n_bytes in sizes if n_bytes is not None), 0)


def _process_limits() -> Iterator[tuple[str, int, int]]:
    """Name each soft memory limit of this process, with the bytes that it leaves and the bytes that a thread takes."""
    # Windows has no such limits.
    if sys.platform == "win32":
        return
    used = psutil.Process().memory_info()
    for option, limit, n_bytes, bytes_per_thread in (
        ("-v", resource.RLIMIT_AS, used.vms, _STACK_BYTES + _ARENA_BYTES),
        ("-d", resource.RLIMIT_DATA, getattr(used, "data", used.vms), _STACK_BYTES),
    ):
        max_bytes, _ = resource.getrlimit(limit)
        if max_bytes != resource.RLIM_INFINITY:
            yield f"ulimit {option}", max_bytes - n_bytes, bytes_per_thread


def _bytes_left_by_limits(n_threads: int) -> Iterator[int]:
    """Bytes that each limit of this process leaves beside its threads: at least half, since arenas may be smaller."""
    for _, left, bytes_per_thread in _process_limits():
        yield max(left // 2, left - n_threads * bytes_per_thread)


def _read_text(path: Path) -> str | None:
    """Read a file of the system; None if it does not exist or cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return None


def _parse_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdecimal() else None
