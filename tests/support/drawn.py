"""Drawn: whatever people may feed it, as Hypothesis makes it up: values, labels, storages, views and options."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import zarr
from anndata.io import sparse_dataset, write_elem
from hypothesis import strategies as st
from scipy import sparse
from storages import STORAGES

try:
    import pyarrow as pa
except ImportError:
    pa = None

INTEGERS = ["bool", *(f"{sign}int{bits}" for bits in (8, 16, 32, 64) for sign in ("", "u"))]
# What sparse matrices of scipy cannot hold is stored dense.
FLOATS = {"float32": True, "float64": True, "float16": False, ">f4": False, ">f8": False}

_NAMES: dict[str, list[Any]] = {
    "str": ["a", "b", "T/NK", "", "ünï 細胞", "rest", "10", "2", "_index", "A", "nan", "all"],
    "int": [0, 1, 10, 2, -3, 255],
    "float": [0.5, 1.0, -2.25, 1e300],
    "bool": [True, False],
    "object": [1, True, "x", 2.5, "nan"],
}

_T_TESTS = ("t-test", "t-test_overestim_var")
WAYS = ["memory", "memory", "view", "raw", "layer", "h5ad", "zarr", "dask"]


@dataclass(repr=False)
class Call:
    """An object in two forms, and how it is to be ranked."""

    plain: ad.AnnData
    """Dense float64 in memory, an object of its own."""
    stored: Callable[[Path], ad.AnnData]
    """The same in its drawn form; files go to a folder."""
    memory: Callable[[], ad.AnnData]
    """The same with X in its drawn form in memory, an object of its own."""
    options: dict[str, Any]
    """Of both."""
    more: dict[str, Any]
    """Of the drawn form: where it is and what may be used, none of which changes a number."""
    said: str
    """The drawn form in words."""

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(repr(self))

    def __repr__(self) -> str:
        x, obs = self.plain.X, self.plain.obs
        values = x.tolist() if x.size < 200 else [sorted(set(of_gene)) for of_gene in x.T.tolist()]
        columns = {name: list(obs[name])[:60] for name in obs}
        return (
            f"Call({self.said}, options={self.options}, more={self.more}, {obs['label'].dtype} labels, {columns}, "
            f"X={x.shape} {values})"
        )


def palettes(draw: st.DrawFn, n_genes: int) -> tuple[list[list[float]], str]:
    """A few values for each gene, and a dtype that holds them."""
    kind = draw(st.sampled_from(["counts", "large counts", "log", "signed", "near", "extreme", "tiny"]))
    if kind in {"counts", "large counts"}:
        dtype = draw(st.sampled_from([*INTEGERS, *FLOATS]))
        if np.dtype(dtype).kind == "f":
            top = {2: 2**11, 4: 2**24, 8: 2**53}[np.dtype(dtype).itemsize]
        else:
            top = 1 if dtype == "bool" else min(np.iinfo(dtype).max, 2**53 - 1)
        bottom = -top // 2 if np.dtype(dtype).kind == "i" and kind == "large counts" else 0
        numbers = st.integers(bottom, top) if kind == "large counts" else st.integers(0, min(top, 5))
    else:
        dtype = draw(st.sampled_from(list(FLOATS)))
        width = 8 * np.dtype(dtype).itemsize
        finfo = np.finfo(np.dtype(dtype).newbyteorder("="))
        numbers = {
            "log": st.sampled_from(np.log1p(np.arange(12) * 0.7).tolist()),
            "signed": st.sampled_from([-1.5, -1.0, -0.0, 0.0, 1.0, 1.5]) | st.floats(-100, 100, width=width),
            # A large mean beside a spread of a few steps.
            "near": st.integers(0, 4).map(lambda i: 1024 * (1 + i * float(finfo.eps))),
            "extreme": st.floats(allow_nan=False, allow_infinity=False, width=width)
            | st.sampled_from([float(finfo.max), float(finfo.min), 0.0]),
            "tiny": st.floats(0, 2 * float(finfo.tiny), width=width) | st.sampled_from([0.0, -float(finfo.tiny)]),
        }[kind]
    found = [draw(st.lists(numbers, min_size=1, max_size=6)) for _ in range(n_genes)]
    with np.errstate(over="ignore", under="ignore"):
        return [np.array(of_gene).astype(dtype).astype(np.float64).tolist() for of_gene in found], dtype


@st.composite
def labels(draw: st.DrawFn, n_cells: int, rng: np.random.Generator) -> pd.Series:
    """A column of one of the kinds that obs can have, groups of any size, some labels missing."""
    kind = draw(st.sampled_from(["str", "str", *_NAMES]))
    names = draw(st.lists(st.sampled_from(_NAMES[kind]), min_size=1, max_size=5, unique_by=str))
    weights = rng.dirichlet(np.full(len(names), draw(st.sampled_from([0.3, 1, 20]))))
    codes = rng.choice(len(names), n_cells, p=weights)
    missing = rng.random(n_cells) < draw(st.sampled_from([0, 0, 0.1, 0.5]))
    column = pd.Series([names[code] for code in codes], dtype=object)
    column[missing] = None
    if kind == "object":
        return column
    dtypes = {
        "str": ["object", "category", "string[python]"] + (["string[pyarrow]"] if pa else []),
        "int": ["category", "Int64"] + ([] if missing.any() else ["int64", "int8" if 255 not in names else "int16"]),
        "float": ["category", "float64"],
        "bool": ["category", "boolean"] + ([] if missing.any() else ["bool"]),
    }[kind]
    dtype = draw(st.sampled_from(dtypes))
    if dtype != "category":
        return column.astype(dtype)
    # Categories in an order of their own, some without cells.
    return pd.Series(pd.Categorical(column, categories=draw(st.permutations(names))))


@st.composite
def options(draw: st.DrawFn, obs: pd.DataFrame) -> dict[str, Any]:
    """Arguments in combination: most of those that have meaning together."""
    present = list(dict.fromkeys(obs["label"].dropna()))
    some = st.lists(st.sampled_from(present), min_size=1, max_size=3, unique_by=str) if present else st.just(["none"])
    found: dict[str, Any] = {
        "method": draw(st.sampled_from(["wilcoxon", "wilcoxon", "brunner-munzel", "anderson", *_T_TESTS])),
        "pts": draw(st.booleans()),
        "corr_method": draw(st.sampled_from(["benjamini-hochberg", "bonferroni", "holm", "fdr_by"])),
        "mean_in_log_space": draw(st.booleans()),
    }
    extras: tuple[str, ...] = ("means", "log10_pvals")
    if found["method"] not in _T_TESTS:
        extras += ("u", "auc")
    if found["method"] in {"wilcoxon", "brunner-munzel"}:
        extras += draw(st.sampled_from([(), ("auc_se", "auc_low", "auc_high")]))
    against = draw(st.sampled_from(["rest", "rest", "one", "spelt", "several"]))
    if against != "rest":
        chosen = draw(some)
        found["reference"] = {"one": chosen[0], "spelt": str(chosen[0]), "several": chosen}[against]
    rare = {
        "groups": some.map(lambda names: [str(name) for name in names]),
        "tie_correct": st.just(True),
        "use_continuity": st.just(True),
        "rankby_abs": st.just(True),
        "min_cells": st.integers(1, 6),
        "exclude": st.lists(st.sampled_from([*present, None]), min_size=1, max_size=2, unique_by=str),
        "split_by": st.just("level"),
        "strata": st.just("donor"),
        "alternative": st.sampled_from(["greater", "less"]),
        "min_pct": st.sampled_from([0.0, 0.4, 0.8]),
        "min_logfc": st.sampled_from([0.3, 1.3]),
        "corr_scope": st.just("all"),
        "extras": st.just(extras),
        "min_effect": st.sampled_from([0.0, 0.1, 0.4]),
        "confidence": st.sampled_from([0.5, 0.999]),
    }
    # Without any, scanpy can say what is right.
    likely = [False, False, True] if draw(st.sampled_from([True, True, False])) else [False]
    for name, values in rare.items():
        if draw(st.sampled_from(likely)):
            found[name] = draw(values)
    if found["method"] != "wilcoxon":
        for name in {"strata", "use_continuity"} & found.keys():
            del found[name]
    if found["method"] == "brunner-munzel":
        found.pop("tie_correct", None)
    elif found["method"] != "t-test":
        found.pop("min_effect", None)
    if found["method"] == "anderson" or "use_continuity" in found:
        found.pop("alternative", None)
    if "strata" in found:
        found.pop("use_continuity", None)
        found["extras"] = tuple(name for name in found.get("extras", ()) if not name.startswith("auc_"))
    return found


@st.composite
def picks(draw: st.DrawFn, n: int, rng: np.random.Generator) -> Any:
    """Which of some cells or genes a view has, as people write it: at least two cells, or one gene."""
    at_random = rng.random(n) < draw(st.sampled_from([0.3, 0.7]))
    some = {
        "all": slice(None),
        "a run": slice(*sorted(rng.integers(0, n + 1, 2).tolist())),
        "every other": slice(int(rng.integers(0, 2)), None, 2),
        "backwards": slice(None, None, -1),
        "a mask": at_random,
        "positions": np.flatnonzero(at_random),
        "shuffled": rng.permutation(n)[: rng.integers(1, n + 1)],
    }
    return some[draw(st.sampled_from(sorted(some)))]


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Objects from 2 x 1 up, in all storages and dtypes, with labels and options of all kinds."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_genes = draw(st.integers(1, 6))
    n_cells = draw(st.integers(2, 12) | st.integers(2, 60) | st.sampled_from([400]))
    values, dtype = palettes(draw, n_genes)
    zeros = draw(st.sampled_from([0, 0.4, 0.9]))
    x = np.stack([rng.choice(of_gene, n_cells) for of_gene in values], axis=1)
    x[rng.random(x.shape) < zeros] = 0
    obs = pd.DataFrame(
        {
            "level": pd.Categorical(rng.choice(np.array(["x", "x", "y", None], dtype=object), n_cells)),
            "donor": pd.Categorical(rng.choice(np.array(["p", "q", "r", None], dtype=object), n_cells)),
        },
        index=[str(i) for i in range(n_cells)],
    )
    obs["label"] = draw(labels(n_cells, rng)).array
    var = pd.DataFrame(index=[f"gene{j}" for j in range(n_genes)])
    way = draw(st.sampled_from(WAYS))
    storage = draw(st.sampled_from(sorted(STORAGES) if FLOATS.get(dtype, True) else ["dense"]))
    of_view: tuple[Any, Any] = (slice(None), slice(None))
    if draw(st.booleans()):
        of_view = (draw(picks(n_cells, rng)), slice(None) if way == "raw" else draw(picks(n_genes, rng)))
    cells, genes = np.arange(n_cells)[of_view[0]], np.arange(n_genes)[of_view[1]]
    if cells.size < 2 or genes.size < 1:
        of_view, cells, genes = (slice(None), slice(None)), np.arange(n_cells), np.arange(n_genes)
    if storage != "dense" and isinstance(of_view[0], np.ndarray) and isinstance(of_view[1], slice):
        # anndata cannot copy such a view of a sparse array whose slice has a step.
        of_view = (of_view[0], genes if of_view[1].step else of_view[1])
    as_it_is = np.array_equal(cells, np.arange(n_cells)) and np.array_equal(genes, np.arange(n_genes))
    selected = way == "view" or not as_it_is
    plain = ad.AnnData(x[cells][:, genes], obs=obs.iloc[cells].copy(), var=var.iloc[genes].copy())
    log1p = draw(st.sampled_from([None, {}, {"base": 2}, {"base": None}]))
    if log1p is not None:
        plain.uns["log1p"] = log1p
    own = draw(options(plain.obs))
    more: dict[str, Any] = {"n_jobs": draw(st.integers(1, 3))}
    if draw(st.booleans()):
        more["gene_chunk_size"] = draw(st.integers(1, n_genes + 1))
    # Sums that are not exact depend on the storage.
    if plain.X.min() >= 0 and plain.X.max() < 1e30 and draw(st.booleans()):
        own["normalize"] = draw(st.sampled_from([1.0, 1e4, 1e6, "median", "log1p"]))
    if "split_by" not in own and draw(st.booleans()):
        more["storage"] = "varm"
    if draw(st.booleans()):
        more["n_genes"] = draw(st.integers(1, n_genes + 1))
    if draw(st.sampled_from([False, False, True])):
        mask = rng.random(genes.size) < 0.7
        if mask.any():
            own["mask_var"] = mask
    rows = draw(st.integers(1, 20))
    chunked = draw(st.booleans())

    def whole() -> ad.AnnData:
        matrix = x.astype(dtype) if storage == "dense" else STORAGES[storage](x.astype(dtype))
        return ad.AnnData(matrix, obs=obs.copy(), var=var.copy())

    def memory() -> ad.AnnData:
        adata = whole()
        if way in {"raw", "dask", "h5ad", "zarr"} and isinstance(adata.X, np.ndarray):
            adata.X = np.ascontiguousarray(adata.X)
        return adata[of_view].copy() if selected else adata

    def stored(folder: Path) -> ad.AnnData:
        adata = whole()
        matrix = adata.X
        if way == "raw":
            adata.raw = adata.copy()
            adata.X = np.full(x.shape, np.nan)
        elif way == "layer":
            adata.layers["layer"] = matrix
        elif way in {"h5ad", "zarr"}:
            adata.X = in_file(matrix, folder, way, rows if chunked else None)
        elif way == "dask":
            import dask.array as da

            adata.X = da.from_array(matrix, chunks=(rows, -1), asarray=False)
        if log1p is not None:
            adata.uns["log1p"] = log1p
        return adata[of_view] if selected else adata

    if way == "layer":
        more["layer"] = "layer"
    return Call(plain, stored, memory, own, more, f"{way}, {storage}, {dtype}, {rows if chunked else 'no'} chunks")


def in_file(matrix: Any, folder: Path, kind: str, rows: int | None) -> Any:
    """Write a matrix, and leave it there."""
    path = folder / f"{uuid4().hex}.{kind}"
    file = h5py.File(path, "w") if kind == "h5ad" else zarr.open_group(path, mode="w")
    if sparse.issparse(matrix):
        write_elem(file, "X", matrix)
        return sparse_dataset(file["X"])
    chunks = {} if rows is None else {"chunks": (min(rows, matrix.shape[0]), matrix.shape[1])}
    write_elem(file, "X", np.ascontiguousarray(matrix), dataset_kwargs=chunks)
    return file["X"]
