"""Plain: every comparison that options ask for, gene by gene and from the cells themselves, by code that is slow."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from natsort import natsorted
from oracles import plain_anderson, plain_placements, plain_rank_sum, plain_treat
from scipy import stats

# Of a float64 sum of some thousand values, as a share of the sum of their absolute values.
ROUNDING = 1e-12

Sides = list[tuple[np.ndarray, np.ndarray]]


@dataclass
class Plain:
    """One comparison: rows of the cells of each group and of what it is compared with, stratum by stratum."""

    sides: dict[str, Sides] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def spelt(column: pd.Series) -> np.ndarray:
    """Names of labels, None where there is none."""
    return np.array([None if pd.isna(label) else str(label) for label in column], dtype=object)


def in_order(column: pd.Series) -> list[str]:
    """Names of the groups: categories in their order, numbers by value, all else in natural order."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [str(label) for label in column.cat.categories if (column == label).any()]
    labels = list(column.dropna())
    is_numeric = all(isinstance(label, Real | np.bool_) for label in labels)
    return list(dict.fromkeys(map(str, sorted(labels) if is_numeric else natsorted(labels, key=str))))


def compared(obs: pd.DataFrame, within: np.ndarray, options: dict[str, Any]) -> Plain | None:
    """Read the options by the book; None if these cells cannot be compared."""
    labels = spelt(obs["label"])
    names = in_order(obs["label"])
    for label in options.get("exclude") or []:
        within = within & ~np.array([name is None if label is None else name == str(label) for name in labels])
    strata = [within]
    if "strata" in options:
        donors = spelt(obs["donor"])
        strata = [within & (donors == donor) for donor in sorted({*donors} - {None})]
        within = within & (donors != None)  # noqa: E711
    reference = options.get("reference", "rest")
    references = [] if reference == "rest" else list(reference) if isinstance(reference, list | tuple) else [reference]
    references = [str(label) for label in references]
    groups = options.get("groups", "all")
    # A group that was asked for is missed where it has no cell, except in a level.
    may_be_empty = groups == "all" or "split_by" in options
    groups = names if groups == "all" else list(dict.fromkeys(str(group) for group in groups))
    is_reference = within & np.isin(labels.astype(str), references) & (labels != None)  # noqa: E711
    least = options.get("min_cells")
    if references and is_reference.sum() < (least or 2):
        return None
    found = Plain()
    of_groups = {}
    for group in groups:
        inside = within & (labels == group)
        if group in references or (may_be_empty and not inside.any()):
            continue
        if inside.sum() < (least or 0):
            found.skipped.append(group)
        elif inside.sum() < (least or 2):
            return None
        else:
            of_groups[group] = inside
    if not of_groups:
        return None
    for group, inside in of_groups.items():
        other = is_reference if references else within & ~inside
        found.sides[group] = [(np.flatnonzero(inside & h), np.flatnonzero(other & h)) for h in strata]
    if "strata" in options and not any(len(a) and len(b) for sides in found.sides.values() for a, b in sides):
        return None
    (*_, last) = of_groups.values()
    if "split_by" in options and not references and (within == last).all():
        return None
    return found


@dataclass
class Numbers:
    """What is known of one group and gene; bounds are where rounding may lead, NaN where nothing is defined."""

    score: float
    pval: float
    least_change: float
    most_change: float
    auc: float
    tested: bool
    sure: bool
    """Whether rounding leaves score and p as they are."""
    auc_error: float
    """Standard error of the AUC; NaN unless it is asked for."""
    auc_ends: tuple[float, float]
    """Confidence interval of the AUC; NaN unless it is asked for."""


