"""Run the cases: tools in turn on the same matrix, medians and ratios as a table, JSON and a chart."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
from cases import CASES, Case, quick
from data import generate, pbmc3k
from tools import TOOLS

if TYPE_CHECKING:
    from anndata import AnnData


def seconds(tool: str, adata: AnnData, case: Case, n_threads: int) -> float:
    """Time one call."""
    start = time.perf_counter()
    TOOLS[tool](adata, case.method, case.reference, n_threads)
    return time.perf_counter() - start


def bandwidth(n_threads: int) -> float:
    """Bytes a second of one streaming read of 1 GB by all threads, the median of 5."""
    parts = np.array_split(np.ones(1 << 27, dtype=np.uint64), n_threads)
    times = []
    with ThreadPoolExecutor(n_threads) as pool:
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(np.sum, parts))
            times.append(time.perf_counter() - start)
    return (1 << 30) / float(np.median(times))


def n_bytes(matrix: Any) -> int:
    """Memory that a matrix takes."""
    if isinstance(matrix, np.ndarray):
        return matrix.nbytes
    return matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes


def peak_memory(path: Path, case: Case, tool: str, n_threads: int) -> float:
    """Megabytes that one call takes beyond the loaded matrix, in a process of its own."""
    script = Path(__file__).parent / "memory.py"
    command = [sys.executable, script, path, tool, case.method, case.reference, str(n_threads)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def run_case(
    case: Case, adata: AnnData, n_threads: int, repeats: int, read_speed: float, folder: Path
) -> dict[str, Any]:
    """Alternate scpdex and its peers, and give the row of the table."""
    # Before anything is ranked: HDF5 cannot hold the record arrays of thousands of groups.
    path = folder / "matrix.h5ad"
    adata.write_h5ad(path)
    parts = {"scpdex": adata}
    for tool, share in case.peers.items():
        n_genes = max(1, round(share * adata.n_vars))
        parts[tool] = adata if share == 1 else adata[:, :n_genes].copy()
    for tool, part in parts.items():
        # compiles what there is to compile
        seconds(tool, part[:, : min(20, part.n_vars)].copy(), case, n_threads)
    times: dict[str, list[float]] = {tool: [] for tool in parts}
    for i in range(repeats):
        for tool, part in parts.items():
            if tool == "scpdex" or i < max(1, repeats // 2):
                times[tool].append(seconds(tool, part, case, n_threads) * adata.n_vars / part.n_vars)
    ours = float(np.median(times["scpdex"]))
    values = adata.X if isinstance(adata.X, np.ndarray) else adata.X.data
    nonzero = int(np.count_nonzero(values))
    row: dict[str, Any] = {"case": case.name, "cells": adata.n_obs, "genes": adata.n_vars, "non-zeros": nonzero}
    row |= {"scpdex s": ours, "ns per non-zero and core": ours * 1e9 * n_threads / nonzero}
    row |= {"x reading the matrix": ours * read_speed / n_bytes(adata.X)}
    row |= {"extra MB": peak_memory(path, case, "scpdex", n_threads)}
    if n_threads > 1:
        alone = float(np.median([seconds("scpdex", adata, case, 1) for _ in range(repeats)]))
        row |= {f"1 -> {n_threads} threads": alone / ours}
    for tool, share in case.peers.items():
        mark = "" if share == 1 else " (scaled)"
        row |= {f"{tool} s": f"{np.median(times[tool]):.2f}{mark}", f"x {tool}": float(np.median(times[tool])) / ours}
    return row


def versions() -> dict[str, str]:
    """Versions of what was measured and of the machine."""
    found = {"python": platform.python_version(), "machine": platform.processor() or platform.machine()}
    for name in ("scpdex", "illico", "scanpy", "pdex", "anndata", "numba", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw the ratios to each peer as bars."""
    import matplotlib as mpl

    mpl.use("Agg")
    ratios = table.set_index("case")[
        [column for column in table if column.startswith("x ") and "reading" not in column]
    ]
    axes = ratios.iloc[::-1].plot.barh(figsize=(9, 0.6 * len(ratios) + 1.5), logx=True)
    axes.set(xlabel="times as fast as the peer", ylabel="")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.figure.savefig(path, bbox_inches="tight", dpi=120)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small matrices, one repetition: about 3 minutes")
    parser.add_argument("--only", default="", help="run the cases whose name holds this")
    parser.add_argument("--threads", type=int, default=joblib.cpu_count())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    chosen = [quick(case) if options.quick else case for case in CASES if options.only in case.name]
    read_speed = bandwidth(options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for recipe in dict.fromkeys(case.recipe for case in chosen):
            rows_of = generate(recipe) if recipe is not None else pbmc3k()
            for case in (case for case in chosen if case.recipe == recipe):
                adata = rows_of.copy()
                adata.X = rows_of.X.toarray() if case.storage == "dense" else rows_of.X.asformat(case.storage)
                repeats = 1 if options.quick else 5
                rows.append(run_case(case, adata, options.threads, repeats, read_speed, Path(folder)))
                print(json.dumps(rows[-1]), flush=True)
    table = pd.DataFrame(rows)
    print(table.round(2).to_string(index=False))
    options.out.mkdir(parents=True, exist_ok=True)
    report = {"versions": versions(), "threads": options.threads, "read GB/s": read_speed / 1e9, "cases": rows}
    (options.out / "bench.json").write_text(json.dumps(report, indent=1))
    draw(table, options.out / "bench.png")
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
