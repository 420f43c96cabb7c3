"""Tell: what the user should know of the data and of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scanpy import logging as logg

from scpdex.labels import REST, listed
from scpdex.results import exceed_hdf5, unwritable_columns

if TYPE_CHECKING:
    from scpdex.comparisons import Comparison
    from scpdex.results import Storage
    from scpdex.run import Table
    from scpdex.statistics.options import TestOptions

# scanpy's limit for trusting the normal approximation.
_FEW_CELLS = 25


def tell(table: Table, comparison: Comparison, options: TestOptions, where: str, storage: Storage) -> None:
    """Say, once each, what the user should know of the data and the result."""
    alone = [group for group, n in zip(comparison.groups, comparison.other_sizes, strict=True) if n == 0]
    n_undefined = int(table.undefined.sum())
    if table.are_counts.all():
        logg.warning(
            f"{where} looks like raw counts: log fold changes expect log1p-transformed data. "
            "Run scanpy.pp.normalize_total and scanpy.pp.log1p first, or pass normalize=1e4."
        )
    if alone:
        logg.warning(f"group {alone[0]!r} holds every cell: there is no rest, all scores are 0, fold changes NaN.")
    elif n_undefined:
        logg.warning(
            f"{n_undefined:,} of {table.n_groups * table.undefined.size:,} log fold changes are undefined (NaN), as "
            "they are for negative means, such as those of scaled data: rank log1p-transformed data to have them."
        )
    if comparison.against_rest and REST in comparison.groups:
        logg.warning("one group is itself named 'rest': reference='rest' compares with all other cells, not with it.")
    if storage == "uns" and exceed_hdf5(comparison.groups):
        logg.warning(
            f"an h5ad file cannot hold the records of {comparison.n_groups:,} groups: pass storage='varm', or call "
            "scpdex.tl.rank_genes_to_varm(adata) before writing the object to a file."
        )
    if storage == "uns" and options.pts and (names := unwritable_columns(comparison.groups)):
        logg.warning(
            f"groups {listed(names)} name columns of `pts` that h5ad and zarr files cannot hold: pass "
            "storage='varm', rename these categories, or use pts=False, before writing the object to a file."
        )
    few = int((np.minimum(comparison.group_sizes, comparison.other_sizes) <= _FEW_CELLS).sum())
    if few and options.method == "wilcoxon" and not comparison.against_rest:
        logg.hint(f"few cells on one side (at most {_FEW_CELLS}) in {few:,} of the comparisons: z is approximate.")
