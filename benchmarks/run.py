"""Run the cases: tools in turn on the same matrix, medians and ratios as a table, JSON and a chart."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
import psutil
from cases import CASES, DISK_CASES, LAZY_CASES, MARKER_CASES, PAIR_CASES, SPLIT_CASES, TABLE_CASES, Case, quick, small
from data import cut, read, stored_as
from disk import run_disk_case
from lazy import run_lazy_case
from markers import run_marker_case
from pairs import run_pair_case
from scaled import cut_genes, scaled
from splits import run_split_case
from tables import TESTS_OF_SCIPY, run_pdex_case, run_scipy_case, run_table_case
from tools import TOOLS

if TYPE_CHECKING:
    from anndata import AnnData

# Of one gene and group: a pointer to the name, two float32 and two float64.
RESULT_BYTES = 32


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


def run_script(name: str, *arguments: Any, cache: Path | None = None) -> list[float]:
    """Run a script of this folder in a process of its own and give the numbers that it prints last."""
    command = [sys.executable, Path(__file__).parent / name, *map(str, arguments)]
    # scpdex reads kernels from the installation too, unless Numba is told which folders count.
    only = {"NUMBA_CACHE_DIR": str(cache), "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
    environment = os.environ | ({} if cache is None else only)
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return [float(word) for word in done.stdout.splitlines()[-1].split()]


def run_case(
    case: Case, adata: AnnData, n_threads: int, repeats: int, read_speed: float, folder: Path, *, with_memory: bool
) -> dict[str, Any]:
    """Alternate scpdex, on one thread and on all, and its peers; give the row of the table."""
    # Before anything is ranked: HDF5 cannot hold the record arrays of thousands of groups.
    path = folder / "matrix.h5ad"
    adata.write_h5ad(path)
    parts = {"scpdex": [adata]}
    for tool, share in case.peers.items():
        parts[tool] = cut_genes(adata, share)
        # compiles what there is to compile
        seconds(tool, adata[:, :20].copy(), case, n_threads)
    seconds("scpdex", adata[:, :20].copy(), case, n_threads)
    times: dict[str, list[float]] = {tool: [] for tool in parts}
    alone: list[float] = []
    for i in range(repeats):
        for tool, some in parts.items():
            if tool == "scpdex" or i < max(1, repeats // 2):
                times[tool].append(scaled([seconds(tool, part, case, n_threads) for part in some], some, adata))
        alone.append(seconds("scpdex", adata, case, 1))
    medians = {tool: float(np.median(of_tool)) for tool, of_tool in times.items()}
    ours = medians["scpdex"]
    values = adata.X if isinstance(adata.X, np.ndarray) else adata.X.data
    nonzero = int(np.count_nonzero(values))
    n_results = RESULT_BYTES * adata.n_vars * len(adata.uns["rank_genes_groups"]["names"].dtype.names)
    row: dict[str, Any] = {"case": case.name, "cells": adata.n_obs, "genes": adata.n_vars, "non-zeros": nonzero}
    row |= {"scpdex s": ours, "ns per non-zero and core": ours * 1e9 * n_threads / nonzero}
    row |= {"x reading the matrix": ours * read_speed / n_bytes(adata.X)}
    row |= {f"1 -> {n_threads} threads": float(np.median(alone)) / ours}
    for tool, some in parts.items():
        mark = "" if some[0] is adata else " (scaled)"
        if tool != "scpdex":
            row |= {f"{tool} s": f"{medians[tool]:.2f}{mark}", f"x {tool}": medians[tool] / ours}
        # Memory does not scale with the genes, and a process takes long to start.
        if some[0] is adata and with_memory:
            (peak,) = run_script("memory.py", path, tool, case.method, case.reference, n_threads)
            row[f"{tool} extra MB"] = peak
            if tool == "scpdex":
                row["extra without results, % of matrix"] = 100 * (peak * 1e6 - n_results) / n_bytes(adata.X)
    return row


def run_fresh(adata: AnnData, n_threads: int, repeats: int, folder: Path) -> list[dict[str, Any]]:
    """Time new processes that import a tool and call it once, with and without kernels cached on disk."""
    path = folder / "fresh.h5ad"
    adata.write_h5ad(path)
    found: dict[str, list[list[float]]] = {}
    for i in range(repeats):
        for tool in ("scpdex", "scanpy"):
            cache = folder / f"cache of {tool} {i}"
            for state in ("nothing cached", "kernels cached"):
                numbers = run_script("fresh.py", path, tool, "rest", n_threads, cache=cache)
                found.setdefault(f"{tool}, {state}", []).append(numbers)
    medians = {name: np.median(numbers, axis=0) for name, numbers in found.items()}
    return [
        {
            "fresh process": name,
            "import s": float(imports),
            "first call s": float(call),
            "both s": float(imports + call),
        }
        for name, (imports, call) in medians.items()
    ]


def processor() -> str:
    """Name the processor and count its cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {joblib.cpu_count()} cores"


