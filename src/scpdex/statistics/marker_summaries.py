"""Marker summaries: of one group's effects over each other group, or of its p-values, to a few numbers of a gene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels._compile import inner_kernel, kernel
from scpdex.kernels.argsort import argsort_descending

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.marker_options import Summary


def summarize_effects(effects: NDArray[np.float64], *, with_median: bool) -> dict[Summary, NDArray[np.float64]]:
    """Summarize effects, genes x groups x others, over the others; NaN are left out, and NaN where nothing is left."""
    shape = effects.shape[:2]
    lowest, means, highest = (np.empty(shape) for _ in range(3))
    medians = np.empty(shape if with_median else (0, 0))
    _summarize(effects, with_median, np.empty(effects.shape[2]), lowest, means, medians, highest)
    return {"min": lowest, "mean": means, "median": medians, "max": highest}


def combine_pvals(pvals: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Combine p-values, genes x groups x others, over the others; NaN are left out, and NaN where nothing is left.

    ``any``: the gene is up over at least one other group, by Simes (1986): the least of ``n p_k / k``, p_k being the
    k-th smallest of n p-values. ``all``: it is up over every other one, the largest p-value (Berger 1982).
    """
    of_any, of_all = np.empty((2, *pvals.shape[:2]))
    _combine_pvals(pvals, np.empty(pvals.shape[2]), of_any, of_all)
    return {"any": of_any, "all": of_all}


def update_min_ranks(
    effects: NDArray[np.float64], rows: NDArray[np.int64], limit: int, min_ranks: NDArray[np.int32]
) -> None:
    """Lower the best rank of each gene, groups x genes, by its ranks in some pairs.

    Genes are ranked from the largest effect down, from 1; equal ones keep their order. Ranks beyond ``limit`` count for
    nothing.

    Parameters
    ----------
    effects
        Pairs x genes.
    rows
        Row of each pair's first group in ``min_ranks``; -1 for pairs that are left out.
    """
    pairs = np.flatnonzero(rows >= 0)
    order = np.empty((pairs.size, effects.shape[1]), dtype=np.int32)
    argsort_descending(effects[pairs], order)
    _lower_ranks(order[:, :limit], rows[pairs], min_ranks)


@kernel
def _summarize(
    effects: NDArray[Any],
    with_median: bool,
    values: NDArray[Any],
    lowest: NDArray[Any],
    means: NDArray[Any],
    medians: NDArray[Any],
    highest: NDArray[Any],
) -> None:
    for g in range(effects.shape[0]):
        for group in range(effects.shape[1]):
            n = 0
            total = 0.0
            low, high = np.inf, -np.inf
            for other in range(effects.shape[2]):
                effect = effects[g, group, other]
                if effect == effect:
                    values[n] = effect
                    n += 1
                    total += effect
                    low, high = min(low, effect), max(high, effect)
            lowest[g, group] = low if n > 0 else np.nan
            highest[g, group] = high if n > 0 else np.nan
            means[g, group] = total / n if n > 0 else np.nan
            if with_median:
                medians[g, group] = _median(values, n) if n > 0 else np.nan


@inner_kernel
def _median(values: NDArray[Any], n: int) -> Any:
    """Compute the median of the first ``n`` values, which are put in another order."""
    middle = n // 2
    upper = _select(values, n, middle)
    if n % 2 == 1:
        return upper
    lower = values[0]
    for i in range(1, middle):
        lower = max(lower, values[i])
    # Infinite values of one sign have that median.
    return lower if lower == upper else lower / 2 + upper / 2


@inner_kernel
def _select(values: NDArray[Any], n: int, k: int) -> Any:
    """Find the ``k``-th smallest of the first ``n`` values, from 0, and move smaller ones before it (Hoare 1961)."""
    low, high = 0, n - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[k]


@kernel
def _combine_pvals(pvals: NDArray[Any], values: NDArray[Any], of_any: NDArray[Any], of_all: NDArray[Any]) -> None:
    for g in range(pvals.shape[0]):
        for group in range(pvals.shape[1]):
            n = 0
            for other in range(pvals.shape[2]):
                if pvals[g, group, other] == pvals[g, group, other]:
                    values[n] = pvals[g, group, other]
                    n += 1
            if n == 0:
                of_any[g, group] = of_all[g, group] = np.nan
                continue
            in_order = np.sort(values[:n])
            least = 1.0
            for k in range(n):
                least = min(least, in_order[k] * n / (k + 1))
            of_any[g, group] = least
            of_all[g, group] = in_order[n - 1]


@kernel
def _lower_ranks(order: NDArray[Any], rows: NDArray[Any], min_ranks: NDArray[Any]) -> None:
    for pair in range(rows.size):
        ranks = min_ranks[np.uint64(rows[pair])]
        for k in range(order.shape[1]):
            gene = np.uint64(order[pair, k])
            ranks[gene] = min(ranks[gene], k + 1)
