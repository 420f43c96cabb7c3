"""Print the stages of one call, on one thread: seconds, and nanoseconds per non-zero."""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from cases import CASES, quick, small
from data import cut, read, stored_as
from tools import TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES = {
    "labels": ["scpdex.task.make_design"],
    "count non-zeros": ["scpdex.work.open_source"],
    "gather": [
        "scpdex.matrix.memory._sparse._RowReader.read",
        "scpdex.matrix.memory._sparse.ColumnGatherer.gather",
        "scpdex.matrix.memory._dense.gather_block",
    ],
    "rank or moments": [
        "scpdex.run._block_kernels.rank_sums",
        "scpdex.run._block_kernels.group_moments",
        "scpdex.run._block_kernels.anderson_darling",
        "scpdex.run._block_kernels.square_placements",
    ],
    "p-values": [
        "scpdex.run._apply_tests.rank_sum_test",
        "scpdex.run._apply_tests.welch_test",
        "scpdex.run._apply_tests.anderson_darling_test",
        "scpdex.run._apply_tests.estimate_auc",
    ],
    "fold changes": ["scpdex.run._gene_statistics.log2_fold_changes"],
    "order and adjust": ["scpdex.tl._rank_and_write.order_table"],
    "record arrays": ["scpdex.tl._rank_and_write.write_results"],
}


def main() -> None:
    """Time the stages of the first case whose name holds what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="vs rest, log CSR")
    parser.add_argument("--method", help="time this method instead of the case's own")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--small", action="store_true", help="only see that it runs: a tiny matrix, one repetition")
    options = parser.parse_args()
    case = next(case for case in CASES if options.only in case.name)
    case = small(case) if options.small else quick(case) if options.quick else case
    if options.method:
        case = replace(case, method=options.method)
    adata = read(case.recipe)
    adata = stored_as(case.storage, cut(adata) if options.small else adata)
    nonzero = int(np.count_nonzero(adata.X if case.storage == "dense" else adata.X.data))
    times: dict[str, float] = defaultdict(float)

    def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                times[stage] += time.perf_counter() - start

        return call

    TOOLS["scpdex"](adata, case.method, case.reference, 1)
    rows = []
    for _ in range(1 if options.small else 5):
        times.clear()
        with ExitStack() as stack:
            for stage, places in STAGES.items():
                for place in places:
                    stack.enter_context(patch(place, timed(stage, resolve_name(place))))
            start = time.perf_counter()
            TOOLS["scpdex"](adata, case.method, case.reference, 1)
            total = time.perf_counter() - start
        if missing := STAGES.keys() - times.keys():
            sys.exit(f"no call goes through what STAGES names for {', '.join(sorted(missing))}")
        rows.append(dict(times) | {"all else": total - sum(times.values()), "whole call": total})
    medians = pd.DataFrame(rows).median()
    print(f"{case.name}: {adata.n_obs:,} cells x {adata.n_vars:,} genes, {nonzero:,} non-zeros, one thread")
    print(pd.DataFrame({"s": medians.round(3), "ns per non-zero": (medians * 1e9 / nonzero).round(2)}).to_string())


if __name__ == "__main__":
    main()
