"""Corrections: p-values adjusted for the number of tests, by Benjamini and Hochberg or a method of statsmodels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scpdex.comparisons.spelling import suggest_name
from scpdex.kernels.argsort import argsort_descending
from scpdex.kernels.benjamini_hochberg import adjust_in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

# scanpy's names, and those of the same in statsmodels.
_BENJAMINI_HOCHBERG = {"benjamini-hochberg", "fdr_bh"}
_BONFERRONI = {"bonferroni"}
# That of statsmodels collects Python's garbage at each call, which takes longer than all else for thousands of groups.
_HOLM = {"holm", "h"}
# What a family takes for each p-value while it is made: by our kernel, and by statsmodels.
_BYTES = {True: 40, False: 80}


def bytes_of_family(method: str) -> int:
    """Bytes that a :class:`Family` takes for each p-value while it is made."""
    return _BYTES[method in _BENJAMINI_HOCHBERG | _BONFERRONI]


def refuse_correction(method: object) -> None:
    """Raise a ValueError for a method that neither scanpy nor ``statsmodels.stats.multitest.multipletests`` has."""
    if isinstance(method, str) and method in _BENJAMINI_HOCHBERG | _BONFERRONI:
        return
    # statsmodels takes long to import, and few calls need it.
    from statsmodels.stats.multitest import multitest_alias  # noqa: PLC0415

    if not isinstance(method, str) or method not in multitest_alias:
        # Of each method the name that says most.
        names = {
            of: max((name for name in multitest_alias if multitest_alias[name] == of), key=len)
            for of in multitest_alias.values()
        }
        valid = ["benjamini-hochberg", *(of if len(of) > 3 else name for of, name in names.items())]
        msg = f"corr_method={method!r} is not known.{suggest_name(str(method), valid)}"
        raise ValueError(msg)


def adjust_pvals(pvals: NDArray[np.float64], method: str, order: NDArray[np.intp] | None) -> NDArray[np.float64]:
    """Adjust p-values over each row, groups x genes; NaN are not counted and stay.

    Benjamini and Hochberg (1995), as ``scipy.stats.false_discovery_control``; Bonferroni; Holm (1979); or by
    ``statsmodels.stats.multitest.multipletests``, with its default ``alpha``. ``order`` holds the genes by score where
    p is a function of the score's distance from 0, as in rank tests; None says that it is not, or that some are NaN.
    """
    tested = ~np.isnan(pvals)
    if order is None and not tested.all():
        adjusted = np.full_like(pvals, np.nan)
        for row, some in enumerate(tested):
            if some.any():
                adjusted[row, some] = adjust_pvals(pvals[None, row, some], method, None)[0]
        return adjusted
    if method in _BONFERRONI:
        return np.asarray(np.minimum(pvals * pvals.shape[1], 1.0))
    if method in _HOLM:
        return _holm(pvals)
    if method not in _BENJAMINI_HOCHBERG:
        from statsmodels.stats.multitest import multipletests  # noqa: PLC0415

        # p of 0 and 1 have logs that are infinite, on the way to 0 and 1.
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([multipletests(row, method=method)[1] for row in pvals])
    if order is None:
        order = np.empty(pvals.shape, dtype=np.intp)
        argsort_descending(-pvals, order)
    adjusted = np.empty_like(pvals)
    adjust_in_order(pvals, order, np.empty(pvals.shape[1], dtype=np.intp), adjusted)
    return adjusted


def _holm(pvals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make the k-th smallest of n ``p (n - k + 1)``, or what a smaller one became if that is more; 1 at most."""
    order = np.argsort(pvals, axis=1, kind="stable")
    stepped = np.take_along_axis(pvals, order, axis=1) * np.arange(pvals.shape[1], 0, -1)
    adjusted = np.empty_like(pvals)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(stepped, axis=1), 1), axis=1)
    return adjusted


@dataclass(frozen=True)
class Family:
    """All tests of a call, over which p-values are adjusted together."""

    pvals: NDArray[np.float64]
    """From the lowest up."""
    adjusted: NDArray[np.float64]

    @classmethod
    def of(cls, pvals: NDArray[np.float64], method: str) -> Family:
        """Adjust p-values, which are put in order in place; NaN are not counted."""
        pvals.sort()
        pvals = pvals[: np.searchsorted(pvals, np.inf)]
        if pvals.size == 0:
            return cls(pvals, pvals)
        return cls(pvals, adjust_pvals(pvals[None], method, np.arange(pvals.size)[None])[0])

    def adjust(self, pvals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Look up what p-values of the family, or NaN, are adjusted to: equal ones to the same."""
        adjusted = np.full_like(pvals, np.nan)
        tested = ~np.isnan(pvals)
        adjusted[tested] = self.adjusted[np.searchsorted(self.pvals, pvals[tested])]
        return adjusted
