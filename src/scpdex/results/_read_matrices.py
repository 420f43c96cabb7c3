"""Read matrices: a result that lies in varm, with each group's genes in their order again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.results._converted_forms import read_names
from scpdex.results._fractions import FRACTIONS, select_fractions
from scpdex.results._ranked_result import RankedGenes, RankedResult
from scpdex.results._varm_matrices import list_fields, make_matrix_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from numpy.typing import NDArray


def read_matrices(
    adata: AnnData, entry: Mapping[str, Any], params: dict[str, Any], key: str, positions: NDArray[np.intp] | None
) -> RankedResult[RankedGenes]:
    """Read the groups at some positions, in this order; None reads all groups, without a copy of the fractions.

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
    return RankedResult(
        params,
        _order_genes(groups, matrices, positions),
        gene_names=np.asarray(adata.var_names, dtype=object),
        var_positions=np.arange(adata.n_vars),
        uses_raw=False,
        fractions=fractions,
        unread_fields=tuple(unread),
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
    if matrices["ranks"].dtype.kind == "f":
        matrices["ranks"] = np.nan_to_num(matrices["ranks"], nan=-1).astype(np.int32)
    return matrices


def _order_genes(
    groups: tuple[str, ...], matrices: dict[str, NDArray[Any]], positions: NDArray[np.intp] | None
) -> RankedGenes:
    """Order the genes of the groups at some positions by rank; None is all groups.

    Ranks have gaps where some of the genes were left out of ``adata`` later. A group that has fewer genes than others
    ends with empty ranks.
    """
    columns = slice(None) if positions is None else positions
    groups = groups if positions is None else tuple(groups[i] for i in positions.tolist())
    ranks = matrices["ranks"][:, columns]
    n_ranked = (ranks >= 0).sum(axis=0)
    order = np.full((len(groups), int(n_ranked.max(initial=0))), -1, dtype=np.intp)
    has_gaps = bool((n_ranked != ranks.max(axis=0, initial=-1) + 1).any())
    if not has_gaps:
        genes, group_positions = np.nonzero(ranks >= 0)
        order[group_positions, ranks[genes, group_positions]] = genes
    # A rank that two genes have, as where genes repeat, leaves another rank empty.
    if has_gaps or ((order >= 0).sum(axis=1) != n_ranked).any():
        last = np.iinfo(ranks.dtype).max
        order = np.argsort(np.where(ranks < 0, last, ranks), axis=0, kind="stable")[: n_ranked.max()].T
        order[np.arange(order.shape[1]) >= n_ranked[:, None]] = -1
    statistics = {}
    for name, matrix in matrices.items():
        if name not in {"ranks", *FRACTIONS}:
            values = np.take_along_axis(matrix[:, columns], order.T, axis=0)
            values[order.T < 0] = np.nan
            statistics[name] = values
    return RankedGenes(groups, order, statistics)
