"""Reported columns: all that a result says of a group and gene, each with its dtypes, its tests and its formula.

``COLUMNS`` is the only such list. The table of a call and its size in the plan, scanpy's records, matrices in ``varm``,
the fields that are read back and the long table follow from it, in its order. To add an effect, write a formula and a
line in ``COLUMNS``, and its name in ``Extra`` of :mod:`scpdex.statistics.options`; a test says where to document it.

Fractions of cells (``pts``) are columns of a long table only. In ``uns`` and ``varm`` they are tables of their own,
since they include the reference: ``results/_fractions.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Comparison
    from scpdex.statistics.scores import TestResult

FloatType = type[np.floating[Any]]
Transform = Literal["expm1", "log1p"]

# Tests of placements, from which the standard error of the AUC follows.
PLACEMENT_TESTS = frozenset({"wilcoxon", "brunner-munzel"})
RANK_TESTS = PLACEMENT_TESTS | {"anderson"}
TESTS = RANK_TESTS | {"t-test", "t-test_overestim_var"}
TESTS_AND_LOGREG = TESTS | {"logreg"}


class ColumnInputs(Protocol):
    """Inputs of the formulas: statistics of a few genes and of the tested groups of one comparison.

    Arrays are genes x groups. Those of the cells that a group is compared with are genes x 1 where these are the same
    cells for all groups.
    """

    @property
    def comparison(self) -> Comparison:
        """Numbers of cells, and of pairs of cells."""

    @property
    def tested(self) -> TestResult:
        """Scores, statistics and p-values."""

    @property
    def u(self) -> NDArray[np.float64]:
        """Mann and Whitney's U, within strata; of rank tests only."""

    @property
    def auc_standard_error(self) -> NDArray[np.float64]:
        """Standard error of the AUC; of tests of placements only."""

    @property
    def auc_interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends of the confidence interval of the AUC; of tests of placements only."""

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean of the values as they are, in log space for log-transformed data."""

    @property
    def other_means(self) -> NDArray[np.float64]:
        """The same of the cells that each group is compared with."""

    @property
    def group_fractions(self) -> NDArray[np.float64]:
        """Fraction of non-zero cells in each group."""

    @property
    def other_fractions(self) -> NDArray[np.float64]:
        """The same of the cells that each group is compared with."""

    @property
    def transformed_means(self) -> NDArray[np.float64]:
        """Mean of the transformed values, see :mod:`~.value_transform`."""

    @property
    def other_transformed_means(self) -> NDArray[np.float64]:
        """The same of the cells that each group is compared with."""

    @property
    def fold_change_means(self) -> NDArray[np.float64]:
        """Mean that fold changes compare: ``means``, or the mean of ``expm1`` of the values."""

    @property
    def other_fold_change_means(self) -> NDArray[np.float64]:
        """The same of the cells that each group is compared with."""

    @property
    def fold_changes(self) -> NDArray[np.float32]:
        """Log2 fold changes."""


@dataclass(frozen=True)
class ReportedColumn:
    """A number of each group and gene."""

    name: str
    formula: Callable[[ColumnInputs], NDArray[Any]] | None
    """Computes the column from a few genes; None for adjusted p-values, which take all genes of a group."""
    table_type: FloatType | None
    """Dtype while genes are computed; None without a formula."""
    stored_type: FloatType | None
    """Dtype in scanpy's layout and in ``varm``; None for columns that only other packages' tables have."""
    extra: str | None = None
    """Name in the argument ``extras`` that asks for the column; None where it is always reported."""
    methods: frozenset[str] = TESTS
    """Methods that have it."""
    transform: Transform | None = None
    """Transform of each value that the column is a mean of; None leaves values as they are."""
    is_fraction: bool = False
    """Whether it is one of the fractions of cells, which long tables have as columns."""


def _auc(genes: ColumnInputs) -> NDArray[np.float64]:
    """Share of the pairs of cells in which the group's value is the higher one; ties count half."""
    return np.asarray(genes.u / genes.comparison.n_pairs)


def _transformed_means(genes: ColumnInputs) -> NDArray[np.float64]:
    return genes.transformed_means


def _other_transformed_means(genes: ColumnInputs) -> NDArray[np.float64]:
    return genes.other_transformed_means


_F4, _F8 = np.float32, np.float64

