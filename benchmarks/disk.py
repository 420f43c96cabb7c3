"""Run the cases on disk: one backed file for all tools, beside reading it once, the call in memory, and three files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
from tools import TOOLS

if TYPE_CHECKING:
    from pathlib import Path

    from cases import Case

_VALUES_AT_A_TIME = 1 << 22
_N_FILES = 3
# A virtual machine may take memory back that was not used for seconds, and take seconds to give it again.
_MEMORY_AT_HAND = 2 << 30


def have_memory() -> None:
    """Touch the memory that is about to be used, whoever will use it."""
    np.empty(_MEMORY_AT_HAND, dtype=np.uint8)[::4096] = 1


def read_once(path: Path) -> float:
    """Time h5py on the values and indices of X, a run at a time."""
    backed = ad.read_h5ad(path, backed="r")
    have_memory()
    start = time.perf_counter()
    for name in ("data", "indices"):
        array = backed.X.group[name]
        for first in range(0, array.shape[0], _VALUES_AT_A_TIME):
            array[first : first + _VALUES_AT_A_TIME]
    return time.perf_counter() - start


def run_disk_case(case: Case, adata: ad.AnnData, n_threads: int, repeats: int, folder: Path) -> dict[str, Any]:
    """Alternate scpdex on one file, on three and in memory, reading, and peers on disk; give the row of the table."""
    # Peers leave their files open.
    path = folder / f"{case.name}.h5ad"
    adata.write_h5ad(path, compression=case.compression)
    few = folder / f"{case.name}, few genes.h5ad"
    adata[:, :20].copy().write_h5ad(few, compression=case.compression)

    edges = np.linspace(0, adata.n_obs, _N_FILES + 1).astype(int)
    files = [folder / f"{case.name}, file {i}.h5ad" for i in range(_N_FILES)]
    for file, start, stop in zip(files, edges[:-1], edges[1:], strict=True):
        adata[start:stop].write_h5ad(file, compression=case.compression)

    def seconds(tool: str, data: Any, **options: Any) -> float:
        have_memory()
        start = time.perf_counter()
        TOOLS[tool](data, case.method, case.reference, n_threads, **options)
        return time.perf_counter() - start

    for tool in ("scpdex", *case.peers):
        # compiles what there is to compile
        seconds(tool, ad.read_h5ad(few, backed="r"))
    times: dict[str, list[float]] = {}
    for i in range(repeats):
        found = {
            "h5py reads": read_once(path),
            "in memory": seconds("scpdex", adata),
            "scpdex": seconds("scpdex", ad.read_h5ad(path, backed="r")),
            "within 300 MB": seconds("scpdex", ad.read_h5ad(path, backed="r"), max_memory="300MB"),
            "three files": seconds("scpdex", files, copy=True),
        }
        if i < max(1, repeats // 2):
            found |= {tool: seconds(tool, ad.read_h5ad(path, backed="r")) for tool in case.peers}
        for name, value in found.items():
            times.setdefault(name, []).append(value)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    ratios = [
        ours / max(read, memory)
        for ours, read, memory in zip(times["scpdex"], times["h5py reads"], times["in memory"], strict=True)
    ]
    row: dict[str, Any] = {"on disk": case.name} | {f"{name} s": value for name, value in medians.items()}
    row["x the larger of reading and memory"] = float(np.median(ratios))
    row["x memory"] = float(np.median(np.divide(times["scpdex"], times["in memory"])))
    return row | {f"x {tool}": medians[tool] / medians["scpdex"] for tool in case.peers}
