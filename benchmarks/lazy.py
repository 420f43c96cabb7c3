"""Run the dask cases: the same file through dask, on this machine and on a cluster of worker processes, and backed."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
from anndata.experimental import read_lazy
from disk import have_memory
from distributed import Client, LocalCluster

import scpdex

if TYPE_CHECKING:
    from pathlib import Path

    from cases import Case


def run_lazy_case(case: Case, adata: ad.AnnData, n_threads: int, repeats: int, folder: Path) -> dict[str, Any]:
    """Alternate the backed file, the lazily opened one, its chunks by dask's threads and by a cluster; give the row."""
    path = folder / f"{case.name}, lazy.h5ad"
    adata.write_h5ad(path, compression=case.compression)

    def seconds(data: ad.AnnData) -> float:
        have_memory()
        start = time.perf_counter()
        scpdex.tl.rank_genes_parallel(
            data, "group", method=case.method, reference=case.reference, tie_correct=True, n_jobs=n_threads
        )
        return time.perf_counter() - start

    times: dict[str, list[float]] = {"backed": [], "lazily opened": [], "dask threads": [], "dask cluster": []}
    with LocalCluster(n_workers=n_threads, threads_per_worker=1, dashboard_address=None) as cluster:
        for i in range(repeats + 1):
            for name, found in times.items():
                with ExitStack() as stack:
                    if name == "dask cluster":
                        stack.enter_context(Client(cluster))
                    data = ad.read_h5ad(path, backed="r") if name == "backed" else read_lazy(path)
                    if name == "dask threads":
                        # A graph that does more than to read is computed by dask.
                        data.X = data.X.map_blocks(lambda chunk: chunk)
                    taken = seconds(data)
                if i:
                    # The first round compiles what there is to compile, in every process.
                    found.append(taken)
    medians = {name: float(np.median(found)) for name, found in times.items()}
    row: dict[str, Any] = {"through dask": case.name} | {f"{name} s": value for name, value in medians.items()}
    for name in ("lazily opened", "dask threads", "dask cluster"):
        ratios = [a / b for a, b in zip(times[name], times["backed"], strict=True)]
        row[f"x backed, {name}"] = float(np.median(ratios))
    return row
