"""Joined expression: the matrices of several objects as one, with the same genes in the same order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.comparisons.spelling import quote_names
from scpdex.matrix._anndata import column_name
from scpdex.matrix._expression import Expression, select_expression
from scpdex.matrix._gene_mask import read_gene_mask
from scpdex.matrix._normalization import Normalization
from scpdex.matrix.joined._join_objects import spell_genes
from scpdex.plan.matrix_info import count_noun

if TYPE_CHECKING:
    import pandas as pd
    from anndata.acc import AdRef
    from numpy.typing import NDArray

    from scpdex.matrix._normalization import NormalizeRule
    from scpdex.matrix.joined._join_objects import JoinedObjects


def select_joined_expression(
    joined: JoinedObjects,
    *,
    layer: str | None,
    mask_var: NDArray[Any] | pd.Series[bool] | str | AdRef[Any, Any] | None,
    low_memory: bool | None,
    normalize: NormalizeRule | None,
) -> Expression:
    """Select the matrix of each object by scanpy's rules, and the tested genes among those that all have.

    Raises
    ------
    KeyError, TypeError, ValueError
        As :func:`scpdex.matrix.select_expression`; the message names the object. Also if a matrix is a dask array.
    """
    if low_memory is False:
        msg = "low_memory=False, but the matrices of several objects are read in parts: pass low_memory=None."
        raise ValueError(msg)
    genes = joined.annotations.var_names
    selected: dict[str, Expression] = {}
    for name, adata in joined.objects.items():
        if not adata.n_obs:
            continue
        try:
            part = select_expression(
                adata,
                use_raw=joined.use_raw,
                layer=layer,
                mask_var=None,
                low_memory=low_memory,
                normalize=normalize,
            )
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{name!r}: {error.args[0]}"
            raise type(error)(msg) from None
        if part.is_dask:
            msg = f"{name!r}: {part.matrix_name} is a dask array: pass the path of its file, or join arrays by dask."
            raise TypeError(msg)
        selected[name] = part
    _refuse_different_masks(joined, column_name(mask_var))
    mask = read_gene_mask(joined.annotations, mask_var, genes, use_raw=False)
    tested = np.arange(genes.size) if mask is None else np.flatnonzero(mask)
    if not selected:
        msg = "adata has no cells: there is nothing to rank."
        raise ValueError(msg)
    if not tested.size:
        msg = f"There is nothing to rank: mask_var is False for each of the {genes.size:,} genes."
        raise ValueError(msg)
    parts = tuple(_match(part, genes, tested, name) for name, part in selected.items())
    matrix_name = next(reversed(selected.values())).matrix_name
    return Expression(
        matrix=None,
        matrix_name=f"{matrix_name} of {count_noun(len(joined.objects), 'object')}",
        cells=np.arange(joined.annotations.n_obs),
        genes=tested,
        var_positions=tested,
        var_names=genes[tested],
        chunked=True,
        normalization=parts[0].normalization,
        parts=parts,
    )


def _refuse_different_masks(joined: JoinedObjects, column: Any) -> None:
    """Raise an error if ``mask_var`` names a column of var that is not the same in all objects."""
    if not isinstance(column, str) or column in joined.annotations.var.columns:
        return
    tables = {name: adata.raw.var if joined.use_raw else adata.var for name, adata in joined.objects.items()}
    lacking = [name for name, var in tables.items() if column not in var.columns]
    if lacking and len(lacking) < len(joined.objects):
        msg = f"mask_var={column!r}: var of {quote_names(lacking)} has no such column, which others have."
        raise KeyError(msg)
    if not lacking:
        msg = (
            f"mask_var={column!r} differs between the objects: pass a bool for each of the "
            f"{joined.annotations.n_vars:,} genes that all have."
        )
        raise ValueError(msg)


def _match(part: Expression, genes: pd.Index[Any], tested: NDArray[np.int64], name: str) -> Expression:
    """Give the expression of one object with these genes, in their order; ``tested`` are positions among them."""
    columns = part.genes[spell_genes(part.var_names).get_indexer(genes)]
    matrix_name, normalization = f"{part.matrix_name} of {name!r}", part.normalization
    if normalization is not None:
        normalization = Normalization.of(
            normalization.rule,
            columns,
            genes,
            tested,
            n_columns=part.matrix.shape[1],
            matrix_name=matrix_name,
            adds_left_to_right=normalization.adds_left_to_right,
        )
    return replace(
        part,
        matrix_name=matrix_name,
        genes=columns,
        var_positions=np.arange(genes.size),
        var_names=genes,
        normalization=normalization,
    )
