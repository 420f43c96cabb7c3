"""Score markers of each cluster against each other one, beside scranpy on its two layouts."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.tl import score_markers

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from cases import Case

_WITHOUT_RANKS = ("min", "mean", "median", "max")


def seconds(call: Callable[[], Any]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def run_marker_case(case: Case, adata: AnnData, n_threads: int, repeats: int) -> dict[str, Any]:
    """Alternate all summaries, all but ranks, and scranpy with both; give the row of the table."""
    import scranpy

    labels = adata.obs["group"].to_numpy().astype(str)
    # scranpy takes genes x cells: CSR there is the better layout, CSC is how AnnData has the cells.
    by_gene, by_cell = adata.X.T.tocsr(), adata.X.T.tocsc()
    ours = partial(score_markers, adata, "group", n_jobs=n_threads, show_progress=False)
    theirs = partial(scranpy.score_markers, groups=labels, num_threads=n_threads)
    calls: dict[str, Callable[[], Any]] = {
        "scpdex": ours,
        "scpdex, no ranks": partial(ours, summaries=_WITHOUT_RANKS),
        "scpdex, p-values": partial(ours, pvals=True),
        "scranpy": partial(theirs, by_gene),
        "scranpy, no ranks": partial(theirs, by_gene, compute_summary_min_rank=False),
        "scranpy, cells-major": partial(theirs, by_cell),
    }
    few = adata[:, :20].copy()
    for options in ({}, {"pvals": True}):
        score_markers(few, "group", show_progress=False, **options)
    # With hundreds of groups scranpy takes a minute.
    counts = {name: repeats if name.startswith("scpdex") else max(1, repeats // 4) for name in calls}
    times = {name: [seconds(call) for _ in range(counts[name])] for name, call in calls.items()}
    row: dict[str, Any] = {"markers": case.name, "cells": adata.n_obs, "genes": adata.n_vars, "values": adata.X.nnz}
    row |= {f"{name} s": float(np.median(found)) for name, found in times.items()}
    for name in ("scranpy", "scranpy, no ranks", "scranpy, cells-major"):
        mine = "scpdex, no ranks" if name.endswith("no ranks") else "scpdex"
        row[f"x {name}"] = float(np.median(times[name]) / np.median(times[mine]))
    return row
