"""Options: how groups are tested, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

Method = Literal["t-test", "t-test_overestim_var", "wilcoxon", "anderson", "logreg"]
Correction = Literal["benjamini-hochberg", "bonferroni"]
Alternative = Literal["two-sided", "less", "greater"]

METHODS: tuple[str, ...] = get_args(Method)
CORRECTIONS: tuple[str, ...] = get_args(Correction)
ALTERNATIVES: tuple[str, ...] = get_args(Alternative)


@dataclass(frozen=True)
class TestOptions:
    """How groups are tested and what is reported; the arguments of the same names of the public function."""

    method: Method = "t-test"
    corr_method: Correction = "benjamini-hochberg"
    tie_correct: bool = False
    use_continuity: bool = False
    mean_in_log_space: bool = True
    log_base: float | None = None
    """Base of the logarithm that the data were transformed with; None is e."""
    pts: bool = False
    n_genes: int | None = None
    rankby_abs: bool = False
    alternative: Alternative = "two-sided"
    """Rank-sum and t-tests: what p is the probability of; ``"greater"`` is that the group's values are."""
    exact: bool = False
    """Take p of the rank-sum test from the exact distribution of U where scipy does by default."""
    equal_variances: bool = False
    """Pool the variances of a t-test, as Student's does, rather than Welch's."""
    as_measured: bool = False
    """Report statistics as scipy gives them and means of groups, rather than scores and fold changes."""

    def __post_init__(self) -> None:
        """Refuse unknown methods and impossible numbers of genes."""
        if self.method not in METHODS:
            msg = f"method={self.method!r} is not known. Valid: {', '.join(map(repr, METHODS))}."
            raise ValueError(msg)
        if self.corr_method not in CORRECTIONS:
            msg = f"corr_method={self.corr_method!r} is not known. Valid: {', '.join(map(repr, CORRECTIONS))}."
            raise ValueError(msg)
        if self.use_continuity and self.method != "wilcoxon":
            msg = f"use_continuity=True needs method='wilcoxon': method={self.method!r} has no such correction."
            raise ValueError(msg)
        is_number = isinstance(self.n_genes, int | np.integer) and not isinstance(self.n_genes, bool)
        if self.n_genes is not None and (not is_number or self.n_genes < 1):
            msg = f"n_genes={self.n_genes!r} is not valid: pass a number of genes from 1 up, or None for all."
            raise ValueError(msg)

    @property
    def is_t_test(self) -> bool:
        """Whether squared deviations are needed rather than ranks."""
        return self.method in {"t-test", "t-test_overestim_var"}

    @property
    def needs_order(self) -> bool:
        """Whether it takes the values of a gene in order, of which their tallies tell too little."""
        return self.method == "anderson"

    @property
    def p_follows_score(self) -> bool:
        """Whether p is a function of the score's distance from 0."""
        return self.method == "wilcoxon"

    @property
    def columns(self) -> dict[str, type[np.floating[Any]]]:
        """What is reported of each group and gene, with its dtype."""
        if self.as_measured:
            return {"means": np.float64, "statistics": np.float64, "pvals": np.float64}
        return {"scores": np.float64, "pvals": np.float64, "logfoldchanges": np.float32}

    @property
    def work(self) -> str:
        """What is done with the values of each gene."""
        return "moments summed" if self.is_t_test else "genes ranked"

    @property
    def log_scale(self) -> float:
        """What a value is multiplied by before ``expm1``: the natural log of the base."""
        return 1.0 if self.log_base is None else float(np.log(self.log_base))
