"""Resources: what a call may use of the machine."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np
import psutil

from scpdex.facts import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform != "win32":
    import resource

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)\s*((?:[kmgt]i?)?)b?\s*", re.IGNORECASE | re.ASCII)
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


@dataclass(frozen=True)
class Resources:
    """What a call may use, and whether it shows progress."""

    limits: Limits
    low_memory: bool | None
    """Whether data are read in chunks; None: if they are on disk."""
    show_progress: bool | None
    """None: when the work is long and someone is watching."""

    @classmethod
    def of(
        cls,
        *,
        n_jobs: int | None = None,
        max_memory: str | float | None = None,
        gene_chunk_size: int | None = None,
        low_memory: bool | None = None,
        show_progress: bool | None = None,
    ) -> Resources:
        """Check and resolve the arguments of the same names of the public function."""
        if n_jobs is None or (n_jobs == -1 and not isinstance(n_jobs, bool)):
            n_jobs = joblib.cpu_count()
        elif not _is_number(n_jobs):
            msg = f"n_jobs={n_jobs!r} is not valid: pass a number of threads from 1 up, or None or -1 for all cores."
            raise ValueError(msg)
        if gene_chunk_size is not None:
            _refuse_genes(gene_chunk_size)
        n_threads = _fit_threads(int(n_jobs))
        n_bytes = available_memory(n_threads) // 2 if max_memory is None else _bytes(max_memory)
        limits = Limits(n_threads, n_bytes, None if gene_chunk_size is None else int(gene_chunk_size))
        return cls(limits, low_memory, show_progress)

    def with_most_genes(self, gene_chunk_size: int) -> Resources:
        """Let no block have more genes than so many; the plan may choose fewer."""
        _refuse_genes(gene_chunk_size)
        return replace(self, limits=replace(self.limits, most_genes=int(gene_chunk_size)))


def _refuse_genes(gene_chunk_size: object) -> None:
    if not _is_number(gene_chunk_size):
        msg = f"gene_chunk_size={gene_chunk_size!r} is not valid: pass a number of genes from 1 up."
        raise ValueError(msg)


def available_memory(n_threads: int = 1) -> int:
    """Bytes that this process can still allocate, beside what so many further threads take of its address space.

    The least of what the machine has, what the control groups (containers, jobs) of the process leave, and what its
    own limits leave (``ulimit -v`` and ``-d``).
    """
    available = int(psutil.virtual_memory().available)
    return max(0, min([available, *_left_in_groups(), *_left_of_limits(n_threads)]))


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


def _fit_threads(n_threads: int) -> int:
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


def _read(path: Path) -> str | None:
    """Give the text of a file of the system; None where there is none, or none that may be read."""
    try:
        return path.read_text()
    except OSError:
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdecimal() else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 1


def _bytes(size: str | float) -> int:
    n_bytes: float | None = None
    if isinstance(size, str):
        if match := _SIZE.fullmatch(size):
            n_bytes = float(match[1]) * _UNITS[match[2].lower()]
    elif isinstance(size, int | float | np.integer | np.floating) and not isinstance(size, bool):
        n_bytes = float(size) if isinstance(size, np.floating) else size
    if n_bytes is not None and 1 <= n_bytes < float("inf"):
        return min(int(n_bytes), sys.maxsize)
    msg = f"max_memory={size!r} is not valid: pass bytes, a size such as '2GB' or '500MiB', or None."
    raise ValueError(msg)
