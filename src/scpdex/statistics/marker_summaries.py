"""Marker summaries: of one group's effects over each other group, or of its p-values, to a few numbers of a gene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels._compile import inner_kernel, kernel
from scpdex.kernels.argsort import argsort_descending

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.statistics.marker_options import Summary

# So few values are sorted.
_FEW_VALUES = 8


def summarize_effects(effects: NDArray[np.float64], *, with_median: bool) -> dict[Summary, NDArray[np.float64]]:
    """Summarize effects, genes x groups x others, over the others; NaN are left out, and NaN where nothing is left."""
    shape = effects.shape[:2]
    lowest, means, highest = (np.empty(shape) for _ in range(3))
    medians = np.empty(shape if with_median else (0, 0))
    values, spare = np.empty(effects.shape[2]), np.empty((2, effects.shape[2]))
    _summarize(effects, with_median, values, spare, lowest, means, medians, highest)
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
    spare: NDArray[Any],
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
                medians[g, group] = _median(values, n, spare) if n > 0 else np.nan


@inner_kernel
def _median(values: NDArray[Any], n: int, spare: NDArray[Any]) -> Any:
    """Compute the median of the first ``n`` values; ``spare`` is two buffers."""
    upper = _select(values, n, n // 2, spare)
    if n % 2 == 1:
        return upper
    lower = _select(values, n, n // 2 - 1, spare)
    # Infinite values of one sign have that median.
    return lower if lower == upper else lower / 2 + upper / 2


@inner_kernel
def _select(values: NDArray[Any], n: int, k: int, spare: NDArray[Any]) -> Any:
    """Find the ``k``-th smallest of the first ``n`` values, from 0, as quickselect does (Hoare 1961).

    Values below the pivot, or above it, are copied to the one and the other buffer, without a branch that the processor
    would have to guess: each is written, and the next one over it unless it belongs there.
    """
    source, target, other = values, spare[0], spare[1]
    while n > _FEW_VALUES:
        a, b, c = source[0], source[n // 2], source[n - 1]
        pivot = max(min(a, b), min(max(a, b), c))
        n_below = 0
        n_equal = 0
        for i in range(n):
            target[n_below] = source[i]
            n_below += source[i] < pivot
            n_equal += source[i] == pivot
        if n_below <= k < n_below + n_equal:
            return pivot
        if k < n_below:
            n = n_below
        else:
            k -= n_below + n_equal
            n_above = 0
            for i in range(n):
                target[n_above] = source[i]
                n_above += source[i] > pivot
            n = n_above
        source, target, other = target, other, target
    for i in range(n):
        place = i
        while place > 0 and target[place - 1] > source[i]:
            target[place] = target[place - 1]
            place -= 1
        target[place] = source[i]
    return target[k]


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