def numbers_of(values: np.ndarray, sides: Sides, options: dict[str, Any], log_base: float | None) -> list[Numbers]:
    """Test every gene; values are cells x genes, in float64."""
    a = np.concatenate([inside for inside, _ in sides])
    b = np.concatenate([other for _, other in sides])
    found = []
    for j in range(values.shape[1]):
        x, y = values[a, j], values[b, j]
        score, pval, auc, sure = _test([(values[k, j], values[o, j]) for k, o in sides], x, y, options)
        least, most = _bounds_of_change(x, y, options, 1.0 if log_base is None else float(np.log(log_base)))
        fractions = [np.mean(side != 0) if side.size else 0 for side in (x, y)]
        tested = max(fractions) >= options.get("min_pct", 0)
        if "min_logfc" in options:
            tested = tested and abs(least) >= options["min_logfc"]
        asked = "auc_se" in options.get("extras", ()) and y.size
        difference, auc_error, freedom = plain_placements(x, y) if asked else (np.nan, np.nan, np.nan)
        margin = stats.t.ppf((1 + options.get("confidence", 0.95)) / 2, freedom) * auc_error if auc_error else 0.0
        ends = (float(max(difference + 0.5 - margin, 0)), float(min(difference + 0.5 + margin, 1)))
        ends = (np.nan, np.nan) if np.isnan(margin) else ends
        found.append(Numbers(score, pval, least, most, auc, tested, sure, auc_error, ends))
    return found


def _test(
    strata: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray, y: np.ndarray, options: dict[str, Any]
) -> tuple[float, float, float, bool]:
    auc, sure = np.nan, True
    if "strata" in options:
        z, p, u, pairs = plain_van_elteren(strata)
        defined = any(np.unique([*k, *o]).size > 1 for k, o in strata if k.size and o.size)
        auc = u / pairs if pairs else np.nan
    elif options["method"] == "wilcoxon":
        ties = {name: options.get(name, False) for name in ("tie_correct", "use_continuity")}
        z, p = plain_rank_sum(x, y, **ties)
        defined = y.size > 0 and not (ties["tie_correct"] and np.unique([*x, *y]).size == 1)
        auc = float(stats.mannwhitneyu(x, y).statistic / x.size / y.size) if y.size else np.nan
    elif options["method"] == "anderson":
        if not y.size:
            return 0.0, 1.0, auc, False
        u = float(stats.mannwhitneyu(x, y).statistic)
        return (-1 if 2 * u < x.size * y.size else 1) * plain_anderson(x, y), np.nan, u / x.size / y.size, True
    elif options["method"] == "brunner-munzel" or "min_effect" in options:
        return _test_effect(x, y, options)
    else:
        z, p, sure = plain_t(x, y, overestimate_variance=options["method"] == "t-test_overestim_var")
        defined = not np.isnan(z)
    if options.get("alternative", "two-sided") != "two-sided":
        p = p / 2 if (z > 0) == (options["alternative"] == "greater") else 1 - p / 2
    return (z, p, auc, sure) if defined or not sure else (0.0, 1.0, auc, True)


def _test_effect(x: np.ndarray, y: np.ndarray, options: dict[str, Any]) -> tuple[float, float, float, bool]:
    if min(x.size, y.size) < 2:
        auc = plain_placements(x, y)[0] + 0.5 if min(x.size, y.size) else np.nan
        return 0.0, 1.0, auc, True
    least, alternative = options.get("min_effect", 0.0), options.get("alternative", "two-sided")
    if options["method"] == "brunner-munzel":
        effect = plain_placements(x, y)
        found = plain_treat(*effect, least, alternative) if effect[1] else (0.0, 1.0)
        # A distance that is the least one is a matter of rounding.
        return *found, effect[0] + 0.5, abs(abs(effect[0]) - least) > ROUNDING or not effect[1]
    _, _, told = plain_t(x, y)
    (mean_x, squares_x), (mean_y, squares_y) = exact_moments(x), exact_moments(y)
    error_x, error_y = squares_x / (x.size - 1) / x.size, squares_y / (y.size - 1) / y.size
    if not told or not error_x + error_y:
        return np.nan, np.nan, np.nan, False
    freedom = (error_x + error_y) ** 2 / (error_x**2 / (x.size - 1) + error_y**2 / (y.size - 1))
    effect = (float(mean_x - mean_y), float(np.sqrt(float(error_x + error_y))), float(freedom))
    highest = max(np.abs(x).max(), np.abs(y).max(), least)
    return *plain_treat(*effect, least, alternative), np.nan, abs(abs(effect[0]) - least) > 1e8 * np.spacing(highest)


