"""The public verb: rank genes for characterizing groups, on all cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from scpdex.comparisons.labels import REST
from scpdex.task import Arguments, open_task
from scpdex.tl._keywords import take_keywords
from scpdex.tl._rank_and_write import check_key, rank_and_write, refuse_list_without_uns

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from anndata.acc import AdRef
    from numpy.typing import NDArray

    from scpdex.matrix import FilePath, Join
    from scpdex.results import Storage
    from scpdex.statistics.options import Alias, Alternative, Extra, Method, Scope


def rank_genes_parallel(
    adata: AnnData | Sequence[AnnData | FilePath] | Mapping[str, AnnData | FilePath],
    groupby: str,
    *,
    mask_var: NDArray[np.bool_] | pd.Series[bool] | str | AdRef[Any, Any] | None = None,
    use_raw: bool | None = None,
    groups: Literal["all"] | Iterable[Hashable] = "all",
    reference: Hashable | Iterable[Hashable] = REST,
    n_genes: int | None = None,
    rankby_abs: bool = False,
    pts: bool = False,
    key_added: str | None = None,
    copy: bool = False,
    method: Method | Alias | None = None,
    corr_method: str = "benjamini-hochberg",
    tie_correct: bool = False,
    layer: str | None = None,
    mean_in_log_space: bool | None = None,
    use_continuity: bool = False,
    exclude: Iterable[Hashable] | None = None,
    min_cells: int | None = None,
    split_by: str | None = None,
    strata: str | None = None,
    join: Join = "exact",
    label: str | None = "file",
    normalize: float | Literal["log1p", "median"] | None = None,
    alternative: Alternative = "two-sided",
    min_pct: float | None = None,
    min_logfc: float | None = None,
    min_effect: float | None = None,
    confidence: float = 0.95,
    corr_scope: Scope = "group",
    extras: Iterable[Extra] = (),
    storage: Storage | FilePath = "uns",
    low_memory: bool | None = None,
    gene_chunk_size: int | None = None,
    max_memory: str | float | None = None,
    n_jobs: int | None = None,
    show_progress: bool | None = None,
    **kwds: Any,
) -> AnnData | None:
    """Rank genes for characterizing groups, as :func:`scanpy.tl.rank_genes_groups` does, on all cores.

    The same call gives scanpy's numbers in scanpy's place, so that :func:`scanpy.get.rank_genes_groups_df`,
    :func:`scanpy.tl.filter_rank_genes_groups` and every ``scanpy.pl.rank_genes_groups*`` work on the result.
    Expects log1p-transformed data, or raw counts with ``normalize=``, in memory or on disk: a backed AnnData, or X or a
    layer that is a dataset of an h5ad file or zarr store, is read in parts, within ``max_memory``. dask arrays are
    computed chunk by chunk, by the workers of a cluster if a ``dask.distributed.Client`` is active. scanpy's presets
    and ``scanpy.settings.n_jobs`` have no effect; a message names the arguments that another preset would change.

    Arguments beyond scanpy's are off by default: ``exclude`` to ``label`` choose cells, ``normalize`` to ``corr_scope``
    the test, ``extras`` and ``storage`` the result, and ``low_memory`` to ``show_progress`` what the call may use.

    Parameters
    ----------
    adata
        :class:`anndata.AnnData`, cells x genes; or, with ``copy=True`` or a file as ``storage``, a list or dict of
        paths of h5ad files and zarr stores and of AnnDatas. The call changes nothing of an AnnData but
        ``uns[key_added]``, ``varm`` with ``storage="varm"``, and the dtype of a ``groupby`` column of strings. Cells of
        a list are ranked as if :func:`anndata.concat` had put them together, one object after the other; files are read
        where they lie, and dask arrays are refused.
    groupby
        Column of ``adata.obs`` that holds the groups' labels: categorical, strings, numbers or bools. Strings become
        categorical when the result is stored, as in scanpy, except in a lazily opened object. scanpy's plots need
        numbers and bools as strings: ``.astype("category").cat.rename_categories(str)``. Unused categories are
        ignored. Cells without a label (NaN) are part of the rest, and of no other comparison.
    mask_var
        Genes to test and to adjust over: boolean array of shape ``(n_vars,)``, boolean Series indexed by gene names in
        their order, or boolean column of ``adata.var``, its name or ``A.var["name"]`` with ``A`` of ``anndata.acc``.
    use_raw
        Rank ``adata.raw.X``. None, the default, does so if raw is present.
    groups
        Groups to test: ``"all"``, or labels, each as it is or as a string. Cells of the others stay part of the rest.
    reference
        ``"rest"`` compares each group with all other cells; a label compares each group with that one; a list of
        labels compares each other group with the cells of all these groups together, and ``params["reference"]`` joins
        their names by " + ". A group that is itself named "rest" cannot be the reference.
    n_genes
        Number of genes in the result, highest scores first (all by default). Adjusted p-values count all tested genes.
    rankby_abs
        Rank genes by the absolute value of the score. Returned scores keep their sign.
    pts
        Also compute the fraction of cells with a value other than 0.
    key_added
        Key of ``adata.uns`` for the result; ``"rank_genes_groups"`` by default.
    copy
        Return a copy of ``adata`` with the result instead of storing it in ``adata``. For data on disk the copy has
        obs, var and uns only. A list, and a view of data on disk, cannot hold a result: both need ``copy=True`` or a
        file as ``storage``.
    method
        ``"t-test"`` (the default, Welch's), ``"t-test_overestim_var"`` (the same with the variance of the other cells
        taken as if there were only as many as the group has), ``"wilcoxon"`` (rank sum, normal approximation, see
        :func:`scipy.stats.mannwhitneyu`; ``"wilcoxon_illico"`` is scanpy 1.13's name of the same),
        ``"brunner-munzel"`` (tests AUC = 1/2 without equal variances, from some 20 cells a side on, see
        :func:`scipy.stats.brunnermunzel`), ``"anderson"`` (two-sample Anderson-Darling for tied values, sensitive to
        spread and shape too, see :func:`scipy.stats.anderson_ksamp`; p lies between 0.001 and 0.25, the ends of the
        published table) or ``"logreg"`` (:class:`sklearn.linear_model.LogisticRegression` on the selected groups; no
        p-values or fold changes, and one row for two groups, as in scanpy).
    corr_method
        ``"benjamini-hochberg"``, ``"bonferroni"``, or another method of
        :func:`statsmodels.stats.multitest.multipletests` by its name there (``"holm"``, ``"fdr_by"``, ...).
    tie_correct
        Wilcoxon: correct the variance of the rank sum for ties, as scipy, Seurat and presto do. scanpy's default of
        False gives smaller scores on sparse genes.
    layer
        Rank ``adata.layers[layer]``. On an object with raw this needs ``use_raw=False``, as in scanpy.
    mean_in_log_space
        True takes the mean of the log values and then ``expm1``, as scanpy 1.x does; False takes ``expm1`` of each
        value and then the mean, as Seurat does. None, the default, is True. Only log fold changes depend on it.
    use_continuity
        Wilcoxon: lower ``|U - n1 n2 / 2|`` by 1/2, as scipy and Seurat do by default. Scores include it.
    exclude
        Labels whose cells take no part, neither as groups nor in the rest: as if they had been removed from ``adata``.
        ``np.nan`` or None in the list stands for cells without a label.
    min_cells
        Groups of fewer cells are not tested; a message and ``params["skipped"]`` name them. Against the rest, their
        cells are still part of it. None, the default, refuses groups of one cell, as scanpy does; 2 leaves them out,
        and 1 tests them: with a score of 0 and p 1 where the test needs a variance.
    split_by
        Column of ``adata.obs``: make the same comparison within the cells of each level of the column, as on
        ``adata[adata.obs[split_by] == level]``, in one pass over the data. Each level has a result of its own, under
        the key ``f"{key_added}_{level}"``, and ``adata.uns[key_added]`` lists them; :func:`scpdex.get.rank_genes_df`
        gives all in one table. A level is left out if one of its groups has one cell, or if nothing is left to compare;
        a message and ``params["skipped_splits"]`` name it. ``min_cells`` leaves out such groups instead, or tests them.
        The result of a level lacks groups that have no cell there. Cells without a level take no part.
    strata
        Wilcoxon: column of ``adata.obs``, such as a donor or batch, within whose values cells are ranked. Van
        Elteren's stratified test combines the ranks to one score, see Notes. Cells without a value take no part.
        Means, log fold changes and ``pts`` are those of all strata together.
    join
        For several objects: genes are matched by name, in the order of the first object. ``"exact"`` refuses objects
        with other genes than the first, ``"inner"`` takes the genes that all have; a name that an object has twice is
        refused. The copy has the columns of ``obs`` that all have, with the categories of all, and the columns of
        ``var`` that are the same in all; these may be ``mask_var``. Where raw is ranked, it has the genes of raw.
    label
        For several objects: column of ``obs`` that is added, with the name of each cell's object; it may be ``strata``,
        ``split_by`` or ``groupby``. Names are the keys of the dict; the names of files without folder and ending, or
        with as many folders as tell them apart; and positions for AnnDatas. None adds no column.
    normalize
        Rank counts as :func:`scanpy.pp.normalize_total` and :func:`scanpy.pp.log1p` would leave them, bit for bit and
        on the fly. A number is the ``target_sum`` that each cell's counts are scaled to, over all genes of the object;
        ``"median"`` is the median over all cells of the object, compared or not, as scanpy takes it by default (the
        matrix is read once more); ``"log1p"`` takes logs only. A view of genes is normalized over its genes;
        ``mask_var`` normalizes over all genes and tests some. None ranks the matrix as it is.
    alternative
        All but Anderson-Darling: ``"two-sided"``, or that values of the group are ``"greater"`` or ``"less"``, as in
        :func:`scipy.stats.mannwhitneyu` and :func:`scipy.stats.ttest_ind`. Scores do not depend on it, except for the
        direction in which ``use_continuity`` moves them.
    min_pct, min_logfc
        Test only genes that at least this fraction of the cells expresses, in the group or in what it is compared with,
        and whose log2 fold change, up or down, is at least this large, as Seurat's ``FindMarkers`` does. (Genes that
        one side does not express have a huge fold change: use both.) The other genes do not count in adjusted p-values.
        They follow the tested genes in var order, with NaN for all numbers, and tables of
        :func:`scpdex.get.rank_genes_df` leave them out. See Notes.
    min_effect
        Test whether the effect exceeds this size, see Notes: a difference of means of the ranked values, such as logs,
        for ``"t-test"``, the distance of the AUC from 1/2 for ``"brunner-munzel"``; not for other methods.
    confidence
        Nominal coverage of the interval from ``"auc_low"`` to ``"auc_high"``.
    corr_scope
        ``"group"`` adjusts p-values over the tested genes of each group; ``"all"`` over all groups and levels together.
    extras
        Further record arrays, see Returns: any of ``"auc"``, ``"u"`` (not for t-tests), ``"auc_se"``, ``"auc_low"``,
        ``"auc_high"`` (Wilcoxon without ``strata``, Brunner-Munzel), ``"log10_pvals"``, ``"means"``, ``"count_means"``.
    low_memory
        True reads data in memory in parts as well; False refuses data that are not in memory.
    gene_chunk_size
        Number of genes that are ranked together; by default as many as fit ``max_memory``.
    max_memory
        Memory that the call may hold beyond its results, and beyond a matrix in memory: bytes, or a size such as
        ``"2GB"`` or ``"500MiB"``. The default is half of what is available to this process; control groups (containers,
        batch jobs) and limits of the process (``ulimit -v``) count. Data beyond it go to one file in the temporary
        folder (``TMPDIR``). On a dask cluster it bounds the client, and each worker has its own limit.
        :func:`scpdex.get.plan` estimates the memory and the file.
    n_jobs
        Number of threads. None and -1 are all cores that this process may use (affinity and cgroup limits count). Small
        matrices take fewer, ``"logreg"`` leaves threads to scikit-learn, and dask has its own.
    show_progress
        True and False force a progress bar or none; None shows one for long work in a terminal or notebook. It counts
        cells while rows are read in parts, and genes while they are ranked.
    storage
        ``"uns"`` is scanpy's layout. ``"varm"`` stores genes x groups matrices instead, which files hold for any number
        and any names of groups; :func:`scpdex.tl.rank_genes_to_uns` makes scanpy's layout from them, and
        :func:`scpdex.get.rank_genes_df` reads both. Raw data with other genes than ``adata.var`` do not fit in varm,
        and the call replaces only matrices of the result under the same key. A path that ends in ``".parquet"`` writes
        the long table to that file, which needs ``scpdex[parquet]``: the call then keeps to ``max_memory`` for any
        number of groups. The file is written whole or not at all, and replaces only an earlier result of scpdex.
    **kwds
        Arguments of :class:`sklearn.linear_model.LogisticRegression`, for ``method="logreg"``. Other methods ignore
        them, as scanpy does, and one message names them; a misspelt parameter is a TypeError.

    Returns
    -------
    None, or the copy if ``copy=True``. ``adata.uns[key_added]`` is a dict with

    ``"names"``
        Record array (object, plain strings), one field per group and one row per rank, from the highest score down;
        genes of equal score are in var order.
    ``"scores"``
        Record array (float32) in the same order: z of the rank-sum test, t of t-tests and Brunner-Munzel's, A squared
        of Anderson-Darling's (not normalised) times the sign of the rank-sum test's z (1 where z is 0), or the
        coefficient.
    ``"logfoldchanges"``
        Record array (float32): ``log2((expm1(m1) + 1e-9) / (expm1(m2) + 1e-9))`` of the means of log values m1 and m2
        (base ``adata.uns["log1p"]["base"]``, or else natural); with ``mean_in_log_space=False``, of the means of
        ``expm1``. NaN where undefined, as for negative means.
    ``"pvals"``, ``"pvals_adj"``
        Record arrays (float64): p-values, and adjusted p-values.
    ``"u"``, ``"auc"``, ``"auc_se"``, ``"auc_low"``, ``"auc_high"``, ``"log10_pvals"``, ``"means"``,
    ``"means_reference"``, ``"count_means"``, ``"count_means_reference"``
        Record arrays (float64) in the order of the names, if ``extras`` asks for them: U of the group, with ``strata``
        of pairs within these; U divided by its largest value, which is the probability that a value of the group is
        above one of the others, ties counting half; its standard error and confidence interval; log10 of the p-value,
        accurate even where p underflows to 0 in float64; mean values (in log space, if the data are) and mean counts
        (of ``expm1`` of the values) of the group and of what it is compared with.
    ``"pts"``, ``"pts_rest"``
        With ``pts=True``: data frames, genes x groups, of the fraction of cells with a value other than 0 in the
        group, and (against the rest) in all other cells.
    ``"params"``
        Dict of the arguments: scanpy's keys, ``tie_correct``, ``use_continuity``, ``mean_in_log_space``, ``version``,
        and the other arguments that are given; ``references`` are the groups of a reference of several, and ``files``
        the names of several objects.

    With ``storage="varm"`` these fields are matrices in ``adata.varm``, genes of ``adata.var`` x groups, named by the
    key and the field (``"rank_genes_groups_scores"``), NaN for genes that were not tested or are not among the
    ``n_genes``. ``"..._ranks"`` (int32) holds each gene's place from the highest score down, 0 for the first and -1 for
    none; ``adata.uns[key_added]`` holds ``"params"``, ``"groups"`` (the columns) and ``"fields"``.

    A file has the rows and columns of :func:`scpdex.get.rank_genes_df`, ``split`` and ``group`` as dictionary-encoded
    strings. ``adata.uns[key_added]`` holds ``"params"``, the absolute ``"path"`` and ``"groups"``.

    Raises
    ------
    ImportError
        ``storage`` is a file, and pyarrow is not installed.
    KeyError
        ``groupby``, ``split_by``, ``strata``, ``layer`` or the column ``mask_var`` does not exist, or not in all of
        several objects.
    TypeError
        The matrix cannot be ranked (complex numbers, not in memory with ``method="logreg"``, chunks other than numpy
        arrays and scipy CSR and CSC matrices, ...), or an argument is a misspelt parameter.
    ValueError
        An argument has an invalid value, or one that contradicts another (``strata`` with a t-test, for example);
        ``max_memory`` is too small; a group has a single cell, or nothing is left to compare; the compared cells and
        tested genes hold NaN or infinite values; ``storage="varm"`` does not fit raw, or would replace matrices that
        are not its own; the file to be written exists and is not a result of scpdex; ``adata`` is a view of data on
        disk and ``copy`` is False; or a file changed while it was read.
    RuntimeError
        A chunk of a dask array cannot be computed, or workers died over it more often than dask allows.
    OSError
        A file cannot be read, is neither an h5ad file nor a zarr store, or does not exist; the temporary folder cannot
        hold the data beyond ``max_memory``; or the file of the result cannot be written, or its folder does not exist.
    MemoryError
        A limit of the process (``ulimit -v`` or ``-d``) leaves no room for one thread.

    Notes
    -----
    Results are bit-identical for every storage, number of threads, ``max_memory`` and ``gene_chunk_size``, except those
    of ``"logreg"``, which scikit-learn computes, and of t-tests on dask arrays, whose means and variances agree to
    1e-12. scanpy's order of equal scores is arbitrary.

    The stratified test (van Elteren 1960; Lehmann 1975, "Nonparametrics", section 3.3) takes U and its mean and
    tie-corrected variance in each stratum h of N_h cells. Its score is
    ``sum((U_h - mu_h) / (N_h + 1)) / sqrt(sum(sigma_h**2 / (N_h + 1)**2))``. A stratum that lacks either side adds
    nothing; one stratum gives the Wilcoxon test with ``tie_correct=True``.

    A filter by fold change chooses genes by the difference that is then tested: their adjusted p-values understate the
    share of false discoveries. ``min_effect=e`` tests for an effect d beyond e (TREAT, McCarthy and Smyth 2009): with
    its standard error se and T of Student's t, scores are ``sign(d) max(|d| - e, 0) / se``, and p, if two-sided, is
    ``P(T >= (|d| - e) / se) + P(T >= (|d| + e) / se)``.

    Where one side lies above the other, Brunner and Munzel's variance (2000) is 0, and scipy's score infinite. Here it
    is the smallest positive one of n1 and n2 cells, ``1 / (2 n1**2 n2**2)``.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced()
    >>> scpdex.tl.rank_genes_parallel(adata, "bulk_labels", method="wilcoxon")
    >>> sc.get.rank_genes_groups_df(adata, "Dendritic")["names"].head(3).tolist()
    ['LYZ', 'CST3', 'HLA-DRA']
    """
    key = check_key(key_added)
    refuse_list_without_uns(adata, storage, copy=copy)
    classifier = take_keywords(kwds, method)
    arguments = Arguments(
        groupby=groupby,
        mask_var=mask_var,
        use_raw=use_raw,
        groups=groups,
        reference=reference,
        n_genes=n_genes,
        rankby_abs=rankby_abs,
        pts=pts,
        method=method,
        corr_method=corr_method,
        tie_correct=tie_correct,
        layer=layer,
        mean_in_log_space=mean_in_log_space,
        use_continuity=use_continuity,
        exclude=exclude,
        min_cells=min_cells,
        split_by=split_by,
        strata=strata,
        join=join,
        label=label,
        normalize=normalize,
        alternative=alternative,
        min_pct=min_pct,
        min_logfc=min_logfc,
        min_effect=min_effect,
        confidence=confidence,
        corr_scope=corr_scope,
        extras=extras,
        storage=storage,
        low_memory=low_memory,
        gene_chunk_size=gene_chunk_size,
        max_memory=max_memory,
        n_jobs=n_jobs,
        show_progress=show_progress,
    )
    with open_task(adata, arguments) as task:
        return rank_and_write(task, classifier, arguments, key, copy=copy)
