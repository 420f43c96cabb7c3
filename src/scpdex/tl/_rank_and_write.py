"""Rank and write: from a checked task to results in an object, with what the user is told on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanpy import logging as logg

from scpdex.execute import execute
from scpdex.machine.threads import anndata_lock
from scpdex.matrix import are_several
from scpdex.messages.ranking_call import describe_call, describe_raw, log_results, warn_of_numbers, warn_of_preset
from scpdex.messages.unwritable_results import warn_of_unwritable_results
from scpdex.results import find_storage, refuse_to_replace, refuse_view_of_disk, write_results
from scpdex.run import TestMeasure, fitted_groups, order_table, refuse_for_logistic_regression, run_logistic_regression
from scpdex.tl._result_entries import collect_fractions, describe_shape, list_level_fields, make_results

if TYPE_CHECKING:
    from anndata import AnnData

    from scpdex.results import Fractions
    from scpdex.task import Arguments, Task


def rank_and_write(task: Task, classifier: Any, arguments: Arguments, key: str, *, copy: bool) -> AnnData | None:
    """Rank the genes of a task, write the results under a key, and give the copy if there is one.

    ``classifier`` is that of logistic regression; None for all other tests.
    """
    adata, design, expression, options = task.adata, task.design, task.expression, task.options
    storage = task.storage
    if classifier is not None:
        refuse_for_logistic_regression(design, expression, options)
    with anndata_lock:
        storage.refuse_misfit(adata, use_raw=task.has_genes_of_raw)
        on_disk = expression.on_disk or adata.isbacked
        # Neither a view of data on disk nor a list can hold a result.
        has_uns = not task.joined_names and not (on_disk and adata.is_view)
        only_to_file = storage.path is not None and not copy and not has_uns
        if not only_to_file:
            refuse_view_of_disk(adata, on_disk=on_disk, copy=copy)
            refuse_to_replace(adata, key, list_level_fields(task), storage)
    warn_of_preset(arguments.method, arguments.mean_in_log_space)
    raw = describe_raw(adata) if task.has_genes_of_raw else f"; the matrix is {expression.matrix_name}"
    start = logg.info(describe_call(design, options, raw if task.uses_raw else ""))
    shape = describe_shape(task, fitted_groups(design) if classifier is not None else None, layer=arguments.layer)
    with storage.open(shape) as ranked:
        if classifier is not None:
            run_logistic_regression(classifier, expression, design, options, ranked[0])
            fractions: list[Fractions] = [{}]
        else:
            measure = TestMeasure(options, ranked if task.holds_statistics_in_results else ())
            with execute(task.work, measure) as executed:
                table, plan = executed.table, executed.plan
                order_table(table, ranked, options, executed.pool, plan.groups_per_slice, plan.n_threads)
                fractions = collect_fractions(table, design)
            warn_of_numbers(table, ranked, design, options, expression)
    results, level_lists = make_results(task, shape, ranked, fractions, key)
    if only_to_file:
        log_results(results, storage, start, is_split=False, without_x=False)
        return None
    names = expression.var_names
    warn_of_unwritable_results(results, key, storage, names.name)
    # The annotations of several objects are a copy already.
    is_joined = bool(task.joined_names)
    stored = write_results(
        adata,
        results,
        level_lists,
        storage,
        names,
        groupby=arguments.groupby,
        copy=copy and not is_joined,
        on_disk=on_disk,
    )
    log_results(results, storage, start, is_split=design.split_by is not None, without_x=copy and on_disk)
    return adata if is_joined else stored


def check_key(key_added: object) -> str:
    """Give the key of the result in ``uns``: the argument, or scanpy's default.

    Raises
    ------
    TypeError
        It is not a string.
    """
    if key_added is not None and not isinstance(key_added, str):
        msg = f"key_added={key_added!r} is not a string: pass a name such as 'rank_genes_groups', or None."
        raise TypeError(msg)
    return "rank_genes_groups" if key_added is None else key_added


def refuse_list_without_uns(adata: object, storage: object, *, copy: bool) -> None:
    """Raise a ValueError for a list whose result would have no place: neither a copy nor a file."""
    if are_several(adata) and not copy and find_storage(storage).path is None:
        msg = (
            f"adata is a {type(adata).__name__}, which has no uns for the result. Pass copy=True for an AnnData with "
            "obs, var, uns and the result, without X, or the path of a file as storage."
        )
        raise ValueError(msg)
