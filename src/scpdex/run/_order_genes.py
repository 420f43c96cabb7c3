"""Order each group's genes by score, on threads, a few groups at a time."""

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

# Their columns then fill whole cache lines of the results.
_GROUPS_PER_SLICE = 16


def order_table(
    table: Table,
    design: Design,
    position: NDArray[np.int64] | None,
    options: TestOptions,
    pool: Executor,
) -> list[RankedGenes]:
    """Order each group's genes by score and adjust its p-values, comparison by comparison.

    ``position`` gives for each gene of the results its place in the table, None if these are the same.
    """
    family = _family(table, position, options) if options.corr_scope == "all" else None
    return [
        _order_groups(table, places.start, comparison.groups, position, options, pool, family)
        for comparison, places, _ in design.comparison_slices()
    ]


def _order_groups(
    table: Table,
    first: int,
    groups: tuple[str, ...],
    position: NDArray[np.int64] | None,
    options: TestOptions,
    pool: Executor,
    family: Family | None,
) -> RankedGenes:
    """Order the genes of neighbouring groups, of which ``first`` is the first one's place in the table."""
    n_genes = table.not_finite.size if position is None else position.size
    shape = (n_genes if options.n_genes is None else min(options.n_genes, n_genes), len(groups))
    statistics: dict[str, NDArray[Any]] = {name: np.empty(shape, dtype=kind) for name, kind in options.fields.items()}
    ranked = RankedGenes(groups, np.empty(shape[::-1], dtype=np.intp), statistics)

    # A t beyond float32 is stored as infinite.
    @np.errstate(over="ignore")
    def work(some: slice) -> None:
        part = table.of_groups(slice(first + some.start, first + some.stop))
        if position is not None:
            part = {name: values[:, position] for name, values in part.items()}
        order = order_genes(part["scores"], rankby_abs=options.rankby_abs)
        if family is None:
            follows = options.p_follows_score and not options.rankby_abs and not options.filters
            part["pvals_adj"] = adjust_pvals(part["pvals"], options.corr_method, order if follows else None)
        order = order[:, : shape[0]]
        ranked.order[some] = order
        for name, v in part.items():
            statistics[name][:, some] = np.take_along_axis(v, order, axis=1).T
        if family is not None:
            statistics["pvals_adj"][:, some] = family.adjust(statistics["pvals"][:, some])

    starts = range(0, len(groups), _GROUPS_PER_SLICE)
    run_on_threads(pool, work, [slice(start, min(start + _GROUPS_PER_SLICE, len(groups))) for start in starts])
    return ranked


def _family(table: Table, position: NDArray[np.int64] | None, options: TestOptions) -> Family:
    """Adjust the p-values of all groups and genes together."""
    n_genes = table.not_finite.size if position is None else position.size
    pvals = np.empty((table.n_groups, n_genes))
    for start in range(0, table.n_groups, _GROUPS_PER_SLICE):
        some = slice(start, min(start + _GROUPS_PER_SLICE, table.n_groups))
        column = table.column("pvals", some)
        pvals[some] = column if position is None else column[:, position]
    return Family.of(pvals.ravel(), options.corr_method)
