"""Rank small data in every storage, and write all results to a file: the same with and without Numba's compiler."""

import pickle
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from stored import FORMS, budget_for, in_chunks, on_disk, values_of, without_slack

import scpdex

CALLS: dict[str, dict[str, Any]] = {
    "wilcoxon": {"method": "wilcoxon", "tie_correct": True, "pts": True},
    "wilcoxon, reference": {"method": "wilcoxon", "reference": "b", "tie_correct": True},
    "t-test": {"method": "t-test", "mean_in_log_space": False},
    "t-test, reference": {"method": "t-test_overestim_var", "reference": "b"},
    "anderson": {"method": "anderson", "split_by": "level"},
    "brunner-munzel": {"method": "brunner-munzel", "split_by": "level"},
    "brunner-munzel, reference": {"method": "brunner-munzel", "reference": "b"},
    "wilcoxon, intervals": {"method": "wilcoxon", "tie_correct": True, "extras": ("auc_low", "auc_high")},
    "anderson, reference": {"method": "anderson", "split_by": "level", "reference": "b"},
    "strata": {"method": "wilcoxon", "strata": "stratum"},
}
VALUES = {
    "counts": lambda rng: rng.poisson(2, (60, 3)).astype(np.float32),
    "whole": lambda rng: rng.poisson(2, (60, 3)).astype(np.int32),
    "logs": lambda rng: (np.log1p(rng.poisson(1, (60, 3))) * rng.choice([1, 0.7, -0.3], (60, 3))).astype(np.float32),
    "wide": lambda rng: np.where(rng.random((60, 3)) < 0.5, rng.normal(size=(60, 3)) * 1e3, 0),
    "large": lambda rng: rng.choice([0, 1e200, -1e200, 1e-200], (60, 3)),
    "buckets": lambda rng: (rng.integers(1, 1 << 17, (2000, 1)) * (rng.random((2000, 1)) < 0.5)).astype(np.float32),
}
PLACES: dict[str, Any] = {
    "memory": lambda adata, _: adata,
    "h5ad": lambda adata, folder: on_disk(adata, folder, "h5ad"),
    "zarr": lambda adata, folder: on_disk(adata, folder, "zarr"),
    "dask": lambda adata, _: in_chunks(adata, 30, 3),
}


def rank_everywhere(folder: Path) -> dict[str, Any]:
    """Results by values, form, place and call."""
    found: dict[str, Any] = {}
    rng = np.random.default_rng(0)
    for kind, make in VALUES.items():
        values = make(rng)
        for form, convert in FORMS.items():
            for place, put in PLACES.items():
                adata = put(_labelled(convert(values)), folder)
                for call, arguments in CALLS.items():
                    if kind == "buckets" and (call != "wilcoxon" or place != "memory"):
                        continue
                    _rank(found, f"{kind}, {form}, {place}, {call}", adata, **arguments)
    adata = on_disk(_labelled(FORMS["CSR"](values_of("int32"))), folder, "h5ad")
    for call in ("wilcoxon", "wilcoxon, reference", "t-test"):
        for strategy in ("row buckets", "row passes") if call != "t-test" else ("row passes",):
            budget = budget_for(adata, strategy, **CALLS[call])
            _rank(found, f"{strategy}, {call}", adata, max_memory=budget, **CALLS[call])
    for form, convert in FORMS.items():
        _rank(found, f"normalized {form}", _labelled(convert(values_of("int32", 40, 3))), normalize=1e4)
    return found


def _labelled(matrix: Any) -> ad.AnnData:
    """Groups a to e, of which level y has but three; strata p and q."""
    n_cells = matrix.shape[0]
    obs = pd.DataFrame(
        {
            "group": np.resize([*"abcde"], n_cells),
            "level": np.where(np.arange(n_cells) < 0.6 * n_cells, "x", "y"),
            "stratum": np.resize([*"pq"], n_cells),
        },
        index=[f"cell{i}" for i in range(n_cells)],
    )
    obs.loc[(obs["level"] == "y") & obs["group"].isin(["d", "e"]), "group"] = "a"
    return ad.AnnData(matrix, obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(matrix.shape[1])]))


def _rank(found: dict[str, Any], name: str, adata: ad.AnnData, **arguments: Any) -> None:
    scpdex.tl.rank_genes_parallel(adata, "group", key_added="k", n_jobs=1, **arguments)
    for key in [key for key in adata.uns if key.startswith("k")]:
        found[f"{name}, {key}"] = adata.uns.pop(key)


if __name__ == "__main__":
    warnings.simplefilter("error", RuntimeWarning)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        without_slack(patch)
        Path(sys.argv[1]).write_bytes(pickle.dumps(rank_everywhere(Path(folder))))
