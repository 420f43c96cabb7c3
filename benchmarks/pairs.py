"""Run a case of many groups and genes, in both layouts of the result: time, cost of a pair, growth of the process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from memory import measure_growth
from tools import TOOLS

if TYPE_CHECKING:
    from anndata import AnnData
    from cases import Case

_FEW_GROUPS = 20
_MEGABYTE = 1e6


def run_pair_case(case: Case, adata: AnnData, n_threads: int, repeats: int) -> dict[str, Any]:
    """Alternate both layouts, on all threads and on one, and the peers; give the row of the table.

    What a pair costs is the time on one thread beyond that of a call with few groups, divided by the pairs.
    """
    groups = adata.obs["group"]
    few_groups = pd.Series(np.arange(adata.n_obs) % _FEW_GROUPS, index=adata.obs_names).astype(str).astype("category")

    def call(tool: str, matrix: AnnData, threads: int, **options: Any) -> None:
        matrix.uns.clear()
        matrix.varm.clear()
        TOOLS[tool](matrix, case.method, case.reference, threads, **options)

    def seconds(tool: str, threads: int, **options: Any) -> float:
        start = time.perf_counter()
        call(tool, adata, threads, **options)
        return time.perf_counter() - start

    layouts: tuple[dict[str, Any], ...] = ({"storage": "varm"}, {"storage": "uns"})
    some_genes = adata[:, :20].copy()
    for tool, options in (*(("scpdex", options) for options in layouts), *((peer, {}) for peer in case.peers)):
        call(tool, some_genes, n_threads, **options)
    times: dict[str, list[float]] = {}
    for i in range(repeats):
        for options in layouts:
            for name, threads in (("", n_threads), (", 1 thread", 1)):
                times.setdefault(options["storage"] + name, []).append(seconds("scpdex", threads, **options))
        if i < max(1, repeats // 2):
            for tool in case.peers:
                times.setdefault(tool, []).append(seconds(tool, n_threads))
    if case.reference == "rest":
        adata.obs["group"] = few_groups
        times["few groups"] = [seconds("scpdex", 1) for _ in range(repeats)]
        adata.obs["group"] = groups
    medians = {name: float(np.median(found)) for name, found in times.items()}
    n_pairs = adata.n_vars * (groups.cat.categories.size - (case.reference != "rest"))
    row: dict[str, Any] = {"pairs": case.name, "non-zeros": adata.X.nnz, "million pairs": n_pairs / 1e6}
    row |= {f"{name} s": found for name, found in medians.items()}
    for options in layouts:
        storage = options["storage"]
        if "few groups" in medians:
            row[f"{storage} ns a pair"] = (medians[f"{storage}, 1 thread"] - medians["few groups"]) * 1e9 / n_pairs
        row |= {f"{storage} x {tool}": medians[tool] / medians[storage] for tool in case.peers}
        call("scpdex", some_genes, 1)
        adata.uns.clear()
        adata.varm.clear()
        growth = measure_growth(lambda options=options: call("scpdex", adata, n_threads, **options))
        row[f"{storage} growth MB"] = growth / _MEGABYTE
    return row
