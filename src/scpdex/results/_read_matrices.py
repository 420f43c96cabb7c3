"""Read matrices: a result that lies in varm, a slice of groups at a time, with each group's genes in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.columns import order_by_ranks
from scpdex.results._converted_forms import read_names
from scpdex.results._fractions import FRACTIONS, select_fractions
from scpdex.results._group_slices import cut_groups, float_type
from scpdex.results._ranked_result import RankedGenes, RankedResult
from scpdex.results._varm_matrices import list_fields, make_matrix_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results._fractions import Fractions

# Ranks are counted for so few genes at a time that nothing as large as a matrix is held.
_GENES_PER_STEP = 256


@dataclass(frozen=True)
class StoredMatrices:
    """Some groups, or all, of a result in ``varm``."""

    params: dict[str, Any]
    groups: tuple[str, ...]
    columns: NDArray[np.intp]
    """Column of each group in the matrices."""
    ranks: NDArray[Any]
    """-1 or NaN for genes that are not in the result: variables x columns."""
    statistics: dict[str, NDArray[Any]]
    """By field: variables x columns."""
    fractions: Fractions
    unread_fields: tuple[str, ...]
    n_ranks: int
    """Genes of the group that has the most."""

    @classmethod
    def open(
        cls,
        adata: AnnData,
        entry: Mapping[str, Any],
        params: dict[str, Any],
        key: str,
        positions: NDArray[np.intp] | None,
    ) -> StoredMatrices:
        """Find the matrices of the groups at some positions, in this order; None is all groups.

        Raises
        ------
        KeyError
            ``varm`` lacks a matrix, or has one of another shape.
        """
        groups = read_names(entry["groups"])
        matrices = _find_matrices(entry, key, adata.varm, len(groups))
        tables = {
            name: (read_names(entry.get(f"{name}_groups")) or groups, matrices[name])
            for name in FRACTIONS
            if name in matrices
        }
        fractions, unread = select_fractions(tables, groups, positions, params.get("reference"))
        columns = np.arange(len(groups)) if positions is None else positions
        ranks = matrices["ranks"]
        return cls(
            params,
            tuple(groups[i] for i in columns.tolist()),
            columns,
            ranks,
            {name: matrix for name, matrix in matrices.items() if name not in {"ranks", *FRACTIONS}},
            fractions,
            tuple(unread),
            n_ranks=_count_ranks(ranks, columns),
        )

    @property
    def field_types(self) -> dict[str, np.dtype[Any]]:
        """Data type of each field, as :meth:`read_groups` reads it."""
        return {name: float_type(matrix.dtype) for name, matrix in self.statistics.items()}

    def read_groups(self, groups: slice) -> tuple[NDArray[np.int32], dict[str, NDArray[Any]]]:
        """Read neighbouring groups: their genes by rank, groups x ranks, and values by field, groups x variables.

        Ranks have gaps where some of the genes were left out of ``adata`` later. A group that has fewer genes than
        others ends with empty ranks, -1.
        """
        columns = _as_slice(self.columns[groups])
        ranks = self.ranks[:, columns].T
        if ranks.dtype.kind == "f":
            ranks = np.nan_to_num(ranks, nan=-1)
        ranks = np.ascontiguousarray(ranks, dtype=np.int32)
        order = np.full((ranks.shape[0], self.n_ranks), -1, dtype=np.int32)
        order_by_ranks(ranks, order)
        n_ranked = np.count_nonzero(ranks >= 0, axis=1)
        is_empty = np.arange(self.n_ranks) >= n_ranked[:, None]
        # Ranks have gaps, or two genes have one, as where genes repeat.
        if ((order < 0) != is_empty).any():
            last = np.iinfo(ranks.dtype).max
            in_order = np.argsort(np.where(ranks < 0, last, ranks), axis=1, kind="stable")
            order[:] = np.where(is_empty, -1, in_order[:, : self.n_ranks])
        return order, {
            name: np.ascontiguousarray(matrix[:, columns].T, dtype=float_type(matrix.dtype))
            for name, matrix in self.statistics.items()
        }


def read_matrices(
    adata: AnnData, entry: Mapping[str, Any], params: dict[str, Any], key: str, positions: NDArray[np.intp] | None
) -> RankedResult[RankedGenes]:
    """Read the groups at some positions, in this order; None reads all groups, without a copy of the fractions.

    Raises
    ------
    KeyError
        ``varm`` lacks a matrix, or has one of another shape.
    """
    stored = StoredMatrices.open(adata, entry, params, key, positions)
    shape = (len(stored.groups), stored.n_ranks)
    order = np.empty(shape, dtype=np.intp)
    # Groups x ranks, in the order of the long table.
    statistics = {name: np.empty(shape, dtype=dtype) for name, dtype in stored.field_types.items()}
    for groups in cut_groups(len(stored.groups)):
        order[groups], values = stored.read_groups(groups)
        is_empty = order[groups] < 0
        for name, columns in values.items():
            in_order = np.take_along_axis(columns, order[groups], axis=1)
            in_order[is_empty] = np.nan
            statistics[name][groups] = in_order
    ranked = RankedGenes(stored.groups, order, {name: values.T for name, values in statistics.items()})
    return RankedResult(
        params,
        ranked,
        gene_names=np.asarray(adata.var_names, dtype=object),
        var_positions=np.arange(adata.n_vars),
        uses_raw=False,
        fractions=stored.fractions,
        unread_fields=stored.unread_fields,
    )


def _find_matrices(entry: Mapping[str, Any], key: str, varm: Any, n_groups: int) -> dict[str, NDArray[Any]]:
    """Find the matrices of a result, by field."""
    matrices = {}
    for field in list_fields(entry, key, varm):
        name = make_matrix_name(key, field)
        if name not in varm:
            msg = (
                f"adata.varm[{name!r}], a matrix of the result adata.uns[{key!r}], is missing: rank again, or take "
                "the result from an object that has all its matrices."
            )
            raise KeyError(msg)
        matrices[field] = np.asarray(varm[name])
        # Fractions have columns of their own.
        if field not in FRACTIONS and matrices[field].shape[1:] != (n_groups,):
            msg = (
                f"adata.varm[{name!r}] has the shape {matrices[field].shape}, but adata.uns[{key!r}]['groups'] names "
                f"{n_groups:,} groups, one for each column: rank again."
            )
            raise KeyError(msg)
    return matrices


def _as_slice(positions: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Give neighbouring positions as a slice, which numpy reads without a copy."""
    if positions.size and (np.diff(positions) == 1).all():
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return positions


def _count_ranks(ranks: NDArray[Any], columns: NDArray[np.intp]) -> int:
    """Count the ranked genes of the group that has the most."""
    n_ranked = np.zeros(columns.size, dtype=np.intp)
    chosen = _as_slice(columns)
    for start in range(0, ranks.shape[0], _GENES_PER_STEP):
        n_ranked += np.count_nonzero(ranks[start : start + _GENES_PER_STEP, chosen] >= 0, axis=0)
    return int(n_ranked.max(initial=0))
