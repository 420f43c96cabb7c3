"""Options in combination: each comparison by plain code from the cells that it is of, and in every storage."""

from dataclasses import dataclass, field
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from conftest import STORAGES
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_same_bits, plain_rank_sum
from scipy import stats
from statsmodels.stats.multitest import multipletests
from test_properties import objects
from test_strata import plain_van_elteren

import scpdex

KEY = "rank_genes_groups"
_NAMES = {"benjamini-hochberg": "fdr_bh"}


@dataclass
class Plain:
    """One comparison: rows of the cells of each group and of what it is compared with, stratum by stratum."""

    sides: dict[str, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def plain_comparison(obs: pd.DataFrame, within: np.ndarray, options: dict[str, Any]) -> Plain | None:
    """Read the options by the book; None if these cells cannot be compared."""
    labels = obs["label"].astype(object).to_numpy()
    exclude = options.get("exclude") or []
    for label in exclude:
        within = within & ~(pd.isna(labels) if pd.isna(label) else labels == label)
    donors = obs["donor"].astype(object).to_numpy()
    if "strata" in options:
        within = within & ~pd.isna(donors)
    reference = options["reference"]
    references = [] if reference == "rest" else [reference] if isinstance(reference, str) else list(reference)
    is_reference = within & np.isin(labels.astype(str), references)
    least = options.get("min_cells") or 0
    if references and is_reference.sum() < max(2, least):
        return None
    found = Plain()
    of_groups = {}
    for group in "abcd":
        inside = within & (labels == group)
        if not inside.any() or group in references:
            continue
        if inside.sum() < least:
            found.skipped.append(group)
        elif inside.sum() < 2:
            return None
        else:
            of_groups[group] = inside
    if not of_groups:
        return None
    for group, inside in of_groups.items():
        other = is_reference if references else within & ~inside
        strata = [within]
        if "strata" in options:
            strata = [within & (donors == donor) for donor in "pqr"]
        found.sides[group] = [(np.flatnonzero(inside & h), np.flatnonzero(other & h)) for h in strata]
    if "strata" in options and not any(len(a) and len(b) for strata in found.sides.values() for a, b in strata):
        return None
    (*_, last) = of_groups.values()
    if "split_by" in options and not references and (within == last).all():
        return None
    return found


def plain_numbers(values: np.ndarray, plain: Plain, options: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Numbers of each group, genes in order."""
    found = {}
    for group, strata in plain.sides.items():
        a = np.concatenate([inside for inside, _ in strata])
        b = np.concatenate([other for _, other in strata])
        rows = []
        for j in range(values.shape[1]):
            x, y = values[a, j], values[b, j]
            auc = np.nan
            if "strata" in options:
                z, p, u, pairs = plain_van_elteren([(values[k, j], values[o, j]) for k, o in strata])
                defined = any(
                    np.unique([*values[k, j], *values[o, j]]).size > 1 for k, o in strata if k.size and o.size
                )
                auc = u / pairs if pairs else np.nan
            elif options["method"] == "wilcoxon":
                z, p = plain_rank_sum(x, y, tie_correct=options["tie_correct"], use_continuity=False)
                defined = y.size > 0 and not (options["tie_correct"] and np.unique([*x, *y]).size == 1)
                auc = stats.mannwhitneyu(x, y).statistic / x.size / y.size if y.size else np.nan
            else:
                z, p = plain_t(x, y)
                defined = not np.isnan(z)
            if options["alternative"] != "two-sided":
                p = p / 2 if (z > 0) == (options["alternative"] == "greater") else 1 - p / 2
            z, p = (z, p) if defined else (0.0, 1.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                means = [np.expm1(side.mean()) + 1e-9 if side.size else np.nan for side in (x, y)]
                change = np.log2(means[0] / means[1])
            fractions = [np.mean(side != 0) if side.size else 0 for side in (x, y)]
            tested = max(fractions) >= options.get("min_pct", 0)
            if "min_logfc" in options:
                tested = tested and abs(np.float32(change)) >= options["min_logfc"]
            rows.append((z, p, change, auc, tested))
        found[group] = pd.DataFrame(rows, columns=["scores", "pvals", "logfoldchanges", "auc", "tested"])
    return found


def plain_t(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Welch's t and two-sided p; NaN where undefined."""
    if y.size < 2 or (np.ptp(x) == np.ptp(y) == 0 and x[0] == y[0]):
        return np.nan, np.nan
    if np.ptp(x) == np.ptp(y) == 0:
        return np.copysign(np.inf, x[0] - y[0]), 0.0
    t = stats.ttest_ind(x, y, equal_var=False)
    return t.statistic, t.pvalue


@st.composite
def calls(draw: st.DrawFn) -> tuple[ad.AnnData, dict[str, Any]]:
    """Objects with labels, levels and donors, and options for them."""
    adata = draw(objects(least=2))
    n = adata.n_obs
    adata.obs["level"] = pd.Categorical(draw(st.lists(st.sampled_from(["x", "x", "y", None]), min_size=n, max_size=n)))
    adata.obs["donor"] = pd.Categorical(draw(st.lists(st.sampled_from(["p", "q", "r", None]), min_size=n, max_size=n)))
    options = {
        "method": draw(st.sampled_from(["wilcoxon", "wilcoxon", "t-test"])),
        "reference": draw(st.sampled_from(["rest", "rest", "a", ("a", "b"), ("b",)])),
        "alternative": draw(st.sampled_from(["two-sided", "greater", "less"])),
        "corr_scope": draw(st.sampled_from(["group", "all"])),
        "corr_method": draw(st.sampled_from(["benjamini-hochberg", "bonferroni", "holm", "fdr_by"])),
        "tie_correct": draw(st.booleans()),
    }
    if draw(st.booleans()):
        options["split_by"] = "level"
    if draw(st.booleans()) and options["method"] == "wilcoxon":
        options |= {"strata": "donor", "tie_correct": True}
    if draw(st.booleans()):
        options["min_cells"] = draw(st.integers(2, 5))
    excluded = draw(st.lists(st.sampled_from(["c", "b", None]), max_size=2, unique=True))
    if excluded and not set(excluded) & {*options["reference"]}:
        options["exclude"] = excluded
    if draw(st.booleans()):
        options["min_pct"] = draw(st.sampled_from([0.0, 0.4, 0.8]))
    if draw(st.booleans()):
        options["min_logfc"] = draw(st.sampled_from([0.3, 1.3]))
    return adata, options


def by_scpdex(adata: ad.AnnData, options: dict[str, Any], **more: Any) -> dict[str | None, dict[str, Any]] | None:
    """Results by level; None if nothing could be compared."""
    adata = adata.copy()
    extras = ("auc",) if options["method"] == "wilcoxon" else ()
    try:
        scpdex.tl.rank_genes_parallel(adata, "label", extras=extras, **options, **more)
    except ValueError:
        return None
    if "split_by" not in options:
        return {None: adata.uns[KEY]}
    return {level: adata.uns[f"{KEY}_{level}"] for level in adata.uns[KEY]["splits"]}


def known(adata: ad.AnnData, options: dict[str, Any]) -> bool:
    """Whether the labels that are named exist."""
    there = set(
        adata.obs["label"].cat.categories[
            adata.obs["label"].value_counts().reindex(adata.obs["label"].cat.categories) > 0
        ]
    )
    named = set() if options["reference"] == "rest" else {*options["reference"]}
    return named | set(filter(None, options.get("exclude") or [])) <= there


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=120)
@given(calls(), st.sampled_from(list(STORAGES.values())), st.integers(1, 4))
def test_combinations(call, storage, gene_chunk_size):
    adata, options = call
    found = by_scpdex(adata, options)
    if not known(adata, options):
        assert found is None
        return
    levels = ["x", "y"] if "split_by" in options else [None]
    level_of = adata.obs["level"].astype(object).to_numpy()
    plains = {
        level: plain_comparison(
            adata.obs, np.ones(adata.n_obs, dtype=bool) if level is None else level_of == level, options
        )
        for level in levels
    }
    plains = {level: plain for level, plain in plains.items() if plain is not None}
    assert set(found or {}) == set(plains)
    if not plains:
        return
    values = adata.X.astype(np.float64)
    expected = {level: plain_numbers(values, plain, options) for level, plain in plains.items()}
    adjust = {"method": _NAMES.get(options["corr_method"], options["corr_method"])}
    family = [np.empty(0)]
    for level, plain in plains.items():
        result = found[level]
        assert list(result["names"].dtype.names) == list(plain.sides)
        if "min_cells" in options:
            assert sorted(result["params"]["skipped"]) == sorted(plain.skipped)
        for group in plain.sides:
            fields = ["scores", "pvals", "pvals_adj", "logfoldchanges", *(["auc"] if "auc" in result else [])]
            ours = pd.DataFrame({name: result[name][group] for name in fields}, index=result["names"][group])
            ours = ours.loc[adata.var_names].reset_index(drop=True)
            theirs = expected[level][group]
            # A fold change of exactly the limit is a matter of rounding.
            clear = np.ones(len(theirs), dtype=bool)
            if "min_logfc" in options:
                clear = ~(np.abs(theirs["logfoldchanges"].abs() - options["min_logfc"]) < 1e-5).to_numpy()
            assert (ours["pvals"].isna().to_numpy() == ~theirs["tested"].to_numpy(dtype=bool))[clear].all()
            tested = ours["pvals"].notna()
            assert ours[~tested].isna().all(axis=None)
            for name in ("scores", "pvals", "logfoldchanges", *(["auc"] if "auc" in result else [])):
                rtol, atol = {"pvals": (1e-6, 1e-12), "scores": (1e-5, 1e-6)}.get(name, (1e-4, 1e-4))
                np.testing.assert_allclose(
                    ours.loc[tested, name], theirs.loc[tested, name], rtol=rtol, atol=atol, err_msg=f"{group} {name}"
                )
            p = ours.loc[tested, "pvals"].to_numpy()
            family.append(p)
            if options["corr_scope"] == "group" and p.size:
                np.testing.assert_allclose(ours.loc[tested, "pvals_adj"], multipletests(p, **adjust)[1], rtol=1e-12)
    together = np.concatenate(family)
    if options["corr_scope"] == "all" and together.size:
        adjusted = [result["pvals_adj"][group] for result in found.values() for group in result["names"].dtype.names]
        adjusted = np.concatenate(adjusted)
        np.testing.assert_allclose(
            np.sort(adjusted[~np.isnan(adjusted)]), np.sort(multipletests(together, **adjust)[1]), rtol=1e-12
        )
    stored = adata.copy()
    stored.X = storage(adata.X)
    again = by_scpdex(stored, options, n_jobs=2, gene_chunk_size=gene_chunk_size)
    for level, result in found.items():
        assert_same_bits(again[level], result)
