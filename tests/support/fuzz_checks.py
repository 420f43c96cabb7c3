"""Fuzz checks: a drawn call is ranked as plain code, scipy and scanpy do, and alike in every storage."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from counts import normalize_by_scanpy
from drawn import Call
from oracles import SCANPY_1_12, SCANPY_TESTS, by_scanpy
from plain import Numbers, Plain, compared, numbers_of, spelt
from statsmodels.stats.multitest import multipletests

import scpdex

KEY = "rank_genes_groups"
# Sums of some such numbers are exact in float32.
_EXACT = 1000
Results = dict[str | None, dict[str, Any]]
_NAMES = {"benjamini-hochberg": "fdr_bh"}


def ranked(adata: ad.AnnData, options: dict[str, Any]) -> Results | None:
    """Results by level; None if the call was refused."""
    try:
        done = scpdex.tl.rank_genes_parallel(adata, "label", copy=True, **options)
    except ValueError:
        return None
    if options.get("storage") == "varm":
        scpdex.tl.rank_genes_to_uns(done)
    if "split_by" not in options:
        return {None: done.uns[KEY]}
    return {level: done.uns[f"{KEY}_{level}"] for level in done.uns[KEY]["splits"]}


def expected_of(call: Call) -> dict[str | None, Plain]:
    """Who is compared, level by level; nothing where the call is to be refused."""
    obs, options = call.plain.obs, call.options
    names = {*spelt(obs["label"])} - {None}
    asked = [options.get("groups", []), options.get("exclude", []), options.get("reference", "rest")]
    asked = [one if isinstance(one, list) else [] if one == "rest" else [one] for one in asked]
    named = [{str(label) for label in one if label is not None} for one in asked]
    if not names or not set.union(*named) <= names or named[1] & (named[0] | named[2]):
        return {}
    if isinstance(options.get("reference"), list) and "rest" in named[2]:
        return {}
    if len(named[2]) > 1 and " + ".join(dict.fromkeys(map(str, asked[2]))) in names:
        return {}
    levels: dict[str | None, np.ndarray] = {None: np.ones(len(obs), dtype=bool)}
    if "split_by" in options:
        levels = {level: spelt(obs["level"]) == level for level in ("x", "y")}
    plains = {level: compared(obs, within, options) for level, within in levels.items()}
    return {level: plain for level, plain in plains.items() if plain is not None}


def check(call: Call, found: Results, plains: dict[str | None, Plain], values: np.ndarray) -> None:
    """Hold every number against plain code."""
    options = call.options
    # Normalized values are natural logs, whatever became of X.
    base = None if "normalize" in options else call.plain.uns.get("log1p", {}).get("base")
    family = []
    adjust = {"method": _NAMES.get(options["corr_method"], options["corr_method"])}
    genes = call.plain.var_names
    if "mask_var" in options:
        genes, values = genes[options["mask_var"]], values[:, options["mask_var"]]
    for level, plain in plains.items():
        result = found[level]
        assert list(result["names"].dtype.names) == list(plain.sides)
        assert sorted(result["params"].get("skipped", [])) == sorted(plain.skipped)
        for group, sides in plain.sides.items():
            fields = [name for name in result if name not in {"params", "names", "pts", "pts_rest"}]
            ours = pd.DataFrame({name: result[name][group] for name in fields}, index=result["names"][group])
            scores = ours["scores"].abs() if options.get("rankby_abs") else ours["scores"]
            assert scores.dropna().is_monotonic_decreasing
            ours = ours.loc[genes]
            theirs = numbers_of(values, sides, options, base)
            for (_, row), numbers in zip(ours.iterrows(), theirs, strict=True):
                check_gene(row.to_dict(), numbers, options)
            p = ours["pvals"].dropna().to_numpy()
            family.append(p)
            if options.get("corr_scope", "group") == "group" and p.size:
                adjusted = ours.loc[ours["pvals"].notna().to_numpy(), "pvals_adj"]
                np.testing.assert_allclose(adjusted, multipletests(p, **adjust)[1], rtol=1e-12)
            if options["pts"]:
                inside = np.concatenate([inside for inside, _ in sides])
                assert (result["pts"].loc[genes, group] == (values[inside] != 0).mean(axis=0)).all()
    together = np.concatenate(family) if family else np.empty(0)
    if options.get("corr_scope") == "all" and together.size:
        all_adjusted = [
            result["pvals_adj"][group] for result in found.values() for group in result["names"].dtype.names
        ]
        adjusted = np.concatenate(all_adjusted)
        expected = multipletests(together, **adjust)[1]
        np.testing.assert_allclose(np.sort(adjusted[~np.isnan(adjusted)]), np.sort(expected), rtol=1e-12)


def check_gene(ours: dict[str, float], numbers: Numbers, options: dict[str, Any]) -> None:
    """Hold the numbers of one gene and group against plain code."""
    least, most = numbers.least_change, numbers.most_change
    limit = options.get("min_logfc")
    # A fold change at the very limit is a matter of rounding.
    if limit is None or not (least <= limit <= most or least <= -limit <= most):
        assert np.isnan(ours["pvals"]) != numbers.tested
    if np.isnan(ours["pvals"]):
        assert all(np.isnan(value) for value in ours.values())
        return
    change = ours["logfoldchanges"]
    within = np.isnan(change) if np.isnan(least) else least <= change <= most
    assert within or np.isinf(least), f"log fold change {change}, not from {least} to {most}"
    if "auc" in ours:
        np.testing.assert_allclose(ours["auc"], numbers.auc, rtol=1e-12)
    if "auc_se" in ours:
        np.testing.assert_allclose(ours["auc_se"], numbers.auc_error, rtol=1e-10)
        np.testing.assert_allclose([ours["auc_low"], ours["auc_high"]], numbers.auc_ends, rtol=1e-9, atol=1e-12)
    assert 0 <= ours["pvals"] <= ours["pvals_adj"] <= 1
    if numbers.sure:
        np.testing.assert_allclose(ours["scores"], np.float32(numbers.score), rtol=1e-6, atol=1e-9)
    if numbers.sure and not np.isnan(numbers.pval):
        np.testing.assert_allclose(ours["pvals"], numbers.pval, rtol=1e-6, atol=1e-12)
    if "log10_pvals" in ours and ours["pvals"] > 1e-300:
        np.testing.assert_allclose(ours["log10_pvals"], np.log10(ours["pvals"]), rtol=1e-9, atol=1e-12)


def assert_same(a: Results, b: Results, n_genes: int | None) -> None:
    """Hold two results against each other to the bit, of the second the first so many genes."""
    assert a.keys() == b.keys()
    for level, one in a.items():
        other = b[level]
        assert one.keys() == other.keys()
        for name, field in one.items():
            if isinstance(field, pd.DataFrame):
                pd.testing.assert_frame_equal(field, other[name], check_exact=True, check_names=False)
            elif name != "params":
                assert field.dtype == other[name].dtype
                for group in field.dtype.names:
                    np.testing.assert_array_equal(field[group], other[name][group][:n_genes], f"{name} {group}")


def check_scanpy(call: Call, found: dict[str, Any], values: np.ndarray) -> None:
    """Hold z, t and p against scanpy itself, of genes that vary, where scanpy knows the arguments and the values."""
    options = call.options
    known = {"method", "reference", "groups", "tie_correct", "corr_method", "pts", "rankby_abs", "mean_in_log_space"}
    known |= {"normalize"}
    same = (
        options.keys() <= known
        and options["method"] in SCANPY_TESTS
        and isinstance(options.get("reference"), str | None)
    )
    names = spelt(call.plain.obs["label"])
    largest = np.abs(values).max()
    if not same or len({*names} - {None}) < 2 or "rest" in names or not 1e-3 < largest < 1e3:
        return
    groups = sorted({*names} - {None})
    if min((names == group).sum() for group in groups) < 2:
        return
    adata = ad.AnnData(values, obs=pd.DataFrame({"label": pd.Categorical(names)}, index=call.plain.obs_names))
    adata.var_names = call.plain.var_names
    arguments = {name: options[name] for name in ("method", "groups", "tie_correct") if name in options}
    reference = str(options.get("reference", "rest"))
    if found["names"].dtype.names == ("",):
        # scanpy itself fails where the only group has no name.
        return
    scanpys = by_scanpy(adata, "label", reference=reference, **arguments)
    assert set(scanpys["names"].dtype.names) == set(found["names"].dtype.names)
    for group in scanpys["names"].dtype.names:
        a, b = (
            pd.DataFrame({name: result[name][group] for name in ("scores", "pvals")}, index=result["names"][group])
            for result in (found, scanpys)
        )
        inside = names == group
        other = ~inside if reference == "rest" else names == reference
        spread = np.minimum(np.ptp(values[inside], axis=0), np.ptp(values[other], axis=0))
        for gene in call.plain.var_names[spread > 1e-3 * largest]:
            np.testing.assert_allclose(a.loc[gene], b.loc[gene], rtol=1e-5, atol=1e-9, err_msg=f"{group} {gene}")


def normalized_by_scanpy(call: Call) -> ad.AnnData:
    """Normalize the drawn form in memory, which has the library sizes of its own genes."""
    adata = call.memory()
    normalize = call.options["normalize"]
    wide = adata.X.dtype.kind == "f" and adata.X.dtype.itemsize == 8
    # Logs of integers are float64.
    wide |= normalize == "log1p" and adata.X.dtype.kind != "f"
    # scanpy before 1.12 divides no sparse array, and integers otherwise.
    matrix = adata.X.astype(np.float64 if wide else np.float32)
    if isinstance(matrix, sp.sparray):
        matrix = sp.csr_matrix(matrix) if matrix.format == "csr" else sp.csc_matrix(matrix)
    adata.X = matrix
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        normalize_by_scanpy(adata, normalize)
    return adata


def normalized_plainly(counts: np.ndarray, normalize: float | str) -> np.ndarray:
    """Normalize as plain code does."""
    if normalize == "log1p":
        return np.log1p(counts)
    sizes = counts.sum(axis=1, keepdims=True)
    occupied = sizes[sizes > 0]
    if normalize == "median":
        normalize = np.median(occupied) if occupied.size else 1
    scale = sizes / normalize
    return np.log1p(counts / (scale + (scale == 0)))


def check_call(call: Call) -> None:
    """Rank both forms: the first as plain code does, the second to the same bits, and neither is changed."""
    counts, values = call.plain.X.copy(), call.plain.X
    plains = expected_of(call)
    found = ranked(call.plain, call.options)
    assert set(found or {}) == set(plains)
    np.testing.assert_array_equal(values, counts)
    if "normalize" in call.options:
        values = normalized_plainly(values, call.options["normalize"])
    with tempfile.TemporaryDirectory() as folder:
        stored = call.stored(Path(folder))
        before = dict(stored.uns)
        again = ranked(stored, call.options | call.more)
        assert stored.uns == before
    assert (again is None) == (found is None)
    if found is None or again is None:
        return
    check(call, found, plains, values)
    by_chunk = call.said.startswith("dask")
    pooled = by_chunk and (call.options["method"].startswith("t") or not call.options["mean_in_log_space"])
    expected: Results | None = found
    if "normalize" in call.options:
        options = {name: value for name, value in call.options.items() if name != "normalize"}
        # Of other values, scanpy adds up in another order before 1.12.
        exact = SCANPY_1_12 or (np.array_equal(counts, counts.round()) and counts.max() < _EXACT)
        expected = ranked(normalized_by_scanpy(call), options) if exact else None
    if expected is not None and not pooled:
        assert_same(again, expected, call.more.get("n_genes"))
    if None in found:
        check_scanpy(call, found[None], values)
