"""On target: of each group the one gene that it is aimed at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.comparisons.labels import Labels
from scpdex.comparisons.spelling import label_spellings, quote_names, suggest_name
from scpdex.matrix import in_memory
from scpdex.statistics.multiple_testing import adjust_pvals

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results import StoredResult


def on_target_rows(
    adata: AnnData, result: StoredResult, looked_up: NDArray[Any], on_target: str
) -> tuple[NDArray[np.intp], dict[str, NDArray[Any]], list[str | None]]:
    """Find each group's target: its gene, groups x 1, or -1; its statistics, groups x 1; and its name.

    ``looked_up`` are the names that targets are found by, those of the result's genes or others.

    Raises
    ------
    KeyError
        ``on_target``, or the column that groups were taken from, is not in ``obs``, or the result does not name it.
    ValueError
        A group has several targets, or none of its cells is there any more; a target is the name of several genes; or
        the result is limited to the first genes of each group.
    """
    ranked = result.ranked
    kept = np.unique(ranked.order)
    n_genes = ranked.order.shape[1]
    if result.params.get("n_genes") is not None or (ranked.order < 0).any() or kept.size > n_genes:
        msg = (
            f"on_target needs all genes of each group, and the result has {n_genes:,} of them: rank with n_genes=None."
        )
        raise ValueError(msg)
    groupby = result.params.get("groupby")
    if not isinstance(groupby, str):
        msg = "on_target needs the column that groups were taken from, and the result lacks params['groupby']."
        raise KeyError(msg)
    targets = _targets(adata, groupby, ranked.groups, on_target)
    genes = np.full((len(targets), 1), -1, dtype=np.intp)
    ranks = np.zeros_like(genes)
    place = pd.Series(np.arange(looked_up.size), index=looked_up)
    place = place[place.isin(kept)]
    for g, target in enumerate(targets):
        if target is None or target not in place.index:
            continue
        of_target = place.loc[[target]].to_numpy()
        found = np.flatnonzero(np.isin(ranked.order[g], of_target))
        if found.size > 1:
            msg = f"target {target!r} of group {ranked.groups[g]!r} is the name of {found.size} genes."
            raise ValueError(msg)
        genes[g], ranks[g] = of_target[0], found[0]
    measured = genes >= 0
    statistics = {}
    for name, values in ranked.statistics.items():
        statistics[name] = np.where(measured, np.take_along_axis(values.T, ranks, 1), values.dtype.type(np.nan))
    if "pvals" in statistics and measured.any():
        corr_method = str(result.params.get("corr_method") or "benjamini-hochberg")
        of_targets = statistics["pvals"][measured]
        statistics.setdefault("pvals_adj", np.full(genes.shape, np.nan))
        statistics["pvals_adj"][measured] = adjust_pvals(of_targets[None], corr_method, None)[0]
    return genes, statistics, targets


def _targets(adata: AnnData, groupby: str, groups: tuple[str, ...], on_target: str) -> list[str | None]:
    """Name the target of each group; None where it has none."""
    labels = Labels.read(in_memory(adata.obs, groupby), groupby)
    column = in_memory(adata.obs, on_target)
    if on_target not in column.columns:
        hint = suggest_name(on_target, list(map(str, column.columns)))
        msg = f"on_target={on_target!r} is not a column of adata.obs.{hint}"
        raise KeyError(msg)
    named = pd.DataFrame({"code": labels.codes, "target": column[on_target].astype(object).to_numpy()})
    named = named[named["code"] >= 0].dropna().drop_duplicates()
    several = named.loc[named["code"].duplicated(), "code"].unique()
    found = dict(zip(named["code"], named["target"].map(str), strict=True))
    places = {name: i for i, label in enumerate(labels.labels) for name in label_spellings(label)}
    places |= {name: i for i, name in enumerate(labels.names)}
    positions = [places.get(group) for group in groups]
    gone = [group for group, position in zip(groups, positions, strict=True) if position is None]
    if gone:
        msg = f"groups {quote_names(gone)} of the result are not in adata.obs[{groupby!r}] any more."
        raise ValueError(msg)
    ambiguous = [labels.names[code] for code in several.tolist() if code in positions]
    if ambiguous:
        msg = f"groups {quote_names(ambiguous)} have several targets in adata.obs[{on_target!r}]: give each group one."
        raise ValueError(msg)
    return [found.get(position) for position in positions]
