"""Multiple testing: p-values adjusted for the number of tests, by Benjamini and Hochberg or a method of statsmodels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.comparisons.spelling import suggest_name
from scpdex.kernels.argsort import argsort_descending
from scpdex.kernels.benjamini_hochberg import adjust_in_order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

# scanpy's and statsmodels' names of each method.
_BENJAMINI_HOCHBERG = {"benjamini-hochberg", "fdr_bh", "fdr_i", "fdr_p", "fdri", "fdrp"}
_BONFERRONI = {"bonferroni", "bonf", "b"}
# statsmodels' Holm collects Python's garbage at each call, which takes longer than all else for thousands of groups.
_HOLM = {"holm", "h"}
_LOCAL_FDR = {"lfdr", "lfdr_sl"}
# Peak memory of making a family, bytes per p-value. Bonferroni counts them; the others hold them, and beside them
# Benjamini-Hochberg and Holm the adjusted ones, and statsmodels 0.14 and 0.15 what tracemalloc measures.
_BYTES_OF_BONFERRONI = 0
_BYTES_OF_SORTED_PVALS = 16
_BYTES_OF_STATSMODELS = 42
_BYTES_OF_LOCAL_FDR = 97


def bytes_of_family(method: str) -> int:
    """Peak memory of making a :class:`Family`, bytes per p-value."""
    if method in _BONFERRONI:
        return _BYTES_OF_BONFERRONI
    if method in _BENJAMINI_HOCHBERG | _HOLM:
        return _BYTES_OF_SORTED_PVALS
    return _BYTES_OF_LOCAL_FDR if method in _LOCAL_FDR else _BYTES_OF_STATSMODELS


def refuse_correction(method: object) -> None:
    """Raise a ValueError for a method that neither scanpy nor ``statsmodels.stats.multitest.multipletests`` has."""
    if isinstance(method, str) and method in _BENJAMINI_HOCHBERG | _BONFERRONI | _HOLM:
        return
    # statsmodels takes long to import, and few calls need it.
    from statsmodels.stats.multitest import multitest_alias  # noqa: PLC0415

    if not isinstance(method, str) or method not in multitest_alias:
        # Each method has a short name and aliases: list the longest alias instead of a short name such as "b".
        longest_alias = {
            short: max((alias for alias in multitest_alias if multitest_alias[alias] == short), key=len)
            for short in multitest_alias.values()
        }
        valid = ["benjamini-hochberg", *(short if len(short) > 3 else alias for short, alias in longest_alias.items())]
        msg = f"corr_method={method!r} is not known.{suggest_name(str(method), valid)}"
        raise ValueError(msg)


def adjust_pvals(
    pvals: NDArray[np.float64], method: str, order: NDArray[np.signedinteger[Any]] | None
) -> NDArray[np.float64]:
    """Adjust p-values over each row, groups x genes; NaN do not count as tests, and stay NaN.

    Methods are Benjamini and Hochberg (1995), as ``scipy.stats.false_discovery_control``; Bonferroni; Holm (1979); and
    those of ``statsmodels.stats.multitest.multipletests``, with its default ``alpha``. ``order`` holds the genes by
    score where p is a function of the score's distance from 0, as in rank tests; None where it is not, or where p may
    be NaN.
    """
    if method in _BONFERRONI:
        n_tests = np.count_nonzero(~np.isnan(pvals), axis=1, keepdims=True)
        return np.asarray(np.minimum(pvals * n_tests, 1.0))
    if method in _BENJAMINI_HOCHBERG and (order is not None or not np.isnan(pvals).any()):
        if order is None:
            order = np.empty(pvals.shape, dtype=np.intp)
            argsort_descending(-pvals, order)
        adjusted = np.empty_like(pvals)
        adjust_in_order(pvals, order, np.empty(pvals.shape[1], dtype=np.intp), adjusted)
        return adjusted
    adjusted = np.full_like(pvals, np.nan)
    for row, adjusted_row in zip(pvals, adjusted, strict=True):
        # With NaN among them, numpy sorts 20,000 p-values in 1.1 ms instead of 0.1.
        tested = np.flatnonzero(~np.isnan(row))
        by_p = tested[np.argsort(row[tested])]
        adjusted_row[by_p] = _adjust_ascending(row[by_p], method)
    return adjusted


def _adjust_ascending(pvals: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Adjust p-values in ascending order, by any method but Bonferroni; NaN are last and stay NaN."""
    n_tests = int(np.searchsorted(pvals, np.inf))
    if method in _BENJAMINI_HOCHBERG | _HOLM:
        return _adjust_in_place(pvals, n_tests, step_up=method in _BENJAMINI_HOCHBERG)
    if n_tests == 0:
        return pvals
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415

    # Some methods take logs, which are infinite for p of 0 and 1; the adjusted p-values are 0 and 1.
    with np.errstate(divide="ignore", invalid="ignore"):
        try:
            adjusted = multipletests(pvals[:n_tests], method=method, is_sorted=True)[1]
        except ValueError as error:
            msg = (
                f"corr_method={method!r}: statsmodels cannot adjust p-values from {pvals[0]:.3g} to "
                f"{pvals[n_tests - 1]:.3g}. Pass another method, such as 'benjamini-hochberg'. The error was: {error}"
            )
            raise ValueError(msg) from error
    return adjusted if n_tests == pvals.size else np.append(adjusted, pvals[n_tests:])


def _adjust_in_place(pvals: NDArray[np.float64], n_tests: int, *, step_up: bool) -> NDArray[np.float64]:
    """Adjust p-values in ascending order by Benjamini and Hochberg (step up) or Holm (step down), in one array.

    The k-th smallest p of n becomes ``p n / k``, or the adjusted p of the next larger one if that is less; in Holm's
    method ``p (n - k + 1)``, or the adjusted p of the next smaller one if that is more. It is 1 at most.
    """
    adjusted = np.arange(1.0, pvals.size + 1)
    tested = adjusted[:n_tests]
    if step_up:
        np.divide(n_tests, adjusted, out=adjusted)
        adjusted *= pvals
        np.minimum.accumulate(tested[::-1], out=tested[::-1])
    else:
        np.subtract(n_tests + 1, adjusted, out=adjusted)
        adjusted *= pvals
        np.maximum.accumulate(tested, out=tested)
    return np.asarray(np.minimum(adjusted, 1, out=adjusted))


@dataclass(frozen=True)
class Family:
    """A family of tests: all tests of a call, which are adjusted as one."""

    n_tests: int
    """Number of p-values that are not NaN."""
    adjusted_by_p: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    """p-values in ascending order, NaN last, and their adjusted p-values; None for Bonferroni."""

    @classmethod
    def of(cls, parts: Iterable[NDArray[np.float64]], n_pvals: int, method: str) -> Family:
        """Adjust ``n_pvals`` p-values that come in parts; NaN do not count as tests."""
        if method in _BONFERRONI:
            return cls(sum(int(np.count_nonzero(~np.isnan(part))) for part in parts), None)
        pvals, n_filled = np.empty(n_pvals), 0
        for part in parts:
            pvals[n_filled : n_filled + part.size] = part.ravel()
            n_filled += part.size
        pvals.sort()
        return cls(int(np.searchsorted(pvals, np.inf)), (pvals, _adjust_ascending(pvals, method)))

    def adjust(self, pvals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Adjust p-values of the family; NaN stays NaN."""
        if self.adjusted_by_p is None:
            return np.asarray(np.minimum(pvals * self.n_tests, 1.0))
        ascending, adjusted = self.adjusted_by_p
        return adjusted[np.searchsorted(ascending, pvals)]
