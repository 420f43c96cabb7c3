"""Long table: its columns, its rows for each group and gene, and their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.comparisons.spelling import suggest_name
from scpdex.get._on_target import find_target_rows
from scpdex.matrix import read_annotations
from scpdex.results import CodedColumn, find_positions, match_fraction_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results import RankedGenes, RankedResult

# Columns of the table by the stored field.
_FRACTION_COLUMNS = {"pts": "pct_nz_group", "pts_rest": "pct_nz_reference"}


@dataclass(frozen=True)
class TableRequest:
    """What a table is to have: the arguments of the same names of the public verb."""

    order: str
    pval_cutoff: float | None
    log2fc_min: float | None
    log2fc_max: float | None
    top_n: int | None
    on_target: str | None
    gene_symbols: str | None

    def make_columns(
        self, adata: AnnData, key: str, result: RankedResult[RankedGenes], all_groups: Sequence[str]
    ) -> dict[str, Any]:
        """Make the columns of the table of one result; ``all_groups`` are the categories of its column ``group``."""
        symbols = None if self.gene_symbols is None else _find_symbols(adata, result, self.gene_symbols)
        groups = result.ranked.groups
        group_codes = np.broadcast_to(np.arange(len(groups))[:, None], result.ranked.order.shape)
        genes = result.ranked.order
        statistics = {name: values.T for name, values in result.ranked.statistics.items()}
        targets = None
        if self.on_target is not None:
            gene_names = result.gene_names if symbols is None else symbols.to_numpy(dtype=object)
            genes, statistics, targets = find_target_rows(adata, result, gene_names, self.on_target)
            group_codes = np.arange(len(groups))[:, None]
        keep = self._apply_filters(statistics, genes, key)
        if targets is None:
            keep &= _has_tested_gene(genes, statistics, result.params)
        if self.top_n is not None:
            keep &= np.cumsum(keep, axis=1) <= self.top_n
        if self.order == "gene" and targets is None:
            ranks = _order_ranks_by_gene(genes)
            keep, genes = np.take_along_axis(keep, ranks, 1), np.take_along_axis(genes, ranks, 1)
            statistics = {name: np.take_along_axis(values, ranks, 1) for name, values in statistics.items()}
        rows: Any = slice(None) if keep.all() else np.flatnonzero(keep)
        row_genes, row_groups = genes.ravel()[rows], group_codes.ravel()[rows]
        position_of = {name: i for i, name in enumerate(all_groups)}
        positions = np.array([position_of[name] for name in groups], dtype=np.intp)
        columns: dict[str, Any] = {"group": CodedColumn(all_groups, positions[row_groups], is_categorical=True)}
        columns["names"] = (
            CodedColumn(result.gene_names, row_genes) if targets is None else CodedColumn(targets, row_groups)
        )
        columns |= {name: values.ravel()[rows] for name, values in statistics.items()}
        if symbols is not None:
            columns[str(self.gene_symbols)] = CodedColumn(symbols, row_genes)
        return columns | _take_fractions(result, row_genes, row_groups)

    def _apply_filters(
        self, statistics: dict[str, NDArray[Any]], genes: NDArray[np.intp], key: str
    ) -> NDArray[np.bool_]:
        """Tell which rows pass the filters, groups x ranks."""
        keep = np.ones(genes.shape, dtype=np.bool_)
        for argument, limit, field, passes in (
            ("pval_cutoff", self.pval_cutoff, "pvals_adj", np.less),
            ("log2fc_min", self.log2fc_min, "logfoldchanges", np.greater),
            ("log2fc_max", self.log2fc_max, "logfoldchanges", np.less),
        ):
            if limit is None:
                continue
            if field not in statistics:
                msg = (
                    f"{argument}={limit!r} filters by {field}, which adata.uns[{key!r}] does not have: leave "
                    f"{argument} out, or rank with a test that has it."
                )
                raise ValueError(msg)
            keep &= passes(statistics[field], limit)
        return keep


def _has_tested_gene(
    genes: NDArray[np.intp], statistics: dict[str, NDArray[Any]], params: dict[str, Any]
) -> NDArray[np.bool_]:
    """Tell which ranks, groups x ranks, have a gene that ``min_pct`` and ``min_logfc`` did not leave untested."""
    is_tested = genes >= 0
    is_filtered = any(params.get(name) is not None for name in ("min_pct", "min_logfc"))
    if is_filtered and "pvals" in statistics:
        is_tested &= ~np.isnan(statistics["pvals"])
    return is_tested


def _find_symbols(adata: AnnData, result: RankedResult[RankedGenes], gene_symbols: str) -> pd.Series[Any]:
    """Find the symbols of the genes, missing where a gene has none."""
    in_raw = result.uses_raw and gene_symbols in adata.raw.var.columns
    var = read_annotations(adata.raw.var if in_raw else adata.var, gene_symbols)
    if gene_symbols not in var.columns:
        hint = suggest_name(gene_symbols, list(var.columns))
        msg = f"gene_symbols={gene_symbols!r} is not a column of adata.var.{hint}"
        raise KeyError(msg)
    fits_var = in_raw == result.uses_raw
    positions = result.var_positions if fits_var else find_positions(result.gene_names, var.index)
    return pd.Series(var[gene_symbols].array.take(positions, allow_fill=bool((positions < 0).any())))


def _order_ranks_by_gene(genes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Order each group's ranks by gene: groups x ranks."""
    # One column more than genes, for empty ranks: -1 is the last.
    rank_of_gene = np.full((genes.shape[0], int(genes.max(initial=-1)) + 2), -1)
    np.put_along_axis(rank_of_gene, genes, np.arange(genes.shape[1])[None], 1)
    ranks = rank_of_gene[rank_of_gene >= 0]
    # Fewer where several ranks are empty, or genes share a name.
    if ranks.size == genes.size:
        return ranks.reshape(genes.shape)
    return np.argsort(genes, axis=1, kind="stable")


def _take_fractions(
    result: RankedResult[RankedGenes], row_genes: NDArray[np.intp], row_groups: NDArray[np.intp]
) -> dict[str, NDArray[Any]]:
    """Take the fraction of each row's gene in its group, and in the cells that the group is compared with."""
    columns = {}
    for field, column in _FRACTION_COLUMNS.items():
        names, fractions = result.fractions.get(field, ((), np.empty((0, 0))))
        matched = match_fraction_columns(names, result.ranked.groups, result.params.get("reference"))
        if matched is None:
            continue
        group_columns, reference_column = matched
        columns[column] = fractions[row_genes, group_columns[row_groups]]
        if reference_column is not None:
            columns["pct_nz_reference"] = fractions[row_genes, reference_column]
    return {name: np.where(row_genes < 0, np.nan, values) for name, values in columns.items()}
