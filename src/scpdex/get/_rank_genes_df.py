"""The public verb that gives a result as one long table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from scpdex.get._on_target import on_target_rows
from scpdex.labels import suggest
from scpdex.matrix import in_memory
from scpdex.results import Repeated, StoredResult, make_frame, places_of, refuse_backend

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl
    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results import Backend

_FRACTIONS = {"pts": "pct_nz_group", "pts_rest": "pct_nz_reference"}


def rank_genes_df(
    adata: AnnData,
    group: str | Iterable[str] | None = None,
    *,
    key: str = "rank_genes_groups",
    order: Literal["score", "gene"] = "score",
    pval_cutoff: float | None = None,
    log2fc_min: float | None = None,
    log2fc_max: float | None = None,
    top_n: int | None = None,
    on_target: str | None = None,
    gene_symbols: str | None = None,
    backend: Backend = "pandas",
) -> pd.DataFrame | pl.DataFrame:
    """Give ranked genes as one long table, whichever form the result is stored in.

    As :func:`scanpy.get.rank_genes_groups_df`, in seconds for thousands of groups.

    Parameters
    ----------
    adata
        Object with a result of :func:`scpdex.tl.rank_genes_parallel` (in ``uns`` or ``varm``) or
        :func:`scanpy.tl.rank_genes_groups`.
    group
        Group or groups, by the names of the result and in this order; all by default.
    key
        Where in ``adata.uns`` the result is.
    order
        ``"score"``: each group's genes from the highest score down; ``"gene"``: in the order of var
        (in scanpy's layout, genes whose name var has twice come last).
    pval_cutoff
        Only rows with an adjusted p-value below this.
    log2fc_min, log2fc_max
        Only rows with a log2 fold change above, or below, this.
    top_n
        Only the first so many genes of each group, by score, of those that the other filters leave.
    on_target
        Column of ``adata.obs`` that names the target gene of each group, as of a perturbation. The table then has one
        row for each group, that of its target, and p-values are adjusted over these rows. Targets that were not tested
        have NaN and do not count in that; filters leave them out.
    gene_symbols
        Column of ``adata.var`` (``adata.raw.var`` if that was ranked) with other names of the genes, which is added.
        ``on_target`` is then looked up there.
    backend
        ``"pandas"`` or ``"polars"`` (needs ``scpdex[polars]``; NaN is null there).

    Returns
    -------
    A data frame with a row for each group and gene, group by group, and the columns below. Ranks that
    :func:`scanpy.tl.filter_rank_genes_groups` has emptied are left out, as are genes that are no longer in ``adata``.

    ``group``
        Categorical, in the order of the groups. As in scanpy it is left out where there is one group, except with
        ``on_target``.
    ``names``
        Names of genes.
    ``scores``, ``logfoldchanges``, ``pvals``, ``pvals_adj``
        As far as the test has them, and as it has stored them (float32, float32, float64, float64).
    the column ``gene_symbols``
        Where it is asked for.
    ``pct_nz_group``, ``pct_nz_reference``
        Fractions of cells with a value other than 0 (float64), where ``pts=True`` was given: in the group, and in what
        it is compared with. (scanpy leaves out that of a reference group.)

    Raises
    ------
    ImportError
        polars is not installed.
    KeyError
        There is no such result, or no such column.
    ValueError
        A group is not in the result; an argument has a value that is not valid; a filter is for what the test does not
        have; a group has several targets, or the result is limited to ``n_genes``, with ``on_target``.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced()
    >>> scpdex.tl.rank_genes_parallel(adata, "bulk_labels", method="wilcoxon", storage="varm", use_raw=False)
    >>> scpdex.get.rank_genes_df(adata, ["Dendritic", "CD56+ NK"], top_n=2)[["group", "names"]].to_numpy().tolist()
    [['Dendritic', 'LYZ'], ['Dendritic', 'CST3'], ['CD56+ NK', 'NKG7'], ['CD56+ NK', 'GNLY']]
    """
    refuse_backend(backend, f"backend={backend!r}")
    if order not in {"score", "gene"}:
        msg = f"order={order!r} is not valid: pass 'score' or 'gene'."
        raise ValueError(msg)
    if top_n is not None and (isinstance(top_n, bool) or not isinstance(top_n, int | np.integer) or top_n < 1):
        msg = f"top_n={top_n!r} is not valid: pass a number of genes from 1 up, or None."
        raise ValueError(msg)
    groups = None if group is None else [group] if isinstance(group, str) else [str(one) for one in group]
    if groups is not None and (not groups or len(set(groups)) < len(groups)):
        msg = f"group={group!r} names {'no group' if not groups else 'a group twice'}."
        raise ValueError(msg)
    result = StoredResult.read(adata, key, groups)
    symbols = None if gene_symbols is None else _symbols(adata, result, gene_symbols)
    names = result.ranked.groups
    of_group = np.broadcast_to(np.arange(len(names))[:, None], result.ranked.order.shape)
    genes = result.ranked.order
    statistics = {name: values.T for name, values in result.ranked.statistics.items()}
    targets = None
    if on_target is not None:
        looked_up = result.names if symbols is None else symbols.to_numpy(dtype=object)
        genes, statistics, targets = on_target_rows(adata, result, looked_up, on_target)
        of_group = np.arange(len(names))[:, None]
    keep = _passing(statistics, genes, key, pval_cutoff, log2fc_min, log2fc_max)
    if targets is None:
        keep &= genes >= 0
    if top_n is not None:
        keep &= np.cumsum(keep, axis=1) <= top_n
    if order == "gene" and targets is None:
        keep, places = _by_gene(genes, keep)
        genes = np.take_along_axis(genes, places, 1)
        statistics = {name: np.take_along_axis(values, places, 1) for name, values in statistics.items()}
    whole = bool(keep.all())
    rows: Any = slice(None) if whole else np.flatnonzero(keep)
    flat = {name: values.ravel()[rows] for name, values in statistics.items()}
    codes, of_row = genes.ravel()[rows], of_group.ravel()[rows]
    columns: dict[str, Any] = {}
    if len(names) > 1 or targets is not None:
        columns["group"] = Repeated(names, of_row, categorical=True)
    columns["names"] = Repeated(result.names, codes) if targets is None else Repeated(targets, of_row)
    columns |= flat
    if symbols is not None:
        columns[str(gene_symbols)] = Repeated(symbols, codes)
    columns |= _fractions(result, codes, of_row)
    return make_frame(columns, backend)


def _symbols(adata: AnnData, result: StoredResult, gene_symbols: str) -> pd.Series[Any]:
    """Find the other names of the genes, missing where a gene has none."""
    in_raw = result.of_raw and gene_symbols in adata.raw.var.columns
    var = in_memory(adata.raw.var if in_raw else adata.var, gene_symbols)
    if gene_symbols not in var.columns:
        msg = f"gene_symbols={gene_symbols!r} is not a column of adata.var.{suggest(gene_symbols, list(var.columns))}"
        raise KeyError(msg)
    places = result.places if in_raw == result.of_raw else places_of(result.names, var.index)
    return pd.Series(var[gene_symbols].array.take(places, allow_fill=bool((places < 0).any())))


def _passing(
    statistics: dict[str, NDArray[Any]],
    genes: NDArray[np.intp],
    key: str,
    pval_cutoff: float | None,
    log2fc_min: float | None,
    log2fc_max: float | None,
) -> NDArray[np.bool_]:
    """Tell which rows the filters leave, groups x ranks."""
    keep = np.ones(genes.shape, dtype=np.bool_)
    for argument, limit, field, passes in (
        ("pval_cutoff", pval_cutoff, "pvals_adj", np.less),
        ("log2fc_min", log2fc_min, "logfoldchanges", np.greater),
        ("log2fc_max", log2fc_max, "logfoldchanges", np.less),
    ):
        if limit is None:
            continue
        if field not in statistics:
            msg = f"{argument}={limit!r} filters by {field}, which adata.uns[{key!r}] does not have."
            raise ValueError(msg)
        keep &= passes(statistics[field], limit)
    return keep


def _by_gene(genes: NDArray[np.intp], keep: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Put each group's ranks in the order of its genes: which rows are kept then, and the rank of each."""
    of_genes = np.full((genes.shape[0], int(genes.max()) + 2), -1)
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
        if field in result.fractions:
            names, fractions = result.fractions[field]
            place = {name: i for i, name in enumerate(names)}
            of_group = np.array([place[group] for group in result.ranked.groups], dtype=np.intp)
            found[column] = fractions[codes, of_group[of_row]]
    reference = str(result.params.get("reference"))
    if "pts" in result.fractions and "pts_rest" not in result.fractions and reference in result.fractions["pts"][0]:
        names, fractions = result.fractions["pts"]
        found["pct_nz_reference"] = fractions[codes, names.index(reference)]
    return {name: np.where(codes < 0, np.nan, values) for name, values in found.items()}
