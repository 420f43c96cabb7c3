"""Options: how groups are tested and what is reported, checked before any work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from scpdex.comparisons.spelling import suggest_name
from scpdex.statistics.multiple_testing import refuse_correction
from scpdex.statistics.reported_columns import (
    PLACEMENT_EXTRAS,
    FloatType,
    ReportedColumn,
    extras_without,
    known_extras,
    methods_with,
    select_columns,
)
from scpdex.statistics.value_transform import ValueTransform

Method = Literal["t-test", "t-test_overestim_var", "wilcoxon", "brunner-munzel", "anderson", "logreg"]
# scanpy 1.13's name for another implementation of the rank-sum test.
Alias = Literal["wilcoxon_illico"]
Alternative = Literal["two-sided", "less", "greater"]
Scope = Literal["group", "all"]
Extra = Literal["auc", "auc_se", "auc_low", "auc_high", "log10_pvals", "u", "means", "count_means"]

METHODS: tuple[str, ...] = get_args(Method)
ALTERNATIVES: tuple[str, ...] = get_args(Alternative)
SCOPES: tuple[str, ...] = get_args(Scope)
# Methods that test for a minimal effect, each with what the effect is and the number that it must be below.
_EFFECTS: dict[str, tuple[str, float]] = {
    "t-test": ("a difference of means of the ranked values", float("inf")),
    "brunner-munzel": ("an AUC's distance from 1/2, below 0.5", 0.5),
}


@dataclass(frozen=True)
class TestOptions:
    """How groups are tested and what is reported; the public verb documents the arguments of the same names."""

    method: Method = "t-test"
    corr_method: str = "benjamini-hochberg"
    corr_scope: Scope = "group"
    tie_correct: bool = False
    use_continuity: bool = False
    mean_in_log_space: bool = True
    log_base: float | None = None
    """Base of the logarithm that the data were transformed with; None is e."""
    pts: bool = False
    n_genes: int | None = None
    rankby_abs: bool = False
    alternative: Alternative = "two-sided"
    """Rank-sum and t-tests: alternative hypothesis; ``"greater"`` if values of the group are greater."""
    stratified: bool = False
    """Rank within strata, and combine the ranks."""
    extras: Iterable[Extra] = ()
    """A tuple without repetitions, whatever the argument was."""
    min_pct: float | None = None
    min_logfc: float | None = None
    min_effect: float | None = None
    confidence: float = 0.95
    exact: bool = False
    """Take p of the rank-sum test from the exact distribution of U where scipy does so by default."""
    equal_variances: bool = False
    """Use Student's t-test, with pooled variances, instead of Welch's."""
    fractions_in_rows: bool = False
    """With ``pts``, report fractions as columns of each group and gene, for a long table."""
    column_names: tuple[str, ...] = ()
    """Names of the columns to report, for tables of other packages; empty for those of scanpy's layout."""

    def __post_init__(self) -> None:
        """Raise a ValueError for unknown names, impossible numbers, and options that exclude each other."""
        _refuse_unknown("method", self.method, METHODS)
        _refuse_unknown("corr_scope", self.corr_scope, SCOPES)
        _refuse_unknown("alternative", self.alternative, ALTERNATIVES)
        refuse_correction(self.corr_method)
        object.__setattr__(self, "extras", _check_extras(self.extras))
        if self.use_continuity and self.method != "wilcoxon":
            msg = f"use_continuity=True needs method='wilcoxon': method={self.method!r} has no such correction."
            raise ValueError(msg)
        is_number = isinstance(self.n_genes, int | np.integer) and not isinstance(self.n_genes, bool)
        if self.n_genes is not None and (not is_number or self.n_genes < 1):
            msg = f"n_genes={self.n_genes!r} is not valid: pass a number of genes from 1 up, or None for all."
            raise ValueError(msg)
        if self.min_pct is not None and not (_is_real(self.min_pct) and 0 <= self.min_pct <= 1):
            msg = f"min_pct={self.min_pct!r} is not valid: pass a fraction of cells from 0 to 1, or None."
            raise ValueError(msg)
        if self.min_logfc is not None and not (_is_real(self.min_logfc) and 0 <= self.min_logfc < float("inf")):
            msg = f"min_logfc={self.min_logfc!r} is not valid: pass an absolute log2 fold change from 0 up, or None."
            raise ValueError(msg)
        if not (_is_real(self.confidence) and 0 < self.confidence < 1):
            msg = f"confidence={self.confidence!r} is not valid: pass a probability between 0 and 1, such as 0.95."
            raise ValueError(msg)
        self._refuse_effect()
        self._refuse_combinations()

    def _refuse_effect(self) -> None:
        # Logistic regression refuses it with all else that it does not take.
        if self.min_effect is None or self.method == "logreg":
            return
        if self.method not in _EFFECTS:
            msg = (
                f"min_effect={self.min_effect!r} is not for method={self.method!r}: pass one of "
                f"{', '.join(map(repr, _EFFECTS))}."
            )
            raise ValueError(msg)
        effect, bound = _EFFECTS[self.method]
        if not (_is_real(self.min_effect) and 0 <= self.min_effect < bound):
            msg = f"min_effect={self.min_effect!r} is not valid: pass {effect}, from 0 up, or None."
            raise ValueError(msg)

    def _refuse_combinations(self) -> None:
        missing = sorted(extras_without(self.method) & set(self.extras))
        # Logistic regression, which has none, is refused with all else that it does not take.
        if missing and self.method != "logreg":
            msg = (
                f"extras={missing!r} are not for method={self.method!r}: pass one of "
                f"{', '.join(map(repr, methods_with(missing)))}."
            )
            raise ValueError(msg)
        if self.alternative != "two-sided" and self.method == "anderson":
            msg = f"alternative={self.alternative!r} is not for method='anderson', which has no direction."
            raise ValueError(msg)
        if self.stratified and self.method != "wilcoxon":
            msg = f"strata needs method='wilcoxon': method={self.method!r} has no stratified form here."
            raise ValueError(msg)
        if self.tie_correct and self.method == "brunner-munzel":
            msg = "tie_correct=True is not for method='brunner-munzel': its variance allows for ties. Leave it out."
            raise ValueError(msg)
        if self.stratified and self.needs_placements:
            refused = sorted(PLACEMENT_EXTRAS & set(self.extras))
            msg = f"extras={refused!r} are not for strata: the AUC has no standard error over strata here."
            raise ValueError(msg)
        if self.stratified and self.use_continuity:
            msg = "use_continuity=True is not for strata: the stratified test has no such correction."
            raise ValueError(msg)

    @property
    def is_t_test(self) -> bool:
        """Whether the test needs squared deviations instead of ranks."""
        return self.method in {"t-test", "t-test_overestim_var"}

    @property
    def needs_order(self) -> bool:
        """Whether the test needs the sorted values of a gene, for which tallies of values are not enough."""
        return self.method == "anderson" or self.needs_placements

    @property
    def needs_placements(self) -> bool:
        """Whether the test, or an extra, needs squared placements."""
        return self.method == "brunner-munzel" or not PLACEMENT_EXTRAS.isdisjoint(self.extras)

    @property
    def p_follows_score(self) -> bool:
        """Whether p is a function of the score's distance from 0: not one-sided, where undefined scores are 0 too."""
        return self.method == "wilcoxon" and self.alternative == "two-sided"

    @property
    def filters(self) -> bool:
        """Whether filters may leave genes untested."""
        return self.min_pct is not None or self.min_logfc is not None

    @property
    def reported(self) -> tuple[ReportedColumn, ...]:
        """Columns that the call reports of each group and gene."""
        with_fractions = self.pts and self.fractions_in_rows
        return select_columns(self.method, self.extras, names=self.column_names, with_fractions=with_fractions)

    @property
    def has_fraction_tables(self) -> bool:
        """Whether fractions are reported as tables of their own."""
        return self.pts and not self.fractions_in_rows

    @property
    def columns(self) -> dict[str, FloatType]:
        """Columns that are computed gene by gene, with their dtypes."""
        return {column.name: column.table_type for column in self.reported if column.table_type is not None}

    @property
    def fields(self) -> dict[str, FloatType]:
        """Fields of the stored result, with their dtypes."""
        return {column.name: column.stored_type for column in self.reported if column.stored_type is not None}

    @property
    def transform(self) -> ValueTransform | None:
        """Transform of the values that a second mean is taken of; None if no column needs one."""
        transforms = {column.transform for column in self.reported if column.transform is not None}
        if not self.mean_in_log_space:
            transforms.add("expm1")
        if len(transforms) > 1:
            msg = f"one pass adds up one transform, not {', '.join(sorted(transforms))}."
            raise ValueError(msg)
        if not transforms:
            return None
        return ValueTransform(self.log_scale if "expm1" in transforms else None)

    @property
    def work_phrase(self) -> str:
        """Phrase for the plan's message: the work on each gene."""
        return "moments summed" if self.is_t_test else "genes ranked"

    @property
    def log_scale(self) -> float:
        """Factor of a value before ``expm1``: the natural log of the base."""
        return 1.0 if self.log_base is None else float(np.log(self.log_base))


def resolve_method(method: Method | Alias | None) -> Method:
    """Resolve aliases of methods; None is the default method."""
    if method is None:
        return "t-test"
    return "wilcoxon" if method == "wilcoxon_illico" else method


def _refuse_unknown(argument: str, value: object, valid: tuple[str, ...]) -> None:
    if value not in valid:
        msg = f"{argument}={value!r} is not known.{suggest_name(str(value), valid)}"
        raise ValueError(msg)


def _check_extras(extras: object) -> tuple[str, ...]:
    if isinstance(extras, str) or not isinstance(extras, Iterable):
        msg = f"extras={extras!r} is not a sequence of names: pass a tuple such as ('auc',), or ()."
        raise ValueError(msg)
    names = tuple(dict.fromkeys(extras))
    for name in names:
        _refuse_unknown("extras", name, known_extras())
    return names


def _is_real(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
