"""Resources: what a call may use of the machine."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import psutil

from scpdex.facts import Limits

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)\s*([kmgt]?i?)b?\s*", re.IGNORECASE)
_OWN_GROUPS = Path("/proc/self/cgroup")
# Where each version of control groups is mounted, and its files for the limit and for what is used of it.
_CGROUPS = {
    "memory": (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
    "": (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
}


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
        n_bytes = available_memory() // 2 if max_memory is None else _bytes(max_memory)
        limits = Limits(int(n_jobs), n_bytes, None if gene_chunk_size is None else int(gene_chunk_size))
        return cls(limits, low_memory, show_progress)

    def with_most_genes(self, gene_chunk_size: int) -> Resources:
        """Let no block have more genes than so many; the plan may choose fewer."""
        _refuse_genes(gene_chunk_size)
        return replace(self, limits=replace(self.limits, most_genes=int(gene_chunk_size)))


def _refuse_genes(gene_chunk_size: object) -> None:
    if not _is_number(gene_chunk_size):
        msg = f"gene_chunk_size={gene_chunk_size!r} is not valid: pass a number of genes from 1 up, or None."
        raise ValueError(msg)


def available_memory() -> int:
    """Bytes that this process can still have: of the machine, and of the control groups (containers, jobs) it is in."""
    available = int(psutil.virtual_memory().available)
    for line in _OWN_GROUPS.read_text().splitlines() if _OWN_GROUPS.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers in _CGROUPS:
            root, limit, used = _CGROUPS[controllers]
            folder = root / path.lstrip("/")
            for group in (folder, *folder.parents):
                if (group / limit).exists():
                    available = min(available, _left_in(group, limit, used))
    return available


def _left_in(group: Path, limit: str, used: str) -> int:
    """Bytes that a control group leaves: files in the system's cache that nobody reads make way."""
    most = (group / limit).read_text().strip()
    if most == "max":
        return sys.maxsize
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return max(0, int(most) - int((group / used).read_text()) + int(stat.get("inactive_file", 0)))


def _is_number(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 1


def _bytes(size: str | float) -> int:
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if match:
        return int(float(match[1]) * _UNITS[match[2].lower()])
    if isinstance(size, int | float | np.number) and not isinstance(size, bool) and 1 <= size < float("inf"):
        return int(size)
    msg = f"max_memory={size!r} is not valid: pass bytes, a size such as '2GB' or '500MiB', or None."
    raise ValueError(msg)
