"""Rows: which rows of a result a table has, in which order, and its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.comparisons.spelling import suggest_name
from scpdex.get._on_target import on_target_rows
from scpdex.matrix import in_memory
from scpdex.results import Repeated, match_columns, places_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results import StoredResult

_FRACTIONS = {"pts": "pct_nz_group", "pts_rest": "pct_nz_reference"}


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a table; the arguments of the same names of the public verb."""

    order: str
    pval_cutoff: float | None
    log2fc_min: float | None
    log2fc_max: float | None
    top_n: int | None
    on_target: str | None
    gene_symbols: str | None

    def columns(self, adata: AnnData, key: str, result: StoredResult, all_groups: Sequence[str]) -> dict[str, Any]:
        """Give the columns of the table of one result; groups are categories among all of a table's."""
        symbols = None if self.gene_symbols is None else _symbols(adata, result, self.gene_symbols)
        names = result.ranked.groups
        of_group = np.broadcast_to(np.arange(len(names))[:, None], result.ranked.order.shape)
        genes = result.ranked.order
        statistics = {name: values.T for name, values in result.ranked.statistics.items()}
        targets = None
        if self.on_target is not None:
            looked_up = result.names if symbols is None else symbols.to_numpy(dtype=object)
            genes, statistics, targets = on_target_rows(adata, result, looked_up, self.on_target)
            of_group = np.arange(len(names))[:, None]
        keep = self._passing(statistics, genes, key)
        if targets is None:
            keep &= genes >= 0
            filtered = any(result.params.get(name) is not None for name in ("min_pct", "min_logfc"))
            if filtered and "pvals" in statistics:
                keep &= ~np.isnan(statistics["pvals"])
        if self.top_n is not None:
            keep &= np.cumsum(keep, axis=1) <= self.top_n
        if self.order == "gene" and targets is None:
            keep, places = _by_gene(genes, keep)
            genes = np.take_along_axis(genes, places, 1)
            statistics = {name: np.take_along_axis(values, places, 1) for name, values in statistics.items()}
        whole = bool(keep.all())
        rows: Any = slice(None) if whole else np.flatnonzero(keep)
        flat = {name: values.ravel()[rows] for name, values in statistics.items()}
        codes, of_row = genes.ravel()[rows], of_group.ravel()[rows]
        columns: dict[str, Any] = {}
        place = {name: i for i, name in enumerate(all_groups)}
        of_all = np.array([place[name] for name in names], dtype=np.intp)
        columns["group"] = Repeated(all_groups, of_all[of_row], categorical=True)
        columns["names"] = Repeated(result.names, codes) if targets is None else Repeated(targets, of_row)
        columns |= flat
        if symbols is not None:
            columns[str(self.gene_symbols)] = Repeated(symbols, codes)
        return columns | _fractions(result, codes, of_row)

    def _passing(self, statistics: dict[str, NDArray[Any]], genes: NDArray[np.intp], key: str) -> NDArray[np.bool_]:
        """Tell which rows the filters leave, groups x ranks."""
        keep = np.ones(genes.shape, dtype=np.bool_)
        for argument, limit, field, passes in (
            ("pval_cutoff", self.pval_cutoff, "pvals_adj", np.less),
            ("log2fc_min", self.log2fc_min, "logfoldchanges", np.greater),
            ("log2fc_max", self.log2fc_max, "logfoldchanges", np.less),
        ):
            if limit is None:
                continue
            if field not in statistics:
                msg = f"{argument}={limit!r} filters by {field}, which adata.uns[{key!r}] does not have."
                raise ValueError(msg)
            keep &= passes(statistics[field], limit)
        return keep


def _symbols(adata: AnnData, result: StoredResult, gene_symbols: str) -> pd.Series[Any]:
    """Find the other names of the genes, missing where a gene has none."""
    in_raw = result.of_raw and gene_symbols in adata.raw.var.columns
    var = in_memory(adata.raw.var if in_raw else adata.var, gene_symbols)
    if gene_symbols not in var.columns:
        hint = suggest_name(gene_symbols, list(var.columns))
        msg = f"gene_symbols={gene_symbols!r} is not a column of adata.var.{hint}"
        raise KeyError(msg)
    places = result.places if in_raw == result.of_raw else places_of(result.names, var.index)
    return pd.Series(var[gene_symbols].array.take(places, allow_fill=bool((places < 0).any())))


def _by_gene(genes: NDArray[np.intp], keep: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Put each group's ranks in the order of its genes: which rows are kept then, and the rank of each."""
    of_genes = np.full((genes.shape[0], int(genes.max(initial=-1)) + 2), -1)
    np.put_along_axis(of_genes, genes, np.arange(genes.shape[1])[None], 1)
    places = of_genes[of_genes >= 0]
    # Fewer where several ranks are empty, or of genes of one name.
    each_once = places.size == genes.size
    places = places.reshape(genes.shape) if each_once else np.argsort(genes, axis=1, kind="stable")
    return np.take_along_axis(keep, places, 1), places


def _fractions(result: StoredResult, codes: NDArray[np.intp], of_row: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """Find the fraction of each row's gene in its group, and in what the group is compared with."""
    found = {}
    for field, column in _FRACTIONS.items():
        names, fractions = result.fractions.get(field, ((), np.empty((0, 0))))
        matched = match_columns(names, result.ranked.groups, result.params.get("reference"))
        if matched is None:
            continue
        places, of_reference = matched
        found[column] = fractions[codes, places[of_row]]
        if of_reference is not None:
            found["pct_nz_reference"] = fractions[codes, of_reference]
    return {name: np.where(codes < 0, np.nan, values) for name, values in found.items()}
