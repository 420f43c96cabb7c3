"""Several objects, as Hypothesis makes them up: the bits of their concatenation in memory."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from counts import RULES
from hypothesis import event, given, settings
from hypothesis import strategies as st
from oracles import assert_same_bits
from scipy import sparse

import scpdex

KEY = "rank_genes_groups"
FORMS = {"dense": np.asarray, "CSR": sparse.csr_matrix, "CSC": sparse.csc_matrix}
DTYPES = ["float32", "float64", "int32", "uint8"]
PLACES = ["memory", "view", "backed", "h5ad", "gzip", "zarr"]


@st.composite
def plates(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an object, how it is stored, and which of its cells are in a view of it."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    n_cells, n_genes = draw(st.integers(4, 40)), draw(st.integers(3, 12))
    values = rng.poisson(0.7, (n_cells, n_genes)).astype(draw(st.sampled_from(DTYPES)))
    labels = rng.choice(list("abcd")[: draw(st.integers(2, 4))], n_cells).astype(object)
    labels[rng.random(n_cells) < 0.1] = None
    adata = ad.AnnData(
        FORMS[draw(st.sampled_from(sorted(FORMS)))](values),
        obs=pd.DataFrame({"group": pd.Categorical(labels), "batch": rng.choice(["u", "v"], n_cells)}),
        var=pd.DataFrame(index=[f"gene{i}" for i in rng.permutation(14)[:n_genes]]),
    )
    return {"adata": adata, "place": draw(st.sampled_from(PLACES)), "order": rng.permutation(n_cells)}


def store(plate: dict[str, Any], path: Path) -> tuple[Any, ad.AnnData]:
    """Give what is to be listed, and the same object in memory."""
    adata, place = plate["adata"], plate["place"]
    if place == "memory":
        return adata, adata
    if place == "view":
        return adata[plate["order"][2:]], adata[plate["order"][2:]].copy()
    if place == "zarr":
        adata.write_zarr(path.with_suffix(".zarr"))
        return path.with_suffix(".zarr"), adata
    adata.write_h5ad(path.with_suffix(".h5ad"), compression="gzip" if place == "gzip" else None)
    if place != "backed":
        return str(path.with_suffix(".h5ad")), adata
    return ad.read_h5ad(path.with_suffix(".h5ad"), backed="r")[plate["order"]], adata[plate["order"]].copy()


def error_of(call: Callable[..., Any], *arguments: Any, **options: Any) -> Exception | None:
    """Give the error that a call raises, if any."""
    try:
        call(*arguments, **options)
    except (KeyError, TypeError, ValueError) as error:
        return error
    return None


OPTIONS = st.fixed_dictionaries(
    {"method": st.sampled_from(["wilcoxon", "t-test", "anderson", "brunner-munzel"]), "min_cells": st.just(2)},
    optional={
        "reference": st.sampled_from(["a", "rest"]),
        "exclude": st.just(["b"]),
        "normalize": st.sampled_from(RULES),
        "pts": st.just(True),
        "split_by": st.sampled_from(["file", "batch"]),
    },
)


@settings(deadline=None, max_examples=40)
@given(st.lists(plates(), min_size=1, max_size=4), OPTIONS, st.sampled_from([None, "5MB"]))
def test_as_concatenated(drawn, options, max_memory):
    """Whatever is refused of the concatenation is refused of the list."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        stored = {f"plate{i}": store(plate, Path(folder) / f"plate{i}") for i, plate in enumerate(drawn)}
        memory = ad.concat({name: x for name, (_, x) in stored.items()}, label="file", merge="same")
        memory.obs_names = np.arange(memory.n_obs).astype(str)
        several = {name: x for name, (x, _) in stored.items()}
        refused = error_of(scpdex.tl.rank_genes_parallel, memory, "group", **options)
        options |= {"join": "inner", "max_memory": max_memory, "copy": True}
        if refused is not None:
            assert type(error_of(scpdex.tl.rank_genes_parallel, several, "group", **options)) is type(refused)
            event("refused")
            return
        joined = scpdex.tl.rank_genes_parallel(several, "group", **options)
        for key, entry in memory.uns.items():
            if "scores" in entry:
                params = {name: value for name, value in joined.uns[key]["params"].items() if name != "files"}
                assert_same_bits(dict(joined.uns[key]) | {"params": params}, entry)
