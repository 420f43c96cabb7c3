"""Convert results: from matrices in varm to scanpy's records and back, a slice of groups at a time, on threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.machine.threads import run_on_threads
from scpdex.results._conversion_memory import POINTER_BYTES, refuse_beyond_memory
from scpdex.results._group_slices import GROUPS_PER_SLICE, cut_groups
from scpdex.results._ranked_result import GeneMatrices, NamedGenes, RankedResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from scpdex.machine.limits import Limits
    from scpdex.results._read_matrices import StoredMatrices
    from scpdex.results._stored_records import StoredRecords

_RANK_BYTES = 4
# Of each gene and group of a slice, beside values by field: names, their positions, order, ranks, and masks of them.
_ORDER_BYTES = 40
# Where a result needs more than there is, and what to do instead.
_IN_RECORDS = ("scanpy's layout", "convert some of its groups (groups= and key_added=)")
_IN_MATRICES = ("adata.varm", "rank again with storage='varm'")


def convert_to_records(
    sources: Sequence[StoredMatrices], var_names: pd.Index[Any], limits: Limits, *, copy_fractions: bool
) -> list[RankedResult[NamedGenes] | None]:
    """Convert results to scanpy's layout; None stands for one whose groups have different numbers of genes.

    Raises
    ------
    MemoryError
        The new results exceed the memory that the conversion may hold.
    """
    n_bytes = 0
    for stored in sources:
        n_bytes += _bytes_per_pair(stored.field_types, POINTER_BYTES) * stored.n_ranks * len(stored.groups)
        n_bytes += sum(values.nbytes for _, values in stored.fractions.values())
    widest = max((_slice_bytes(stored.field_types, stored.ranks.shape[0]) for stored in sources), default=0)
    refuse_beyond_memory(n_bytes + limits.n_threads * widest, limits, *_IN_RECORDS)
    gene_names = np.asarray(var_names, dtype=object)
    with ThreadPoolExecutor(limits.n_threads, thread_name_prefix="scpdex") as pool:
        return [_convert_matrices(stored, gene_names, pool, copy_fractions=copy_fractions) for stored in sources]


def _convert_matrices(
    stored: StoredMatrices, gene_names: NDArray[Any], pool: ThreadPoolExecutor, *, copy_fractions: bool
) -> RankedResult[NamedGenes] | None:
    """Convert one result."""
    named = NamedGenes.empty(stored.groups, stored.n_ranks, stored.field_types, gene_names)
    uneven: list[slice] = []

    def convert_slice(groups: slice) -> None:
        order, values = stored.read_groups(groups)
        if (order < 0).any():
            uneven.append(groups)
        else:
            named.write_groups(groups.start, order, values)

    run_on_threads(pool, convert_slice, cut_groups(len(stored.groups)))
    if uneven:
        return None
    fractions = stored.fractions
    if copy_fractions:
        fractions = {name: (columns, values.copy()) for name, (columns, values) in fractions.items()}
    return _make_result(stored.params, named, gene_names, fractions)


def convert_to_matrices(
    sources: Sequence[StoredRecords], var_names: pd.Index[Any], limits: Limits
) -> list[RankedResult[GeneMatrices]]:
    """Convert results to matrices; one whose ``unplaced`` genes have no row in var is not whole.

    Raises
    ------
    MemoryError
        The new results exceed the memory that the conversion may hold.
    """
    n_bytes = 0
    for stored in sources:
        n_bytes += _bytes_per_pair(stored.field_types, _RANK_BYTES) * stored.n_vars * len(stored.groups)
        n_bytes += sum(8 * stored.n_vars * len(columns) for _, columns, _ in stored.fractions.values())
    widest = max((_slice_bytes(stored.field_types, stored.n_vars) for stored in sources), default=0)
    refuse_beyond_memory(n_bytes + limits.n_threads * widest, limits, *_IN_MATRICES)
    gene_names = np.asarray(var_names, dtype=object)
    with ThreadPoolExecutor(limits.n_threads, thread_name_prefix="scpdex") as pool:
        return [_convert_records(stored, gene_names, pool) for stored in sources]


def _convert_records(
    stored: StoredRecords, gene_names: NDArray[Any], pool: ThreadPoolExecutor
) -> RankedResult[GeneMatrices]:
    """Convert one result."""
    rows = np.arange(stored.n_vars)
    matrices = GeneMatrices.empty(stored.groups, stored.n_ranks, stored.field_types, rows, stored.n_vars)

    def convert_slice(groups: slice) -> None:
        read = stored.read_groups(groups)
        if read is not None:
            ranks, values = read
            matrices.write_gene_values(groups.start, ranks, values)

    run_on_threads(pool, convert_slice, cut_groups(len(stored.groups)))
    return _make_result(stored.params, matrices, gene_names, stored.place_fractions())


def _make_result(params: dict[str, Any], ranked: Any, gene_names: NDArray[Any], fractions: Any) -> RankedResult[Any]:
    """Make a result whose genes are those of var."""
    return RankedResult(params, ranked, gene_names, np.arange(gene_names.size), uses_raw=False, fractions=fractions)


def _bytes_per_pair(fields: Mapping[str, np.dtype[Any]], order_bytes: int) -> int:
    """Bytes of each gene and group of a result."""
    return order_bytes + sum(dtype.itemsize for dtype in fields.values())


def _slice_bytes(fields: Mapping[str, np.dtype[Any]], n_vars: int) -> int:
    """Bytes of a slice of groups while a thread converts it."""
    return _bytes_per_pair(fields, _ORDER_BYTES) * n_vars * GROUPS_PER_SLICE
