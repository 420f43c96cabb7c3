"""The public verb that gives a result, or those of all levels of a split, as one long table."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np
from scanpy import logging as logg

from scpdex.comparisons.spelling import choose_names, quote_names
from scpdex.get._long_table import Wanted
from scpdex.matrix import in_memory
from scpdex.results import (
    Levels,
    Repeated,
    StoredResult,
    concatenate,
    describe_renamed,
    groups_of,
    label_columns,
    make_frame,
    refuse_backend,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    import pandas as pd
    import polars as pl
    from anndata import AnnData

    from scpdex.results import Backend


def rank_genes_df(
    adata: AnnData,
    group: Hashable | Iterable[Hashable] | None = None,
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
        Group or groups, by the names of the result or as labels (``0`` and ``"0"`` mean the same, as do 0 and 0.0), and
        in this order; all by default.
    key
        Where in ``adata.uns`` the result is; with ``split_by``, the key that was given stands for all levels.
    order
        ``"score"``: each group's genes from the highest score down; ``"gene"``: in the order of var
        (in scanpy's layout, genes whose name var has twice, or no longer has, come last).
    pval_cutoff
        Only rows with an adjusted p-value below this.
    log2fc_min, log2fc_max
        Only rows with a log2 fold change above, or below, this.
    top_n
        Only the first so many genes of each group, by score, of those that the other filters leave.
    on_target
        Column of ``adata.obs`` that names the target gene of each group, as of a perturbation. The table then has one
        row for each group, that of its target, and p-values are adjusted over these rows (of each level). Targets that
        were not tested have NaN and do not count in that; filters leave them out.
    gene_symbols
        Column of ``adata.var`` (``adata.raw.var`` if that was ranked) with other names of the genes, which is added.
        ``on_target`` is then looked up there.
    backend
        ``"pandas"`` or ``"polars"`` (needs ``scpdex[polars]``; NaN is null there).

    Returns
    -------
    A data frame with a row for each group and gene, group by group, and the columns below. Ranks that
    :func:`scanpy.tl.filter_rank_genes_groups` has emptied are left out, as are genes that ``min_pct`` or ``min_logfc``
    left untested. Genes that are no longer in ``adata`` are left out of a result in ``varm``, which is cut with the
    genes; scanpy's layout keeps their names and numbers, and so does the table.

    ``split``
        Categorical: the level of ``split_by``, where there are levels.
    ``group``
        Categorical, in the order of the groups. It is there for one group, too, of which scanpy leaves it out.
    ``names``
        Names of genes.
    ``scores``, ``logfoldchanges``, ``pvals``, ``pvals_adj``
        As far as the test has them, and as it has stored them (float32, float32, float64, float64).
    ``auc``, ``log10_pvals``, ``u``, ``means``, ``means_reference``
        Where ``extras`` asked for them (float64).
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
        There is no such result, it lacks a field, or there is no such column.
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
    wanted = Wanted(order, pval_cutoff, log2fc_min, log2fc_max, top_n, on_target, gene_symbols)
    levels = Levels.read(adata.uns.get(key))
    keys = [key] if levels is None else levels.keys(key)
    there = [groups_of(adata, its_key) for its_key in keys]
    all_groups = list(dict.fromkeys(chain.from_iterable(there)))
    if levels is not None:
        # The list has them in order; those that were renamed since are in the results of the levels only.
        in_order = {name: i for i, name in enumerate(levels.groups)}
        all_groups.sort(key=lambda name: in_order.get(name, len(in_order)))
    renamed = describe_renamed(adata, key, in_memory(adata.obs, *label_columns(adata, key)))
    if renamed is not None:
        logg.warning(renamed)
    chosen = all_groups if group is None else choose_names(group, all_groups, "group", f"adata.uns[{key!r}]")
    frames, unread, twins = [], set[str](), set[str]()
    for position, (its_key, its_groups) in enumerate(zip(keys, map(set, there), strict=True)):
        if its_groups.isdisjoint(chosen):
            continue
        result = StoredResult.read(adata, its_key, [name for name in chosen if name in its_groups])
        columns = wanted.columns(adata, its_key, result, chosen)
        if levels is not None:
            of_rows = np.full(columns["names"].codes.size, position)
            columns = {"split": Repeated(levels.levels, of_rows, categorical=True)} | columns
        frames.append(make_frame(columns, backend))
        unread |= set(result.unread)
        twins |= set(result.twins if result.fractions else ()) | set(
            () if gene_symbols is None else result.twins_in_var
        )
    _tell_of_unread(key, sorted(unread), sorted(twins))
    return frames[0] if levels is None else concatenate(frames, backend)


def _tell_of_unread(key: str, unread: Sequence[str], twins: Sequence[str]) -> None:
    """Say, once, which fields are left out, and which genes have no fractions and symbols for sharing a name."""
    if unread:
        logg.warning(f"{quote_names(unread)} of adata.uns[{key!r}] do not fit its groups and genes, and are left out.")
    if twins:
        logg.warning(
            f"several genes are called {quote_names(twins)}, and scanpy's layout does not tell which is which: their "
            "fractions and gene symbols are NaN. Rank with storage='varm', or after adata.var_names_make_unique()."
        )
