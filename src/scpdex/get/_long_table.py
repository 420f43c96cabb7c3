"""Long table: its columns, its rows for each group and gene, and their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.comparisons.spelling import suggest_name
from scpdex.get._on_target import adjust_target_pvals, find_target_rows
from scpdex.matrix import read_annotations
from scpdex.results import CodedColumn, find_positions, match_fraction_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.get._table_labels import TableLabels
    from scpdex.results import RankedGenes, RankedResult

# Columns of the table by the stored field.
_FRACTION_COLUMNS = {"pts": "pct_nz_group", "pts_rest": "pct_nz_reference"}
# Fields that a filter, the targets' adjustment, or the choice of tested genes needs.
_FILTER_FIELDS = {"pval_cutoff": "pvals_adj", "log2fc_min": "logfoldchanges", "log2fc_max": "logfoldchanges"}


@dataclass(frozen=True)
class _Ranks:
    """Rows before they are chosen: groups x ranks, or groups x 1 for targets."""

    result: RankedResult[RankedGenes]
    groups: tuple[str, ...]
    genes: NDArray[np.intp]
    statistics: dict[str, NDArray[Any]]
    targets: list[str | None] | None = None
    """Name of each group's target."""


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
    columns: tuple[str, ...] | None

    @property
    def fields(self) -> set[str] | None:
        """Fields of a stored result that the table needs; None for all."""
        if self.columns is None:
            return None
        filtered = {field for argument, field in _FILTER_FIELDS.items() if getattr(self, argument) is not None}
        return {*self.columns, "pvals"} | filtered

    def make_columns(
        self,
        adata: AnnData | None,
        place: str,
        steps: Iterable[RankedResult[RankedGenes]],
        groups: TableLabels,
    ) -> Iterator[dict[str, Any]]:
        """Make the columns of the table of one result, which is read in steps of a few groups.

        ``adata`` is None for a file; ``place`` is where the result is stored, for messages; ``groups`` are the groups
        of all results of the table.
        """
        all_ranks: Iterable[_Ranks]
        if adata is not None and self.on_target is not None:
            all_ranks = [self._find_targets(adata, steps, self.on_target)]
        else:
            all_ranks = (
                _Ranks(
                    result,
                    result.ranked.groups,
                    result.ranked.order,
                    {name: values.T for name, values in result.ranked.statistics.items()},
                )
                for result in steps
            )
        position_of = {name: i for i, name in enumerate(groups.names)}
        for ranks in all_ranks:
            positions = np.array([position_of[name] for name in ranks.groups], dtype=np.intp)
            codes, columns = self._choose_rows(adata, place, ranks)
            yield {"group": groups.make_column(positions[codes])} | columns

    def _find_targets(self, adata: AnnData, steps: Iterable[RankedResult[RankedGenes]], on_target: str) -> _Ranks:
        """Find the row of each group's target, and adjust p-values over all of them."""
        parts = []
        for result in steps:
            symbols = self._find_symbols(adata, result)
            gene_names = result.gene_names if symbols is None else symbols.to_numpy(dtype=object)
            parts.append((result, *find_target_rows(adata, result, gene_names, on_target)))
        results, genes, statistics, targets = zip(*parts, strict=True)
        all_genes = np.concatenate(genes)
        names = list(statistics[0])
        all_statistics = {name: np.concatenate([part[name] for part in statistics]) for name in names}
        adjust_target_pvals(all_genes, all_statistics, results[0].params)
        groups = tuple(group for result in results for group in result.ranked.groups)
        return _Ranks(results[0], groups, all_genes, all_statistics, [name for part in targets for name in part])

    def _choose_rows(self, adata: AnnData | None, place: str, ranks: _Ranks) -> tuple[NDArray[np.intp], dict[str, Any]]:
        """Choose the rows that the filters keep: the group of each, by position, and all further columns."""
        result, genes, statistics = ranks.result, ranks.genes, ranks.statistics
        symbols = None if adata is None else self._find_symbols(adata, result)
        keep = self._apply_filters(statistics, genes, place)
        if ranks.targets is None:
            keep &= _has_tested_gene(genes, statistics, result.params)
        if self.top_n is not None:
            keep &= np.cumsum(keep, axis=1) <= self.top_n
        if self.order == "gene" and ranks.targets is None:
            in_order = _order_ranks_by_gene(genes)
            keep, genes = np.take_along_axis(keep, in_order, 1), np.take_along_axis(genes, in_order, 1)
            statistics = {name: np.take_along_axis(values, in_order, 1) for name, values in statistics.items()}
        rows: Any = slice(None) if keep.all() else np.flatnonzero(keep)
        row_genes = genes.ravel()[rows]
        row_groups = np.broadcast_to(np.arange(len(ranks.groups))[:, None], genes.shape).ravel()[rows]
        names = CodedColumn(result.gene_names, row_genes)
        columns: dict[str, Any] = {"names": names if ranks.targets is None else CodedColumn(ranks.targets, row_groups)}
        columns |= {name: values.ravel()[rows] for name, values in statistics.items()}
        # Symbols stand before the fractions, which a result in a file has among its statistics.
        in_rows = {name: columns.pop(name) for name in _FRACTION_COLUMNS.values() if name in columns}
        if symbols is not None:
            columns[str(self.gene_symbols)] = CodedColumn(symbols, row_genes)
        return row_groups, columns | in_rows | _take_fractions(result, row_genes, row_groups)

    def select(self, columns: dict[str, Any], fields_of_file: Iterable[str]) -> dict[str, Any]:
        """Select the columns of the table, in the order of the request; those of a file need not have been read.

        Raises
        ------
        ValueError
            The table has no such column.
        """
        if self.columns is None:
            return columns
        for name in self.columns:
            if name not in columns:
                of_file = list(fields_of_file)
                valid = [*(column for column in columns if column not in of_file), *of_file]
                msg = f"columns: {name!r} is not a column of the table.{suggest_name(name, valid)}"
                raise ValueError(msg)
        return {name: columns[name] for name in self.columns}

    def _find_symbols(self, adata: AnnData, result: RankedResult[RankedGenes]) -> pd.Series[Any] | None:
        """Find the symbols of the genes, missing where a gene has none; None if no column names them."""
        return None if self.gene_symbols is None else _find_symbols(adata, result, self.gene_symbols)

    def _apply_filters(
        self, statistics: dict[str, NDArray[Any]], genes: NDArray[np.intp], place: str
    ) -> NDArray[np.bool_]:
        """Tell which rows pass the filters, groups x ranks."""
        keep = np.ones(genes.shape, dtype=np.bool_)
        for argument, field in _FILTER_FIELDS.items():
            limit = getattr(self, argument)
            if limit is None:
                continue
            passes = np.greater if argument == "log2fc_min" else np.less
            if field not in statistics:
                msg = (
                    f"{argument}={limit!r} filters by {field}, which {place} does not have: leave "
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
