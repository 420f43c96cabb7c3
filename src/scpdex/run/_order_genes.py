"""Order each group's genes by score and adjust p-values, on threads, a few groups at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.machine.threads import run_on_threads
from scpdex.results import RankedGenes
from scpdex.statistics.multiple_testing import Family, adjust_pvals
from scpdex.statistics.ordering import order_genes

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.run._statistics_table import Table
    from scpdex.statistics.options import TestOptions

# The columns of so many groups fill whole cache lines of the results.
_GROUPS_PER_SLICE = 16


def order_table(
    table: Table,
    design: Design,
    position: NDArray[np.int64] | None,
    options: TestOptions,
    pool: Executor,
) -> list[RankedGenes]:
    """Order each group's genes by score and adjust its p-values, comparison by comparison.

    ``position`` is the position in the table of each gene of the results; None if these are the same.
    """
    family = _make_family(table, position, options) if options.corr_scope == "all" else None
    return [
        _order_groups(table, places.start, comparison.groups, position, options, pool, family)
        for comparison, places, _ in design.comparison_slices()
    ]


def _order_groups(
    table: Table,
    first: int,
    names: tuple[str, ...],
    position: NDArray[np.int64] | None,
    options: TestOptions,
    pool: Executor,
    family: Family | None,
) -> RankedGenes:
    """Order the genes of neighbouring groups, the first of which is at position ``first`` of the table."""
    n_genes = table.not_finite.size if position is None else position.size
    shape = (n_genes if options.n_genes is None else min(options.n_genes, n_genes), len(names))
    statistics: dict[str, NDArray[Any]] = {name: np.empty(shape, dtype=kind) for name, kind in options.fields.items()}
    ranked = RankedGenes(names, np.empty(shape[::-1], dtype=np.intp), statistics)

    # A t beyond float32 is stored as infinite.
    @np.errstate(over="ignore")
    def order_slice(groups: slice) -> None:
        part = table.of_groups(slice(first + groups.start, first + groups.stop))
        if position is not None:
            part = {name: values[:, position] for name, values in part.items()}
        order = order_genes(part["scores"], rankby_abs=options.rankby_abs)
        if family is None:
            p_in_order = options.p_follows_score and not options.rankby_abs and not options.filters
            part["pvals_adj"] = adjust_pvals(part["pvals"], options.corr_method, order if p_in_order else None)
        order = order[:, : shape[0]]
        ranked.order[groups] = order
        for name, values in part.items():
            statistics[name][:, groups] = np.take_along_axis(values, order, axis=1).T
        if family is not None:
            statistics["pvals_adj"][:, groups] = family.adjust(statistics["pvals"][:, groups])

    starts = range(0, len(names), _GROUPS_PER_SLICE)
    run_on_threads(pool, order_slice, [slice(start, min(start + _GROUPS_PER_SLICE, len(names))) for start in starts])
    return ranked


def _make_family(table: Table, position: NDArray[np.int64] | None, options: TestOptions) -> Family:
    """Adjust the p-values of all groups and genes as one family."""
    n_genes = table.not_finite.size if position is None else position.size
    pvals = np.empty((table.n_groups, n_genes))
    for start in range(0, table.n_groups, _GROUPS_PER_SLICE):
        groups = slice(start, min(start + _GROUPS_PER_SLICE, table.n_groups))
        column = table.column("pvals", groups)
        pvals[groups] = column if position is None else column[:, position]
    return Family.of(pvals.ravel(), options.corr_method)
