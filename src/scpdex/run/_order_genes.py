"""Order each group's genes by score and adjust p-values, on threads, a few groups at a time."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from scpdex.machine.threads import map_in_order
from scpdex.results import cut_groups
from scpdex.statistics.multiple_testing import Family, adjust_pvals
from scpdex.statistics.ordering import order_genes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from scpdex.results import ResultLayout
    from scpdex.run._statistics_table import ComparisonTable, Table
    from scpdex.statistics.options import TestOptions


def order_table(
    table: Table,
    targets: Sequence[ResultLayout],
    options: TestOptions,
    pool: Executor,
    groups_per_slice: int,
    n_threads: int,
) -> None:
    """Order each group's genes by score, adjust its p-values, and write the result of each comparison.

    Threads take ``groups_per_slice`` neighbouring groups at a time; ``n_threads`` slices may wait for those before.
    """
    family = _make_family(table, options, groups_per_slice) if options.corr_scope == "all" else None
    for comparison, target in zip(table.comparisons, targets, strict=True):
        _order_groups(comparison, target, options, pool, groups_per_slice, n_threads, family)


def _order_groups(
    comparison: ComparisonTable,
    target: ResultLayout,
    options: TestOptions,
    pool: Executor,
    groups_per_slice: int,
    n_threads: int,
    family: Family | None,
) -> None:
    """Order the genes of one comparison."""
    fields = target.unwritten_fields(comparison.columns.matrices)
    p_in_order = options.p_follows_score and not options.rankby_abs and not options.filters

    def order_slice(groups: slice) -> Any:
        read = {name for name in options.columns if name in fields} | {"pvals"}
        # All is read before any of it is written, which may be to the same matrices.
        values = {name: comparison.columns.read(name, groups) for name in read}
        order = order_genes(values["scores"], rankby_abs=options.rankby_abs)
        if family is None:
            values["pvals_adj"] = adjust_pvals(values["pvals"], options.corr_method, order if p_in_order else None)
        else:
            values["pvals_adj"] = family.adjust(values["pvals"])
        return target.write_groups(groups.start, order, {name: values[name] for name in fields})

    slices = cut_groups(comparison.n_groups, groups_per_slice)
    with closing(map_in_order(pool, order_slice, slices, ahead=n_threads)) as prepared_slices:
        for prepared in prepared_slices:
            target.append_groups(prepared)


def _make_family(table: Table, options: TestOptions, groups_per_slice: int) -> Family:
    """Adjust the p-values of all groups and genes as one family."""
    pvals = (
        comparison.columns.read("pvals", groups)
        for comparison in table.comparisons
        for groups in cut_groups(comparison.n_groups, groups_per_slice)
    )
    return Family.of(pvals, table.n_groups * table.rows.tested.size, options.corr_method)