def versions() -> dict[str, str]:
    """Versions of what was measured and of the machine."""
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    found = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": processor(), "memory": memory}
    found |= {"system": platform.platform(), "python": platform.python_version()}
    for name in ("scpdex", "illico", "scanpy", "pdex", "anndata", "dask", "numba", "numpy"):
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
    parser.add_argument("--small", action="store_true", help="only see that it runs: tiny matrices, one repetition")
    parser.add_argument("--only", default="", help="run the cases whose name holds this")
    parser.add_argument("--dask", action="store_true", help="run the cases through dask only")
    parser.add_argument("--disk", action="store_true", help="run the cases on disk only")
    parser.add_argument("--markers", action="store_true", help="score markers beside scranpy only")
    parser.add_argument("--pairs", action="store_true", help="run the cases of many groups and genes only")
    parser.add_argument("--splits", action="store_true", help="run the cases within levels and strata only")
    parser.add_argument("--tables", action="store_true", help="run the drop-ins for pdex and the tests of scipy only")
    parser.add_argument("--old-pdex", type=Path, help="folder that pdex 0.1.28 is installed in")
    parser.add_argument("--threads", type=int, default=joblib.cpu_count())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    kinds = {
        "disk": DISK_CASES,
        "dask": LAZY_CASES,
        "tables": TABLE_CASES,
        "splits": SPLIT_CASES,
        "markers": MARKER_CASES,
        "pairs": PAIR_CASES,
    }
    some = [case for kind, cases in kinds.items() if getattr(options, kind) for case in cases]
    cases = some or [*CASES, *(case for cases in kinds.values() for case in cases)]
    shrink = small if options.small else quick if options.quick else None
    chosen = [case if shrink is None else shrink(case) for case in cases if options.only in case.name]
    if options.small:
        # Once shrunk, some differ by name only.
        chosen = list({repr(replace(case, name="")): case for case in chosen}.values())
    read_speed = bandwidth(options.threads)
    rows: list[dict[str, Any]] = []
    disk_rows, lazy_rows, table_rows, pdex_rows = [], [], [], []
    scipy_rows, split_rows, marker_rows, pair_rows = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for recipe in dict.fromkeys(case.recipe for case in chosen):
            # Those of the recipe before make room.
            rows_of = adata = None
            rows_of = cut(read(recipe)) if options.small else read(recipe)
            for case in (case for case in chosen if case.recipe == recipe):
                adata = stored_as(case.storage, rows_of)
                repeats = 5 if shrink is None else 1
                if case.on_disk:
                    disk_rows.append(run_disk_case(case, adata, options.threads, repeats, Path(folder)))
                    print(json.dumps(disk_rows[-1]), flush=True)
                    continue
                if case.through_dask:
                    lazy_rows.append(run_lazy_case(case, adata, options.threads, repeats, Path(folder)))
                    print(json.dumps(lazy_rows[-1]), flush=True)
                    continue
                if case.drop_in == "pdex 0.1":
                    table_rows.append(
                        run_table_case(case, adata, options.threads, repeats, Path(folder), options.old_pdex)
                    )
                    print(json.dumps(table_rows[-1]), flush=True)
                    continue
                if case.drop_in == "pdex 0.3":
                    pdex_rows.append(run_pdex_case(case, adata, options.threads, repeats))
                    print(json.dumps(pdex_rows[-1]), flush=True)
                    continue
                if case.with_pairs:
                    pair_rows.append(run_pair_case(case, adata, options.threads, min(3, repeats)))
                    print(json.dumps(pair_rows[-1]), flush=True)
                    continue
                if case.scores_markers:
                    marker_rows.append(run_marker_case(case, adata, options.threads, repeats))
                    print(json.dumps(marker_rows[-1]), flush=True)
                    continue
                if case.within_levels:
                    split_rows.append(run_split_case(case, adata, options.threads, repeats))
                    print(json.dumps(split_rows[-1]), flush=True)
                    continue
                if case.method in TESTS_OF_SCIPY:
                    scipy_rows.append(run_scipy_case(case, adata, options.threads, repeats))
                    print(json.dumps(scipy_rows[-1]), flush=True)
                    continue
                with_memory = shrink is None or not rows
                rows.append(
                    run_case(case, adata, options.threads, repeats, read_speed, Path(folder), with_memory=with_memory)
                )
                print(json.dumps(rows[-1]), flush=True)
        fresh = []
        if not (options.only or some):
            rows_of = rows_of if options.small else read(None)
            fresh = run_fresh(rows_of, options.threads, 2 if shrink is None else 1, Path(folder))
    table = pd.DataFrame(rows)
    print(table.round(2).to_string(index=False))
    for more in (disk_rows, lazy_rows, table_rows, pdex_rows, scipy_rows, split_rows, marker_rows, pair_rows):
        print(pd.DataFrame(more).round(2).to_string(index=False))
    print(pd.DataFrame(fresh).round(2).to_string(index=False))
    options.out.mkdir(parents=True, exist_ok=True)
    report = {
        "versions": versions(),
        "threads": options.threads,
        "read GB/s": read_speed / 1e9,
        "cases": rows,
        "on disk": disk_rows,
        "through dask": lazy_rows,
        "drop-in for pdex 0.1": table_rows,
        "drop-in for pdex 0.3": pdex_rows,
        "tests of scipy": scipy_rows,
        "within levels": split_rows,
        "markers": marker_rows,
        "many groups and genes": pair_rows,
    }
    report["fresh processes"] = fresh
    (options.out / "bench.json").write_text(json.dumps(report, indent=1))
    if rows:
        draw(table, options.out / "bench.png")
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
