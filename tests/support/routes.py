"""Routes: one small call for each way through the package, and what has to hold after any of them was cut off."""

import gc
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from oracles import assert_same_bits
from stored import FORMS, budget_for, in_chunks, labelled, on_disk, values_of

import scpdex

KEY = "rank_genes_groups"


@dataclass
class Route:
    """A call of the public verb."""

    adata: ad.AnnData
    options: dict[str, Any]

    def rank(self) -> None:
        scpdex.tl.rank_genes_parallel(self.adata, "group", n_jobs=2, **self.options)


def _made(form: str, dtype: str = "float32", n_cells: int = 300) -> ad.AnnData:
    adata = labelled(FORMS[form](values_of(dtype, n_cells)))
    adata.obs["level"] = pd.Categorical(np.resize(["x", "y", "y"], n_cells))
    adata.obs["donor"] = pd.Categorical(np.resize(["p", "p", "q"], n_cells))
    return adata


def _disk(form: str, strategy: str, method: str, dtype: str = "float32") -> Callable[[Path], Route]:
    def make(folder: Path) -> Route:
        adata = on_disk(_made(form, dtype, 2000 if strategy == "row passes" else 300), folder, "h5ad")
        return Route(adata, {"method": method, "max_memory": budget_for(adata, strategy, method=method)})

    return make


def _dask(dtype: str, method: str) -> Callable[[Path], Route]:
    return lambda _: Route(in_chunks(_made("CSR", dtype), 70, -1), {"method": method})


# The slack of small data is taken away for these: stored.without_slack.
ROUTES: dict[str, Callable[[Path], Route]] = {
    "CSR in memory": lambda _: Route(_made("CSR"), {"method": "wilcoxon", "pts": True}),
    "CSC in memory": lambda _: Route(_made("CSC"), {"method": "t-test"}),
    "dense view": lambda _: Route(_made("dense")[::2], {"method": "anderson", "copy": True}),
    "intervals of levels": lambda _: Route(
        _made("CSR"),
        {"method": "brunner-munzel", "split_by": "level", "extras": ("auc_se", "auc_low"), "min_effect": 0.05},
    ),
    "levels and strata, as matrices": lambda _: Route(
        _made("CSR"), {"method": "wilcoxon", "split_by": "level", "strata": "donor", "storage": "varm"}
    ),
    "logistic regression": lambda _: Route(_made("CSR"), {"method": "logreg"}),
    "column blocks": _disk("CSC", "column blocks", "wilcoxon"),
    "dense column blocks": _disk("dense", "column blocks", "t-test"),
    "row buckets": _disk("CSR", "row buckets", "wilcoxon"),
    "row passes": _disk("CSR", "row passes", "t-test"),
    "row passes of counts": _disk("CSR", "row passes", "wilcoxon", "int32"),
    "dask, combined sums": _dask("float32", "t-test"),
    "dask, row buckets": _dask("float32", "wilcoxon"),
}


def clear(adata: ad.AnnData) -> None:
    """Leave nothing but a mark where the result will be; a view holds what its parent does."""
    if not adata.is_view:
        for name in list(adata.varm):
            del adata.varm[name]
        adata.uns = {KEY: "as before"}


def assert_all_or_nothing(adata: ad.AnnData, whole: ad.AnnData) -> None:
    """The result is there as a whole, or nothing of it."""
    if adata.is_view:
        # Of a copy that is returned.
        assert not adata.uns
    elif adata.uns[KEY] != "as before":
        same_result(adata, whole)
    else:
        assert set(adata.uns) == {KEY}
        assert not len(adata.varm)


def open_files(folder: Path) -> list[str]:
    """Files of a folder that this process holds, those without a name too."""
    found = []
    for descriptor in Path("/proc/self/fd").glob("*"):
        # One that was listed may be closed by now.
        with suppress(OSError):
            found.append(str(descriptor.readlink()))
    return [target for target in found if target.startswith(str(folder))]


def assert_nothing_left(scratch: Path, patience: float = 0) -> None:
    """No thread of scpdex is running, and no scratch is held, with a name or without."""
    until = time.monotonic() + patience
    while any(thread.name.startswith("scpdex") for thread in threading.enumerate()):
        assert time.monotonic() < until, "a thread is left running"
        time.sleep(0.01)
    assert not list(scratch.iterdir())
    if open_files(scratch):
        # What the traceback of an interruption still holds is closed when it is collected.
        gc.collect()
    assert not open_files(scratch)


def same_result(a: ad.AnnData, b: ad.AnnData) -> None:
    """Hold what two calls stored against each other."""
    assert a.uns.keys() == b.uns.keys()
    for key in b.uns:
        if isinstance(b.uns[key], dict) and "names" in b.uns[key]:
            assert_same_bits(a.uns[key], b.uns[key])
    assert a.varm.keys() == b.varm.keys()
    for name in b.varm:
        np.testing.assert_array_equal(a.varm[name], b.varm[name])


def light(adata: ad.AnnData) -> ad.AnnData:
    """A copy of what a call stores."""
    kept = ad.AnnData(obs=adata.obs, var=adata.var, uns=dict(adata.uns))
    for name in adata.varm:
        kept.varm[name] = adata.varm[name]
    return kept
