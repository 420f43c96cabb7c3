"""Oracles: results of scanpy and of plain scipy, and how ours are held against them."""

import warnings
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from packaging.version import Version
from scipy import stats

import scpdex

SCANPY_1_12 = Version(version("scanpy")) >= Version("1.12")
# scanpy's t-test subtracts large sums before 1.12 and loses digits.
SCANPY_TESTS = ["wilcoxon", *(["t-test", "t-test_overestim_var"] if SCANPY_1_12 else [])]
KEY = "rank_genes_groups"
NUMBERS = ["scores", "logfoldchanges", "pvals", "pvals_adj"]


def by_scanpy(adata: AnnData, groupby: str, **arguments: Any) -> dict[str, Any]:
    """Rank by scanpy, on a copy since it changes X, and without a word."""
    adata = adata.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.tl.rank_genes_groups(adata, groupby, **arguments)
    return adata.uns["rank_genes_groups"]


def by_scpdex(adata: AnnData, groupby: str, **arguments: Any) -> dict[str, Any]:
    """Rank by scpdex, and take the result out of the object again."""
    key = uuid4().hex
    scpdex.tl.rank_genes_parallel(adata, groupby, key_added=key, **arguments)
    return adata.uns.pop(key)


def by_gene(result: dict[str, Any], group: str) -> pd.DataFrame:
    """Give the numbers of one group, indexed by gene."""
    fields = ["names", *(name for name in NUMBERS if name in result)]
    return pd.DataFrame({name: result[name][group] for name in fields}).set_index("names").sort_index()


def numbers_by_gene(result: dict[str, Any]) -> dict[str, np.ndarray]:
    """Give the names and numbers of all groups, groups x genes in the order of the names."""
    names = _groups_by_genes(result["names"])
    codes, in_order = pd.factorize(names.ravel(), sort=True)
    codes = codes.reshape(names.shape)
    order = np.argsort(codes, axis=1, kind="stable")
    tables = {name: _groups_by_genes(result[name]) for name in NUMBERS if name in result}
    return {"names": np.asarray(in_order)[np.take_along_axis(codes, order, axis=1)]} | {
        name: np.take_along_axis(table, order, axis=1) for name, table in tables.items()
    }


def _groups_by_genes(records: np.ndarray) -> np.ndarray:
    return np.stack([records[group] for group in records.dtype.names])


def assert_same_numbers(ours: dict[str, Any], expected: dict[str, Any]) -> None:
    """Hold every number of every group against scanpy's; equal scores may be in another order."""
    assert ours["names"].dtype.names == expected["names"].dtype.names
    a, b = numbers_by_gene(ours), numbers_by_gene(expected)
    assert list(a) == list(b)
    assert (a.pop("names") == b.pop("names")).all()
    for column in a:
        tolerance = {"rtol": 1e-4, "atol": 1e-4} if column == "logfoldchanges" else {"rtol": 1e-6, "atol": 1e-300}
        if column == "scores":
            tolerance["atol"] = 1e-9
        message = f"{column} of groups {expected['names'].dtype.names}"
        np.testing.assert_allclose(a[column], b[column], err_msg=message, **tolerance)
    scores = _groups_by_genes(ours["scores"])
    np.testing.assert_array_equal(scores, np.sort(scores, axis=1)[:, ::-1])
    for name in ("pts", "pts_rest"):
        assert (name in ours) == (name in expected)
        if name in expected:
            pd.testing.assert_frame_equal(ours[name], expected[name], check_exact=True, check_index_type=False)


def assert_same_bits(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Hold two results of scpdex against each other, bit for bit, with all of their columns."""
    assert a.keys() == b.keys()
    for name, ours in a.items():
        if isinstance(ours, pd.DataFrame):
            pd.testing.assert_frame_equal(ours, b[name], check_exact=True)
        elif isinstance(ours, np.ndarray) and ours.dtype.names is not None:
            assert ours.dtype == b[name].dtype
            for group in ours.dtype.names:
                np.testing.assert_array_equal(ours[group], b[name][group], err_msg=f"{name} {group}", strict=True)


def plain_anderson(group: np.ndarray, other: np.ndarray) -> float:
    """A squared of one gene, by equation 7 of Scholz and Stephens (1987), value by value."""
    both = np.concatenate([group, other])
    n = len(both)
    total = 0.0
    for sample in (group, other):
        for value in np.unique(both):
            tied = (both == value).sum()
            below = (both < value).sum() + tied / 2
            of_sample = (sample < value).sum() + (sample == value).sum() / 2
            distance = (n * of_sample - below * len(sample)) ** 2
            if tied < n:
                total += tied / n * distance / (below * (n - below) - n * tied / 4) / len(sample)
    return total * (n - 1) / n


def plain_rank_sum(
    group: np.ndarray, other: np.ndarray, *, tie_correct: bool, use_continuity: bool
) -> tuple[float, float]:
    """z and p of one gene from scipy's ranks, by the textbook formula."""
    n1, n2 = len(group), len(other)
    n = n1 + n2
    ranks = stats.rankdata(np.concatenate([group, other]))
    difference = ranks[:n1].sum() - n1 * (n + 1) / 2
    if use_continuity:
        difference = np.sign(difference) * max(abs(difference) - 0.5, 0)
    _, counts = np.unique(ranks, return_counts=True)
    counts = counts.astype(float)
    untied = 1 - (counts**3 - counts).sum() / (n**3 - n) if tie_correct else 1
    variance = untied * n1 * n2 * (n + 1) / 12
    if variance <= 0:
        return 0.0, 1.0
    z = difference / np.sqrt(variance)
    return z, 2 * stats.norm.sf(abs(z))


def all_by_gene(result: dict, group: str) -> pd.DataFrame:
    """Give every record of one group, indexed by gene."""
    fields = [name for name, value in result.items() if isinstance(value, np.ndarray)]
    return pd.DataFrame({name: result[name][group] for name in fields}).set_index("names").sort_index()


def plain_placements(group: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """AUC - 1/2, its standard error and degrees of freedom, by comparing each cell with each.

    The variance of separated sides is the smallest positive one of their sizes.
    """
    n1, n2 = len(group), len(other)
    above = (group[:, None] > other[None, :]) + (group[:, None] == other[None, :]) / 2
    difference = above.mean() - 0.5
    if min(n1, n2) < 2:
        return difference, np.nan, np.nan
    parts = [above.mean(axis=1).var(ddof=1) / n1, above.mean(axis=0).var(ddof=1) / n2]
    if abs(difference) == 0.5:
        parts = [1 / (2 * n1 * n2) ** 2] * 2
    variance = sum(parts)
    freedom = variance**2 / (parts[0] ** 2 / (n1 - 1) + parts[1] ** 2 / (n2 - 1)) if variance else 1.0
    return difference, np.sqrt(variance), freedom


def plain_treat(d: float, se: float, freedom: float, e: float, alternative: str) -> tuple[float, float]:
    """Score and p of McCarthy and Smyth's test for a minimal effect."""
    t = stats.t(freedom)
    tails = {
        "two-sided": lambda: t.sf((abs(d) - e) / se) + t.sf((abs(d) + e) / se),
        "greater": lambda: t.sf((d - e) / se),
        "less": lambda: t.sf((-d - e) / se),
    }
    return np.sign(d) * max(abs(d) - e, 0) / se, tails[alternative]()
