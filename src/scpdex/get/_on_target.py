"""On target: the row of the one gene that each group is aimed at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.comparisons.labels import Labels
from scpdex.comparisons.spelling import quote_names, suggest_name
from scpdex.get._table_labels import get_label_column, get_positions_of_names
from scpdex.matrix import read_annotations
from scpdex.statistics.multiple_testing import adjust_pvals

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results import RankedGenes, RankedResult


def find_target_rows(
    adata: AnnData, result: RankedResult[RankedGenes], gene_names: NDArray[Any], on_target: str
) -> tuple[NDArray[np.intp], dict[str, NDArray[Any]], list[str | None]]:
    """Find each group's target: its gene, groups x 1, or -1; its statistics, groups x 1; and its name.

    ``gene_names`` are the names that targets are looked up in: those of the result's genes, or their symbols.

    Raises
    ------
    KeyError
        ``on_target``, or the column that groups were taken from, is not in ``obs``, or the result does not name it.
    ValueError
        A group has several targets, or is no label of ``obs`` any more; a target is the name of several genes; or the
        result is limited to the first genes of each group.
    """
    ranked = result.ranked
    ranked_genes = np.unique(ranked.order)
    n_ranks = ranked.order.shape[1]
    if result.params.get("n_genes") is not None or (ranked.order < 0).any() or ranked_genes.size > n_ranks:
        msg = (
            f"on_target needs all genes of each group, and the result has {n_ranks:,} of them: rank with n_genes=None."
        )
        raise ValueError(msg)
    groupby = get_label_column(result.params, "groupby", "on_target")
    targets = _name_targets(adata, groupby, ranked.groups, on_target)
    genes = np.full((len(targets), 1), -1, dtype=np.intp)
    ranks = np.zeros_like(genes)
    gene_of_name = pd.Series(np.arange(gene_names.size), index=gene_names)
    gene_of_name = gene_of_name[gene_of_name.isin(ranked_genes)]
    for g, target in enumerate(targets):
        if target is None or target not in gene_of_name.index:
            continue
        target_genes = gene_of_name.loc[[target]].to_numpy()
        target_ranks = np.flatnonzero(np.isin(ranked.order[g], target_genes))
        if target_ranks.size > 1:
            msg = (
                f"target {target!r} of group {ranked.groups[g]!r} is the name of {target_ranks.size} genes: give genes "
                "unique names."
            )
            raise ValueError(msg)
        genes[g], ranks[g] = target_genes[0], target_ranks[0]
    is_tested = genes >= 0
    statistics = {}
    for name, values in ranked.statistics.items():
        statistics[name] = np.where(is_tested, np.take_along_axis(values.T, ranks, 1), values.dtype.type(np.nan))
    return genes, statistics, targets


def adjust_target_pvals(genes: NDArray[np.intp], statistics: dict[str, NDArray[Any]], params: dict[str, Any]) -> None:
    """Adjust the p-values of the targets of all groups, in place; targets that were not tested do not count."""
    is_tested = genes >= 0
    if "pvals" not in statistics or not is_tested.any():
        return
    corr_method = str(params.get("corr_method") or "benjamini-hochberg")
    statistics.setdefault("pvals_adj", np.full(genes.shape, np.nan))
    statistics["pvals_adj"][is_tested] = adjust_pvals(statistics["pvals"][is_tested][None], corr_method, None)[0]


def _name_targets(adata: AnnData, groupby: str, groups: tuple[str, ...], on_target: str) -> list[str | None]:
    """Name the target of each group; None where it has none."""
    labels = Labels.read(read_annotations(adata.obs, groupby), groupby)
    obs = read_annotations(adata.obs, on_target)
    if on_target not in obs.columns:
        hint = suggest_name(on_target, list(map(str, obs.columns)))
        msg = f"on_target={on_target!r} is not a column of adata.obs.{hint}"
        raise KeyError(msg)
    pairs = pd.DataFrame({"code": labels.codes, "target": obs[on_target].astype(object).to_numpy()})
    pairs = pairs[pairs["code"] >= 0].dropna().drop_duplicates()
    target_of_code = dict(zip(pairs["code"], pairs["target"].map(str), strict=True))
    codes = get_positions_of_names(labels, groups, "groupby")
    repeated = pairs.loc[pairs["code"].duplicated(), "code"].unique()
    ambiguous = [labels.names[code] for code in repeated.tolist() if code in codes]
    if ambiguous:
        msg = f"groups {quote_names(ambiguous)} have several targets in adata.obs[{on_target!r}]: give each group one."
        raise ValueError(msg)
    return [target_of_code.get(code) for code in codes]
