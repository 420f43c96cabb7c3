"""Task: the arguments of the public verbs, checked, as what is compared, how it is tested and what may be used."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from anndata import AnnData
from scanpy import logging as logg

from scpdex.comparisons.labels import REST
from scpdex.comparisons.levels_and_strata import design_comparisons
from scpdex.comparisons.names import listed
from scpdex.machine.resources import Resources
from scpdex.machine.tracebacks import release_locals
from scpdex.matrix import Expression, in_memory, open_source, select_expression
from scpdex.plan.make_plan import make_plan
from scpdex.plan.requirements import Requirements
from scpdex.statistics.log_base import read_log_base
from scpdex.statistics.multiple_testing import bytes_of_family
from scpdex.statistics.options import TestOptions, resolve_method
from scpdex.statistics.rank_sum import EXACT_TIE_SUMS_BELOW

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Iterable
    from concurrent.futures import Executor

    import pandas as pd
    from anndata.acc import AdRef
    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix import Source
    from scpdex.plan.plan import Plan
    from scpdex.statistics.options import Alias, Alternative, Extra, Method, Scope


# Parameters of the public verb that say what becomes of a result.
RESULT_PARAMETERS = ("key_added", "copy", "storage")


@dataclass(frozen=True)
class Task:
    """What is to be done."""

    design: Design
    expression: Expression
    options: TestOptions
    resources: Resources

    @classmethod
    def of(
        cls,
        adata: AnnData,
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
        alternative: Alternative = "two-sided",
        min_pct: float | None = None,
        min_logfc: float | None = None,
        corr_scope: Scope = "group",
        extras: Iterable[Extra] = (),
        normalize: float | None = None,
        low_memory: bool | None = None,
        gene_chunk_size: int | None = None,
        max_memory: str | float | None = None,
        n_jobs: int | None = None,
        show_progress: bool | None = None,
    ) -> Task:
        """Check everything that can be checked before the matrix is read.

        The arguments are those of :func:`scpdex.tl.rank_genes_parallel`.
        """
        if not isinstance(adata, AnnData):
            msg = f"adata is a {type(adata).__name__}; pass an AnnData."
            raise TypeError(msg)
        _refuse_target_sum(normalize)
        options = TestOptions(
            method=resolve_method(method),
            corr_method=corr_method,
            corr_scope=corr_scope,
            # The stratified test always corrects for ties.
            tie_correct=tie_correct or strata is not None,
            use_continuity=use_continuity,
            mean_in_log_space=True if mean_in_log_space is None else mean_in_log_space,
            # Normalized values are natural logs, whatever became of X.
            log_base=read_log_base(adata.uns) if normalize is None and method != "logreg" else None,
            pts=pts,
            n_genes=n_genes,
            rankby_abs=rankby_abs,
            alternative=alternative,
            stratified=strata is not None,
            extras=extras,
            min_pct=min_pct,
            min_logfc=min_logfc,
        )
        resources = Resources.of(
            n_jobs=n_jobs,
            max_memory=max_memory,
            gene_chunk_size=gene_chunk_size,
            low_memory=low_memory,
            show_progress=show_progress,
        )
        columns = [column for column in (groupby, split_by, strata) if column is not None]
        design = design_comparisons(
            in_memory(adata.obs, *columns),
            groupby,
            groups=groups,
            reference=reference,
            exclude=exclude,
            min_cells=min_cells,
            split_by=split_by,
            strata=strata,
        )
        expression = select_expression(
            adata,
            use_raw=use_raw,
            layer=layer,
            mask_var=mask_var,
            low_memory=resources.low_memory,
            normalize=None if normalize is None else float(normalize),
        )
        return cls(design, expression, options, resources)

    @property
    def requirements(self) -> Requirements:
        """What the test asks of the plan."""
        design, options = self.design, self.options
        return Requirements(
            description=options.work,
            n_groups=design.n_groups,
            n_codes=design.sizes.size,
            most_codes_ranked_together=design.most_codes,
            ranks_all_cells_together=len(design.ranked) == 1,
            only_moments=options.is_t_test,
            sums_expm1=not options.mean_in_log_space,
            exact_tie_sums=bool(design.sizes.sum() < EXACT_TIE_SUMS_BELOW),
            sorts_values=options.needs_order,
            bytes_per_pair=sum(np.dtype(dtype).itemsize for dtype in options.columns.values()),
            bytes_per_pair_to_adjust=bytes_of_family(options.corr_method) if options.corr_scope == "all" else 0,
            normalizes=self.expression.target_sum is not None,
        )

    @contextmanager
    def open(self, pool: Executor) -> Generator[tuple[Source, NDArray[np.int64] | None, Plan], None, None]:
        """Look at the matrix and make a plan; the array is :func:`scpdex.matrix.open_source`'s."""
        try:
            source, position = open_source(self.expression, self.design, pool, self.resources.limits.n_threads)
            with closing(source):
                plan = make_plan(source.info, self.requirements, self.resources.limits)
                source.prepare(plan)
                yield source, position, plan
        except BaseException as error:
            release_locals(error)
            raise


def parameter_names() -> list[str]:
    """Name the parameters of the public verb."""
    return [*signature(Task.of).parameters, *RESULT_PARAMETERS]


def _refuse_target_sum(normalize: Any) -> None:
    if normalize is None:
        return
    is_number = isinstance(normalize, int | float | np.number) and not isinstance(normalize, bool)
    if not is_number or not 0 < normalize < float("inf"):
        msg = f"normalize={normalize!r} is not valid: pass the sum that each cell's counts are scaled to, such as 1e4."
        raise ValueError(msg)


def tell_of_ignored(names: Iterable[str], hint: str = "") -> None:
    """Name arguments that have no meaning here, in one warning."""
    if names := list(names):
        ignored = f"argument {names[0]!r} is" if len(names) == 1 else f"arguments {listed(names)} are"
        logg.warning(f"{ignored} ignored, as in scanpy: no parameter has such a name.{hint}")
