"""The public verb that plans a call without running it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

from scpdex.comparisons.labels import REST
from scpdex.comparisons.spelling import refuse_misspelt
from scpdex.messages.ranking_call import warn_of_ignored_arguments
from scpdex.task import RESULT_PARAMETERS, Arguments, open_task, parameter_names

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from anndata.acc import AdRef
    from numpy.typing import NDArray

    from scpdex.matrix import FilePath, Join
    from scpdex.plan.plan import Plan
    from scpdex.results import Storage
    from scpdex.statistics.options import Alias, Alternative, Extra, Method, Scope


def plan(
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
) -> Plan:
    """Plan :func:`scpdex.tl.rank_genes_parallel` without running it: strategy, gene blocks, threads, memory, scratch.

    Parameters
    ----------
    adata, groupby, mask_var, ..., show_progress
        As for the call itself. ``method="logreg"`` has no plan.
    **kwds
        ``key_added`` and ``copy``, which change no plan, so that the plan takes the arguments of the call as they are.
        All others are ignored, as the call ignores them: one message names them, and a misspelt parameter is a
        TypeError.

    Returns
    -------
    An object that prints as one line of text, with the attributes

    ``strategy``
        ``"shared buffers"`` for data in memory; ``"column blocks"``: blocks of columns are read one by one;
        ``"loaded rows"``: all rows fit the budget and are read into memory; ``"row buckets"``: rows are read once and
        their values sorted into genes; ``"row passes"``: sums of each gene and group are kept while all rows pass;
        ``"combined sums"``: sums of dask chunks are combined; ``"gene shuffle"``: dask workers split chunks by gene.
    ``blocks``, ``n_threads``
        Ranges of the tested genes that are ranked together (an estimate for loaded rows and row buckets), and
        number of threads.
    ``passes``
        Number of times that the matrix is read; ``normalize="median"`` takes one pass more, and the pass that adds up
        library sizes of CSC is not counted. t-tests by row passes take
        a third pass in the rare case that rounding moved a mean by more than the spread of its group can hide, and a
        fourth at most.
    ``max_memory``, ``peak_memory``, ``scratch``
        Bytes: the budget beyond the results, the expected peak of it, and the expected size of the scratch file in the
        temporary folder. Where only a sample of cells says how many values there are, a small margin is added; of a
        dask array, three chunks are computed for the sample, unless its file is read without dask.

    Raises
    ------
    KeyError, TypeError, ValueError
        As the call itself raises for its arguments, before it begins to work.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced()
    >>> scpdex.get.plan(adata, "bulk_labels", use_raw=False, method="wilcoxon", n_jobs=1)
    dense float32 in memory, 700 cells x 765 genes: genes ranked in 1 block of up to 765 genes on 1 thread
    """
    unknown = [name for name in kwds if name not in RESULT_PARAMETERS]
    refuse_misspelt(unknown, parameter_names(), "plan")
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
        if task.options.method == "logreg":
            msg = "there is no plan for method='logreg', since scikit-learn does all the work: pass another method."
            raise ValueError(msg)
        warn_of_ignored_arguments(unknown)
        with (
            ThreadPoolExecutor(task.resources.limits.n_threads, thread_name_prefix="scpdex") as pool,
            task.work.open(pool) as opened,
        ):
            return opened[-1]
