"""Run a case as it is, within levels of a column, and within strata: what the further comparisons cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tools import TOOLS

if TYPE_CHECKING:
    from anndata import AnnData
    from cases import Case

N_LEVELS = 8


def run_split_case(case: Case, adata: AnnData, n_threads: int, repeats: int) -> dict[str, Any]:
    """Alternate the call without and with levels and, for the rank test, strata; give the row of the table."""
    rng = np.random.default_rng(0)
    adata.obs["level"] = pd.Categorical(rng.integers(0, N_LEVELS, adata.n_obs).astype(str))
    calls: dict[str, dict[str, str]] = {"whole": {}, f"{N_LEVELS} levels": {"split_by": "level"}}
    if case.method == "wilcoxon":
        calls[f"{N_LEVELS} strata"] = {"strata": "level"}
    few = adata[:, :20].copy()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for options in calls.values():
        TOOLS["scpdex"](few, case.method, case.reference, n_threads, **options)
    for _ in range(repeats):
        for name, options in calls.items():
            start = time.perf_counter()
            TOOLS["scpdex"](adata, case.method, case.reference, n_threads, **options)
            times[name].append(time.perf_counter() - start)
            adata.uns.clear()
    row: dict[str, Any] = {"levels": f"{case.name}, {case.method}", "cells": adata.n_obs, "genes": adata.n_vars}
    row |= {f"{name} s": float(np.median(found)) for name, found in times.items()}
    for name in calls.keys() - {"whole"}:
        row[f"{name} / whole"] = float(np.median([a / b for a, b in zip(times[name], times["whole"], strict=True)]))
    return row
