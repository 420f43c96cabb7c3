"""Multiple testing: p-values adjusted for the number of tests, by Benjamini and Hochberg or a method of statsmodels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.comparisons.spelling import suggest_name
from scpdex.kernels.argsort import argsort_descending
from scpdex.kernels.benjamini_hochberg import adjust_in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

# scanpy's and statsmodels' names of each method.
_BENJAMINI_HOCHBERG = {"benjamini-hochberg", "fdr_bh"}
_BONFERRONI = {"bonferroni"}
# statsmodels' Holm collects Python's garbage at each call, which takes longer than all else for thousands of groups.
_HOLM = {"holm", "h"}
# Peak memory of making a family, bytes per p-value: by our kernel, and by statsmodels.
_BYTES_BY_KERNEL = 40
_BYTES_BY_STATSMODELS = 80


def bytes_of_family(method: str) -> int:
    """Peak memory of making a :class:`Family`, bytes per p-value."""
    return _BYTES_BY_KERNEL if method in _BENJAMINI_HOCHBERG | _BONFERRONI else _BYTES_BY_STATSMODELS


def refuse_correction(method: object) -> None:
    """Raise a ValueError for a method that neither scanpy nor ``statsmodels.stats.multitest.multipletests`` has."""
    if isinstance(method, str) and method in _BENJAMINI_HOCHBERG | _BONFERRONI:
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
    tested = ~np.isnan(pvals)
    if order is None and not tested.all():
        adjusted = np.full_like(pvals, np.nan)
        for row, genes in enumerate(tested):
            if genes.any():
                adjusted[row, genes] = adjust_pvals(pvals[None, row, genes], method, None)[0]
        return adjusted
    if method in _BONFERRONI:
        return np.asarray(np.minimum(pvals * pvals.shape[1], 1.0))
    if method in _HOLM:
        return _holm(pvals)
    if method not in _BENJAMINI_HOCHBERG:
        from statsmodels.stats.multitest import multipletests  # noqa: PLC0415

        # Some methods take logs, which are infinite for p of 0 and 1; the adjusted p-values are 0 and 1.
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([multipletests(row, method=method)[1] for row in pvals])
    if order is None:
        order = np.empty(pvals.shape, dtype=np.intp)
        argsort_descending(-pvals, order)
    adjusted = np.empty_like(pvals)
    adjust_in_order(pvals, order, np.empty(pvals.shape[1], dtype=np.intp), adjusted)
    return adjusted


def _holm(pvals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn the k-th smallest p of n into ``p (n - k + 1)`` or the adjusted p of a smaller one if higher; 1 at most."""
    order = np.argsort(pvals, axis=1, kind="stable")
    stepped = np.take_along_axis(pvals, order, axis=1) * np.arange(pvals.shape[1], 0, -1)
    adjusted = np.empty_like(pvals)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(stepped, axis=1), 1), axis=1)
    return adjusted


@dataclass(frozen=True)
class Family:
    """A family of tests: all tests of a call, which are adjusted as one."""

    pvals: NDArray[np.float64]
    """Ascending."""
    adjusted: NDArray[np.float64]

    @classmethod
    def of(cls, pvals: NDArray[np.float64], method: str) -> Family:
        """Adjust p-values, which are sorted in place; NaN do not count as tests."""
        pvals.sort()
        pvals = pvals[: np.searchsorted(pvals, np.inf)]
        if pvals.size == 0:
            return cls(pvals, pvals)
        return cls(pvals, adjust_pvals(pvals[None], method, np.arange(pvals.size)[None])[0])

    def adjust(self, pvals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Look up the adjusted p-value of each p-value of the family; NaN stays NaN."""
        adjusted = np.full_like(pvals, np.nan)
        tested = ~np.isnan(pvals)
        adjusted[tested] = self.adjusted[np.searchsorted(self.pvals, pvals[tested])]
        return adjusted
