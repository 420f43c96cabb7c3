"""Plain markers: effects of every pair of groups and their summaries, by loops over their definitions."""

from itertools import permutations

import numpy as np
from scipy import stats

EFFECTS = ("auc", "cohens_d", "delta_mean", "delta_detected")
SUMMARIES = ("min", "mean", "median", "max")


def plain_effects(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Effects of the values ``x`` of one gene over the values ``y``; NaN without cells on either side."""
    if not (x.size and y.size):
        return dict.fromkeys(EFFECTS, np.nan)
    difference = x.mean() - y.mean()
    variances = [values.var(ddof=1) for values in (x, y) if values.size > 1]
    if not variances:
        d = np.nan
    elif np.mean(variances) == 0:
        d = 0.0 if difference == 0 else np.copysign(np.inf, difference)
    else:
        d = difference / np.sqrt(np.mean(variances))
    return {
        "auc": np.mean((x[:, None] > y) + (x[:, None] == y) / 2),
        "cohens_d": d,
        "delta_mean": difference,
        "delta_detected": np.mean(x != 0) - np.mean(y != 0),
    }


def plain_pairwise(
    values: np.ndarray, labels: np.ndarray, groups: list[str], blocks: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Effects of each pair, groups x groups x genes; with blocks their mean, weighted by the cells of both sides."""
    n_groups, n_genes = len(groups), values.shape[1]
    found = {effect: np.full((n_groups, n_groups, n_genes), np.nan) for effect in EFFECTS}
    in_block = [np.ones(labels.size, dtype=bool)] if blocks is None else [blocks == name for name in np.unique(blocks)]
    for i, j in permutations(range(n_groups), 2):
        sides = [[cells & (labels == groups[k]) for k in (i, j)] for cells in in_block]
        weights = [np.prod([min(side.sum(), 1000) / 1000 for side in of_block]) for of_block in sides]
        if blocks is None:
            weights = [1.0]
        for g in range(n_genes):
            of_blocks = [plain_effects(values[a, g], values[b, g]) for a, b in sides]
            for effect in EFFECTS:
                known = [k for k, of_block in enumerate(of_blocks) if not np.isnan(of_block[effect])]
                if known:
                    numbers = [of_blocks[k][effect] for k in known]
                    found[effect][i, j, g] = np.average(numbers, weights=[weights[k] for k in known])
    return found


def plain_summaries(effects: np.ndarray, min_rank_limit: int = 500) -> dict[str, np.ndarray]:
    """Summaries of one effect over the other groups, genes x groups; ``effects`` is groups x groups x genes."""
    n_groups, _, n_genes = effects.shape
    found = {name: np.full((n_genes, n_groups), np.nan) for name in SUMMARIES}
    ranks = np.full((n_genes, n_groups), n_genes)
    functions = {"min": np.min, "mean": np.mean, "median": np.median, "max": np.max}
    for i in range(n_groups):
        for g in range(n_genes):
            known = effects[i, :, g][~np.isnan(effects[i, :, g])]
            for name, function in functions.items():
                # Infinite effects of both signs have no mean.
                with np.errstate(invalid="ignore"):
                    found[name][g, i] = function(known) if known.size else np.nan
        for j in range(n_groups):
            if not np.isnan(effects[i, j]).any():
                best = np.argsort(-effects[i, j], kind="stable")[:min_rank_limit]
                ranks[best, i] = np.minimum(ranks[best, i], np.arange(best.size) + 1)
    return found | {"min_rank": ranks}


def plain_pvals(values: np.ndarray, labels: np.ndarray, groups: list[str]) -> np.ndarray:
    """One-sided p of the rank-sum test of each pair, groups x groups x genes; 1 where all values are equal."""
    found = np.full((len(groups), len(groups), values.shape[1]), np.nan)
    for i, j in permutations(range(len(groups)), 2):
        x, y = (values[labels == groups[k]] for k in (i, j))
        with np.errstate(invalid="ignore", divide="ignore"):
            p = stats.mannwhitneyu(x, y, alternative="greater", use_continuity=False, method="asymptotic").pvalue
        found[i, j] = np.where(np.isnan(p), 1, p)
    return found


def plain_combined(pvals: np.ndarray) -> dict[str, np.ndarray]:
    """p of "higher than some" (Simes) and "higher than all", genes x groups, and both adjusted over genes."""
    others = ~np.eye(pvals.shape[0], dtype=bool)
    of_others = [np.sort(pvals[i, others[i]], axis=0) for i in range(pvals.shape[0])]
    found = {
        "any": np.stack([(p * (len(p) / np.arange(1, len(p) + 1))[:, None]).min(axis=0) for p in of_others], axis=1),
        "all": np.stack([p[-1] for p in of_others], axis=1),
    }
    return found | {f"{name}_adj": stats.false_discovery_control(p, axis=0) for name, p in found.items()}