COLUMNS: tuple[ReportedColumn, ...] = (
    ReportedColumn("scores", lambda genes: genes.tested.scores, _F8, _F4, methods=TESTS_AND_LOGREG),
    ReportedColumn("logfoldchanges", lambda genes: genes.fold_changes, _F4, _F4),
    ReportedColumn("pvals", lambda genes: genes.tested.pvals, _F8, _F8),
    ReportedColumn("pvals_adj", None, None, _F8),
    ReportedColumn("auc", _auc, _F8, _F8, extra="auc", methods=RANK_TESTS),
    ReportedColumn("auc_se", lambda genes: genes.auc_standard_error, _F8, _F8, extra="auc_se", methods=PLACEMENT_TESTS),
    ReportedColumn("auc_low", lambda genes: genes.auc_interval[0], _F8, _F8, extra="auc_low", methods=PLACEMENT_TESTS),
    ReportedColumn(
        "auc_high", lambda genes: genes.auc_interval[1], _F8, _F8, extra="auc_high", methods=PLACEMENT_TESTS
    ),
    ReportedColumn("log10_pvals", lambda genes: genes.tested.compute_log10_pvals(), _F8, _F8, extra="log10_pvals"),
    ReportedColumn("u", lambda genes: genes.u, _F8, _F8, extra="u", methods=RANK_TESTS),
    ReportedColumn("means", lambda genes: genes.means, _F8, _F8, extra="means"),
    ReportedColumn("means_reference", lambda genes: genes.other_means, _F8, _F8, extra="means"),
    ReportedColumn("count_means", _transformed_means, _F8, _F8, extra="count_means", transform="expm1"),
    ReportedColumn("count_means_reference", _other_transformed_means, _F8, _F8, extra="count_means", transform="expm1"),
    ReportedColumn("pct_nz_group", lambda genes: genes.group_fractions, _F8, _F8, is_fraction=True),
    ReportedColumn("pct_nz_reference", lambda genes: genes.other_fractions, _F8, _F8, is_fraction=True),
    ReportedColumn("fold_change_means", lambda genes: genes.fold_change_means, _F8, None),
    ReportedColumn("fold_change_means_reference", lambda genes: genes.other_fold_change_means, _F8, None),
    ReportedColumn("log_means", _transformed_means, _F8, None, transform="log1p"),
    ReportedColumn("log_means_reference", _other_transformed_means, _F8, None, transform="log1p"),
    ReportedColumn("statistics", lambda genes: genes.tested.compute_statistics(), _F8, None),
)

PLACEMENT_EXTRAS = frozenset(c.extra for c in COLUMNS if c.extra is not None and c.methods == PLACEMENT_TESTS)


def select_columns(
    method: str, extras: Iterable[str], *, names: Collection[str], with_fractions: bool
) -> tuple[ReportedColumn, ...]:
    """List the columns of a call: those that are named, or else those of scanpy's layout.

    ``with_fractions`` adds the fractions of cells, for a long table.
    """
    if names:
        return tuple(column for column in COLUMNS if column.name in names)
    chosen = {None, *extras}
    stored = [c for c in COLUMNS if c.stored_type is not None and method in c.methods and c.extra in chosen]
    return tuple(column for column in stored if with_fractions or not column.is_fraction)


def known_extras() -> tuple[str, ...]:
    """List the valid names of the argument ``extras``."""
    return tuple(dict.fromkeys(column.extra for column in COLUMNS if column.extra is not None))


def extras_without(method: str) -> set[str]:
    """Name the extras that a method does not have."""
    return {column.extra for column in COLUMNS if column.extra is not None and method not in column.methods}


def methods_with(extras: Iterable[str]) -> list[str]:
    """Name the methods that have all of some extras."""
    names = set(extras)
    shared = [column.methods for column in COLUMNS if column.extra in names]
    return sorted(frozenset.intersection(*shared))


def stored_types() -> dict[str, FloatType]:
    """Map each column that a result may have to its dtype there, in the order of scanpy's layout."""
    return {c.name: c.stored_type for c in COLUMNS if c.stored_type is not None and not c.is_fraction}


def fraction_names() -> tuple[str, ...]:
    """Name the fractions of cells in a long table."""
    return tuple(column.name for column in COLUMNS if column.is_fraction)
