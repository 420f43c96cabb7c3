"""Run the drop-ins for pdex beside pdex 0.1.28 and 0.3, and tests beside scipy's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scaled import cut_genes, scaled
from scipy import stats
from tools import TOOLS

import scpdex

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from cases import Case

_PAIRS_OF_SCIPY = 60
TESTS_OF_SCIPY: dict[str, Callable[..., Any]] = {
    "anderson": lambda group, others: stats.anderson_ksamp([group, others]),
    "brunner-munzel": lambda group, others: stats.brunnermunzel(others, group),
}


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def old_pdex(folder: Path, path: Path, metric: str, reference: str, n_threads: int) -> float:
    """Time pdex 0.1.28, which is installed in a folder of its own, in a process of its own."""
    script = Path(__file__).with_name("old_pdex.py")
    command = [sys.executable, script, path, metric, reference, str(n_threads)]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout.splitlines()[-1])


def run_table_case(
    case: Case, adata: AnnData, n_threads: int, repeats: int, folder: Path, old: Path | None
) -> dict[str, Any]:
    """Alternate the drop-in and pdex 0.1.28; give the row of the table."""
    adata = adata.copy()
    adata.X = adata.X.astype(np.float64)
    path = folder / f"{case.name}, {case.method}.h5ad"
    adata.write_h5ad(path)
    calls: dict[str, Callable[[], float]] = {"scpdex": lambda: seconds(lambda: drop_in(adata, case, n_threads))}
    if old is not None:
        calls["pdex 0.1.28"] = lambda: old_pdex(old, path, case.method, case.reference, n_threads)
    few = adata[:, :20].copy()
    drop_in(few, case, n_threads)
    times = {name: [call() for _ in range(repeats)] for name, call in calls.items()}
    row: dict[str, Any] = {"drop-in": f"{case.name}, {case.method}", "cells": adata.n_obs, "genes": adata.n_vars}
    row |= {f"{name} s": float(np.median(found)) for name, found in times.items()}
    for name in calls.keys() - {"scpdex"}:
        row[f"x {name}"] = float(np.median([a / b for a, b in zip(times[name], times["scpdex"], strict=True)]))
    return row


def run_pdex_case(case: Case, adata: AnnData, n_threads: int, repeats: int) -> dict[str, Any]:
    """Alternate the drop-in and pdex 0.3, whose tables are polars; give the row of the table."""
    import pdex

    adata = adata.copy()
    adata.X = adata.X.astype(np.float64)
    arguments: dict[str, Any] = {"groupby": "group", "threads": n_threads, "is_log1p": True}
    arguments |= {"mode": "all"} if case.reference == "rest" else {"mode": "ref", "reference": case.reference}
    parts, few = cut_genes(adata, case.peers["pdex"]), adata[:, :20].copy()
    for compare in (scpdex.pdex, pdex.pdex):
        compare(few, **arguments)
    times: dict[str, list[float]] = {"scpdex": [], "pdex 0.3": []}
    for i in range(repeats):
        times["scpdex"].append(seconds(lambda: scpdex.pdex(adata, **arguments)))
        if parts[0] is adata or i < max(1, repeats // 2):
            of_parts = [seconds(lambda part=part: pdex.pdex(part, **arguments)) for part in parts]
            times["pdex 0.3"].append(scaled(of_parts, parts, adata))
    medians = {name: float(np.median(of_name)) for name, of_name in times.items()}
    row: dict[str, Any] = {"drop-in": f"{case.name}, {arguments['mode']}", "cells": adata.n_obs, "genes": adata.n_vars}
    row |= {f"{name} s": median for name, median in medians.items()}
    return row | {"x pdex 0.3": medians["pdex 0.3"] / medians["scpdex"], "is scaled": parts[0] is not adata}


def drop_in(adata: AnnData, case: Case, n_threads: int) -> None:
    """Call the drop-in."""
    scpdex.parallel_differential_expression(
        adata,
        groupby_key="group",
        reference=case.reference,
        metric=case.method,
        num_workers=n_threads,
        is_log1p=True,
        show_progress=False,
    )


def run_scipy_case(case: Case, adata: AnnData, n_threads: int, repeats: int) -> dict[str, Any]:
    """Time a call, the Wilcoxon test in turn, and scipy on pairs of a group and a gene, extended to all pairs."""
    methods = (case.method, "wilcoxon")
    for method in methods:
        TOOLS["scpdex"](adata[:, :20].copy(), method, case.reference, n_threads)
    calls = {method: partial(TOOLS["scpdex"], adata, method, case.reference, n_threads) for method in methods}
    times_of = {method: [] for method in methods}
    for _ in range(repeats):
        for method in methods:
            times_of[method].append(seconds(calls[method]))
    labels, rng = adata.obs["group"].to_numpy(), np.random.default_rng(0)
    groups = adata.obs["group"].cat.categories.drop(case.reference, errors="ignore")
    columns = adata.X.tocsc()
    times = []
    for _ in range(_PAIRS_OF_SCIPY):
        group, gene = rng.choice(groups), rng.integers(adata.n_vars)
        values = columns[:, [gene]].toarray().ravel()
        of_group = labels == group
        sides = [values[of_group], values[~of_group if case.reference == "rest" else labels == case.reference]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            times.append(seconds(lambda sides=sides: TESTS_OF_SCIPY[case.method](*sides)))
    of_scipy = float(np.mean(times)) * adata.n_vars * groups.size
    median, wilcoxon = (float(np.median(times_of[method])) for method in methods)
    return {
        "test": case.method,
        "case": case.name,
        "scpdex s": median,
        "times Wilcoxon": median / wilcoxon,
        "scipy's loop s (scaled)": of_scipy,
        "x scipy": of_scipy / median,
        "microseconds a pair and thread": median * 1e6 * n_threads / adata.n_vars / groups.size,
    }
