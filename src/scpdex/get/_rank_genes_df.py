"""The public verb that returns a stored result, or the results of all levels, as one long table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scpdex.comparisons.spelling import choose_names
from scpdex.get._long_table import TableRequest
from scpdex.get._table_labels import TableLabels
from scpdex.get._table_sources import open_source
from scpdex.messages.stored_results import warn_of_shared_names, warn_of_unread_fields
from scpdex.results import concatenate_frames, make_frame, refuse_backend

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    import pandas as pd
    import polars as pl
    from anndata import AnnData

    from scpdex.matrix import FilePath
    from scpdex.results import Backend, RankedGenes, RankedResult


def rank_genes_df(
    adata: AnnData | FilePath,
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
    columns: Iterable[str] | None = None,
    backend: Backend = "pandas",
    keep_labels: bool = False,
) -> pd.DataFrame | pl.DataFrame:
    """Return ranked genes as one long table, from ``uns``, ``varm`` or a Parquet file.

    Gives the rows of :func:`scanpy.get.rank_genes_groups_df`, in seconds for thousands of groups. Of a file, only the
    groups and columns that are asked for are read, a few groups at a time.

    Parameters
    ----------
    adata
        Object with a result of :func:`scpdex.tl.rank_genes_parallel` (in ``uns``, ``varm``, or a file that ``uns``
        names) or :func:`scanpy.tl.rank_genes_groups`; or the path of the Parquet file that
        ``rank_genes_parallel(storage=)`` wrote.
    group
        Group or groups of the table, in this order, by the names of the result or as labels (``0`` and ``"0"`` mean
        the same, as do 0 and 0.0). The default is all groups.
    key
        Key of the result in ``adata.uns``. With ``split_by``, the key that was given to the ranking stands for all
        levels. A file has one result, and no key.
    order
        ``"score"`` puts each group's genes from the highest score to the lowest; ``"gene"`` puts them in the order of
        ``adata.var``. Genes of scanpy's layout whose name ``adata.var`` repeats, or no longer has, come last.
    pval_cutoff
        Keep only rows with an adjusted p-value below this.
    log2fc_min, log2fc_max
        Keep only rows with a log2 fold change above ``log2fc_min``, and below ``log2fc_max``.
    top_n
        Keep only the first ``top_n`` genes of each group, by score, among the rows that the other filters keep.
    on_target
        Column of ``adata.obs`` that names the target gene of each group, such as the gene that a perturbation is aimed
        at. The table then has one row for each group, that of its target, and p-values are adjusted over these rows
        (of each level). Targets that were not tested have NaN, and do not count in the adjustment; filters drop them.
    gene_symbols
        Column of ``adata.var`` (``adata.raw.var`` if that was ranked) with other names of the genes. The table has it
        as one more column, and ``on_target`` looks targets up in it. Neither ``gene_symbols`` nor ``on_target`` can be
        given with a path: a file has no ``obs`` and ``var``.
    columns
        Columns of the table, in this order. The default is all columns.
    backend
        ``"pandas"``, or ``"polars"``, which needs ``scpdex[polars]`` and has null for NaN.
    keep_labels
        True gives the columns ``group`` and ``split`` the labels of ``adata.obs`` in place of their spellings, so that
        the table can be merged with others that were made from ``obs``. ``obs`` must still have the labels; the path of
        a file has none.

    Returns
    -------
    A data frame with a row for each group and gene, group by group, and the columns below. The table leaves out ranks
    that :func:`scanpy.tl.filter_rank_genes_groups` has emptied, and genes that ``min_pct`` or ``min_logfc`` left
    untested. A result in ``varm`` is cut with the genes of ``adata``, so that genes that were left out of ``adata`` are
    not in the table; scanpy's layout keeps their names and numbers, and so does the table.

    ``split``
        Categorical: level of ``split_by``. Only results with levels have it.
    ``group``
        Categorical, in the order of the groups. Tables of a single group have it too, unlike scanpy's.
        With ``keep_labels=True``, ``group`` and ``split`` are categorical where labels are strings. Other labels have
        the dtype of the column of ``obs``, or of its categories: int64, bool, float64 (as integers have in pandas where
        a label is missing), object for several types, ...; in polars Int64, Boolean, Float64, ...
    ``names``
        Names of genes.
    ``scores``, ``logfoldchanges``, ``pvals``, ``pvals_adj``
        Those that the test has, as they are stored (float32, float32, float64, float64).
    ``auc``, ``auc_se``, ``auc_low``, ``auc_high``, ``log10_pvals``, ``u``, ``means``, ``means_reference``,
    ``count_means``, ``count_means_reference``
        Those that ``extras`` asked for (float64).
    the column ``gene_symbols``
        Only where ``gene_symbols`` is given.
    ``pct_nz_group``, ``pct_nz_reference``
        Fractions of cells with a value other than 0 (float64), in the group and in the cells that it is compared with.
        Only results with ``pts=True`` have them. (scanpy leaves out the fraction of a reference group.)

    Raises
    ------
    FileNotFoundError
        The file does not exist, or not any more where ``uns`` says that it is.
    ImportError
        polars is not installed, or pyarrow, which files need.
    KeyError
        ``adata.uns`` has no such result, the result lacks a field, or ``obs`` or ``var`` has no such column, the one
        that ``keep_labels`` reads included.
    ValueError
        A group is not in the result; an argument has a value that is not valid; the table has no such column; the test
        does not have what a filter needs; the file is not a result of scpdex, or was changed by another program; a path
        is given with ``gene_symbols``, ``on_target`` or ``keep_labels``; with ``keep_labels``, ``obs`` no longer has a
        label, or labels are of several types and the backend is polars; or, with ``on_target``, a group has several
        targets or the result is limited to ``n_genes``.

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
    source = open_source(adata, key)
    if source.adata is None:
        _refuse_for_file(keep_labels, on_target=on_target, gene_symbols=gene_symbols)
    names = None if columns is None else _list_columns(columns)
    request = TableRequest(order, pval_cutoff, log2fc_min, log2fc_max, top_n, on_target, gene_symbols, names)
    all_groups = source.all_groups
    source.warn_of_renamed_labels()
    chosen = all_groups if group is None else choose_names(group, all_groups, "group", source.place)
    labelled = source.adata if keep_labels else None
    group_labels = TableLabels.read(labelled, key, "groupby", chosen)
    level_labels = None
    if source.levels is not None:
        level_labels = TableLabels.read(labelled, key, "split_by", source.levels.levels)
    frames, unread_fields, shared_names, fields_of_file = [], set[str](), set[str](), dict[str, None]()

    def note(results: Iterable[RankedResult[RankedGenes]]) -> Iterator[RankedResult[RankedGenes]]:
        """Note what users should know of the results, as they are read."""
        for result in results:
            fields_of_file.update(dict.fromkeys(result.fields_of_file))
            unread_fields.update(result.unread_fields)
            shared_names.update(result.shared_names if result.fractions else ())
            shared_names.update(result.shared_names_in_var if gene_symbols is not None else ())
            yield result

    for position, (level_key, groups) in enumerate(source.groups_by_key.items()):
        present = set(groups)
        if present.isdisjoint(chosen):
            continue
        results = note(source.read(level_key, [name for name in chosen if name in present], request.fields))
        for made in request.make_columns(source.adata, source.place, results, group_labels):
            table_columns = made
            if level_labels is not None:
                codes = np.full(made["names"].codes.size, position)
                table_columns = {"split": level_labels.make_column(codes)} | made
            frames.append(make_frame(request.select(table_columns, fields_of_file), backend))
    warn_of_unread_fields(key, sorted(unread_fields))
    warn_of_shared_names(sorted(shared_names))
    return frames[0] if source.levels is None and len(frames) == 1 else concatenate_frames(frames, backend)


def _list_columns(columns: Any) -> tuple[str, ...]:
    """List the columns that were asked for, each once."""
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        msg = f"columns={columns!r} is not a list of names: pass one such as ['group', 'names', 'scores'], or None."
        raise ValueError(msg)
    names = tuple(dict.fromkeys(map(str, columns)))
    if not names:
        msg = "columns is empty: pass names such as ['group', 'names', 'scores'], or None for all."
        raise ValueError(msg)
    return names


def _refuse_for_file(keep_labels: bool, **columns: str | None) -> None:
    """Raise a ValueError for arguments that need the columns of an object, which a file does not have."""
    if keep_labels:
        msg = (
            "keep_labels=True takes labels from adata.obs, and a file has only names: pass the AnnData that was "
            "ranked, whose uns names the file."
        )
        raise ValueError(msg)
    for name, value in columns.items():
        if value is not None:
            msg = (
                f"{name}={value!r} names a column of an AnnData, and a file has none: pass the AnnData that was "
                "ranked, whose uns names the file."
            )
            raise ValueError(msg)
