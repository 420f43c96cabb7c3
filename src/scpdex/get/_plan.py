"""The public verb that says how a call would go about its work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from scpdex.comparisons.names import find_misspelt
from scpdex.task import RESULT_PARAMETERS, Task, parameter_names, tell_of_ignored

if TYPE_CHECKING:
    from anndata import AnnData

    from scpdex.plan.plan import Plan


def plan(adata: AnnData, groupby: str, **arguments: Any) -> Plan:
    """Say how :func:`scpdex.tl.rank_genes_parallel` would go about its work, without doing it.

    Parameters
    ----------
    adata, groupby
        As for the call itself.
    **arguments
        Further ones of :func:`scpdex.tl.rank_genes_parallel`. ``method="logreg"`` has no plan.

    Returns
    -------
    An object that reads as a line of text, with

    ``strategy``
        ``"shared buffers"`` for data in memory; ``"column blocks"``: blocks of columns are read one by one;
        ``"loaded rows"``: all rows fit the budget and are read into memory; ``"row buckets"``: rows are read once and
        their values sorted into genes; ``"row passes"``: sums of each gene and group are kept while all rows pass;
        ``"combined sums"``: sums of dask chunks are combined; ``"gene shuffle"``: dask workers split chunks by gene.
    ``blocks``, ``n_threads``
        Ranges of the tested genes that are worked on together (a guess for loaded rows, row buckets and the gene
        shuffle), and threads.
    ``passes``
        How often the matrix is read. t-tests by row passes take a third pass in the rare case that a mean was rounded
        by more than the spread of its group can hide, and a fourth at most.
    ``max_memory``, ``peak_memory``, ``scratch``
        Bytes: what may be held beyond the results, what is expected to be, and what is expected to be written to the
        temporary folder, a little more than some cells here and there let expect. Of a dask array, three chunks are
        computed for that.

    Raises
    ------
    KeyError, TypeError, ValueError
        As the call itself would of its arguments, before it begins to work.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scpdex
    >>> adata = sc.datasets.pbmc68k_reduced()
    >>> scpdex.get.plan(adata, "bulk_labels", method="wilcoxon", n_jobs=1)
    CSR float32 in memory, 700 cells x 765 genes: genes ranked in 1 block of up to 765 genes on 1 thread
    """
    parameters = parameter_names()
    unknown = [name for name in arguments if name not in parameters]
    for wrong, right in find_misspelt(unknown, parameters).items():
        msg = f"plan() got an unexpected keyword argument {wrong!r}. Did you mean {right!r}?"
        raise TypeError(msg)
    without_part = {*unknown, *RESULT_PARAMETERS}
    task = Task.of(adata, groupby, **{name: value for name, value in arguments.items() if name not in without_part})
    if task.options.method == "logreg":
        msg = "method='logreg' is handed to scikit-learn whole: there is no plan for it."
        raise ValueError(msg)
    tell_of_ignored(unknown)
    with (
        ThreadPoolExecutor(task.resources.limits.n_threads, thread_name_prefix="scpdex") as pool,
        task.open(pool) as opened,
    ):
        return opened[-1]