def plain_van_elteren(strata: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float, float, float]:
    """z, two-sided p, U and how many pairs it counts, of one gene; each stratum has the values of both sides."""
    difference = variance = u = pairs = 0.0
    for group, other in strata:
        n1, n2 = len(group), len(other)
        n = n1 + n2
        if n1 == 0 or n2 == 0:
            continue
        ranks = stats.rankdata(np.concatenate([group, other]))
        _, t = np.unique(ranks, return_counts=True)
        rank_sum = ranks[:n1].sum()
        of_stratum = n1 * n2 / 12 * (n + 1 - (t**3.0 - t).sum() / (n * (n - 1)))
        difference += (rank_sum - n1 * (n + 1) / 2) / (n + 1)
        variance += of_stratum / (n + 1) ** 2
        u += rank_sum - n1 * (n1 + 1) / 2
        pairs += n1 * n2
    if variance <= 1e-300:
        return 0.0, 1.0, u, pairs
    z = difference / np.sqrt(variance)
    return z, 2 * stats.norm.sf(abs(z)), u, pairs


def exact_moments(values: np.ndarray) -> tuple[Fraction, Fraction]:
    """Mean and sum of squared deviations, without any rounding."""
    exact = [Fraction(float(value)) for value in values]
    mean = sum(exact, Fraction()) / len(exact)
    return mean, sum(((value - mean) ** 2 for value in exact), Fraction())


def plain_t(x: np.ndarray, y: np.ndarray, *, overestimate_variance: bool = False) -> tuple[float, float, bool]:
    """Welch's t and two-sided p from exact moments, NaN where undefined; and whether float64 can tell them."""
    if min(x.size, y.size) < 2:
        return np.nan, np.nan, True
    (mean_x, squares_x), (mean_y, squares_y) = exact_moments(x), exact_moments(y)
    counted_as = x.size if overestimate_variance else y.size
    error_x, error_y = squares_x / (x.size - 1) / x.size, squares_y / (y.size - 1) / counted_as
    difference, error = mean_x - mean_y, error_x + error_y
    if not error:
        return (float(np.sign(difference)) * np.inf if difference else np.nan), 0.0 if difference else np.nan, True
    freedom = error**2 / (error_x**2 / (x.size - 1) + error_y**2 / (counted_as - 1))
    # The largest float64 values have no squares there, and the least ones none but 0.
    highest = float(max(np.abs(x).max(), np.abs(y).max()))
    representable = highest < 1e140 and all(e == 0 or e > Fraction(1, 10**280) for e in (squares_x, squares_y))
    if not representable:
        return np.nan, np.nan, False
    # Means are rounded as their highest value is, whatever the spread.
    rounded = Fraction(np.spacing(highest)) * 2
    spread_x, spread_y = squares_x / x.size, squares_y / y.size
    told = all(e == 0 or e > rounded**2 * 10**12 for e in (spread_x, spread_y))
    t = float(difference) / float(np.sqrt(float(error)))
    told = told and (difference == 0 or abs(difference) > rounded * 10**7)
    return t, float(2 * stats.t.sf(abs(t), float(freedom))), bool(told)


def _bounds_of_change(x: np.ndarray, y: np.ndarray, options: dict[str, Any], scale: float) -> tuple[float, float]:
    """Least and most that the log2 fold change can be, given how sums are rounded; NaN where it is undefined."""
    ends = []
    with np.errstate(all="ignore"):
        for side in (x, y):
            if not side.size:
                return np.nan, np.nan
            if options.get("mean_in_log_space", True):
                mean, off = side.sum() / side.size, ROUNDING * np.abs(side).sum() / side.size
                ends.append([np.expm1((mean - off) * scale), np.expm1((mean + off) * scale)])
            else:
                counts = np.expm1(side * scale)
                mean, off = counts.sum() / side.size, 10 * ROUNDING * np.abs(counts).sum() / side.size
                ends.append([mean - off, mean + off])
        if not np.isfinite(ends).all():
            return -np.inf, np.inf
        changes = [np.log2((a + 1e-9) / (b + 1e-9)) for a, b in product(*ends)]
        if np.isnan(changes).all():
            return np.nan, np.nan
        if not np.isfinite(changes).all():
            return -np.inf, np.inf
        slack = 1e-5 + 1e-6 * np.max(np.abs(changes))
    return np.min(changes) - slack, np.max(changes) + slack
