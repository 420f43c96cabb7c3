"""Order each group's genes by score, on threads, a few groups at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.results import FIELDS, RankedGenes
from scpdex.statistics.ordering import adjust_pvals, order_genes
from scpdex.threads import on_threads

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.run._table import Table
    from scpdex.statistics.options import TestOptions

# Their columns then fill whole cache lines of the results.
_GROUPS_PER_SLICE = 16


def order_table(
    table: Table,
    groups: tuple[str, ...],
    position: NDArray[np.int64] | None,
    options: TestOptions,
    pool: Executor,
) -> RankedGenes:
    """Order each group's genes by score and adjust its p-values.

    ``position`` gives for each gene of the results its place in the table, None if these are the same.
    """
    n_genes = table.not_finite.size if position is None else position.size
    shape = (n_genes if options.n_genes is None else min(options.n_genes, n_genes), len(groups))
    statistics: dict[str, NDArray[Any]] = {name: np.empty(shape, dtype=dtype) for name, dtype in FIELDS.items()}
    ranked = RankedGenes(groups, np.empty(shape[::-1], dtype=np.intp), statistics)

    def work(some: slice) -> None:
        part = table.of_groups(some)
        if position is not None:
            part = {name: values[:, position] for name, values in part.items()}
        order = order_genes(part["scores"], rankby_abs=options.rankby_abs)
        by_score = order if options.p_follows_score and not options.rankby_abs else None
        part["pvals_adj"] = adjust_pvals(part["pvals"], options.corr_method, by_score)
        order = order[:, : shape[0]]
        ranked.order[some] = order
        for name, v in part.items():
            statistics[name][:, some] = np.take_along_axis(v, order, axis=1).T

    slices = [slice(first, first + _GROUPS_PER_SLICE) for first in range(0, len(groups), _GROUPS_PER_SLICE)]
    on_threads(pool, work, slices)
    return ranked
