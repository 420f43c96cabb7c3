"""Arguments of the public verbs, and the task that they make: comparisons, matrix, test and resources, all checked."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from anndata import AnnData

from scpdex.comparisons.make_design import make_design
from scpdex.machine.resources import Resources
from scpdex.matrix import (
    DEFAULT_LABEL,
    JOINS,
    Expression,
    JoinedObjects,
    check_rule,
    join_objects,
    read_annotations,
    select_expression,
    select_joined_expression,
)
from scpdex.plan.requirements import Requirements
from scpdex.plan.row_groups import bytes_per_row
from scpdex.results import find_storage
from scpdex.statistics.log_base import read_log_base
from scpdex.statistics.multiple_testing import bytes_of_family
from scpdex.statistics.options import TestOptions, resolve_method
from scpdex.statistics.tie_correction import EXACT_TIE_SUMS_BELOW
from scpdex.work import Work

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Iterable

    import pandas as pd
    from anndata.acc import AdRef
    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix import FilePath, Join
    from scpdex.results import ResultStorage, Storage
    from scpdex.statistics.options import Alias, Alternative, Extra, Method, Scope


# Parameters of `rank_genes_parallel` that are no part of `Arguments`: they change no plan.
RESULT_PARAMETERS = ("key_added", "copy")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What a call computes, and on what; :func:`scpdex.tl.rank_genes_parallel` describes each argument.

    No field has a default, so that mypy reports an argument that a public verb does not hand on.
    """

    groupby: str
    mask_var: NDArray[np.bool_] | pd.Series[bool] | str | AdRef[Any, Any] | None
    use_raw: bool | None
    groups: Literal["all"] | Iterable[Hashable]
    reference: Hashable | Iterable[Hashable]
    n_genes: int | None
    rankby_abs: bool
    pts: bool
    method: Method | Alias | None
    corr_method: str
    tie_correct: bool
    layer: str | None
    mean_in_log_space: bool | None
    use_continuity: bool
    exclude: Iterable[Hashable] | None
    min_cells: int | None
    split_by: str | None
    strata: str | None
    join: Join
    label: str | None
    normalize: float | Literal["log1p", "median"] | None
    alternative: Alternative
    min_pct: float | None
    min_logfc: float | None
    min_effect: float | None
    confidence: float
    corr_scope: Scope
    extras: Iterable[Extra]
    storage: Storage | FilePath
    low_memory: bool | None
    gene_chunk_size: int | None
    max_memory: str | float | None
    n_jobs: int | None
    show_progress: bool | None

    @property
    def obs_columns(self) -> list[str]:
        """Columns of ``obs`` that the call uses."""
        columns = (self.groupby, self.split_by, self.strata)
        return [column for column in columns if column is not None]

    @property
    def reads_logs(self) -> bool:
        """Whether the base of the logarithm of the stored values matters."""
        # `normalize` makes natural logs, whatever uns says of X; logistic regression has no fold changes.
        return self.normalize is None and self.method != "logreg"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A checked call: which cells are compared, in which matrix, by which test, with which resources."""

    adata: AnnData
    """The user's object, or the annotations of several objects that are ranked as one."""
    uses_raw: bool
    """Whether raw is ranked."""
    joined_names: tuple[str, ...]
    """Names of the objects that are ranked as one; empty for one object."""
    design: Design
    expression: Expression
    options: TestOptions
    resources: Resources
    storage: ResultStorage

    @classmethod
    def of(cls, data: AnnData | JoinedObjects, arguments: Arguments, storage: ResultStorage) -> Task:
        """Check everything that can be checked before the matrix is read.

        Raises
        ------
        KeyError, TypeError, ValueError
            As :func:`scpdex.tl.rank_genes_parallel` lists them.
        """
        adata = data if isinstance(data, AnnData) else data.annotations
        rule = check_rule(arguments.normalize)
        options = TestOptions(
            method=resolve_method(arguments.method),
            corr_method=arguments.corr_method,
            corr_scope=arguments.corr_scope,
            # The stratified test always corrects for ties.
            tie_correct=arguments.tie_correct or arguments.strata is not None,
            use_continuity=arguments.use_continuity,
            mean_in_log_space=True if arguments.mean_in_log_space is None else arguments.mean_in_log_space,
            log_base=read_log_base(adata.uns) if arguments.reads_logs else None,
            pts=arguments.pts,
            n_genes=arguments.n_genes,
            rankby_abs=arguments.rankby_abs,
            alternative=arguments.alternative,
            stratified=arguments.strata is not None,
            extras=arguments.extras,
            fractions_in_rows=storage.path is not None,
            min_pct=arguments.min_pct,
            min_logfc=arguments.min_logfc,
            min_effect=arguments.min_effect,
            confidence=arguments.confidence,
        )
        resources = Resources.of(
            n_jobs=arguments.n_jobs,
            max_memory=arguments.max_memory,
            gene_chunk_size=arguments.gene_chunk_size,
            low_memory=arguments.low_memory,
            show_progress=arguments.show_progress,
        )
        design = make_design(
            read_annotations(adata.obs, *arguments.obs_columns),
            arguments.groupby,
            groups=arguments.groups,
            reference=arguments.reference,
            exclude=arguments.exclude,
            min_cells=arguments.min_cells,
            split_by=arguments.split_by,
            strata=arguments.strata,
        )
        selection: dict[str, Any] = {
            "layer": arguments.layer,
            "mask_var": arguments.mask_var,
            "low_memory": resources.low_memory,
            "normalize": rule,
        }
        uses_raw = adata.raw is not None if arguments.use_raw is None else arguments.use_raw
        joined_names: tuple[str, ...] = ()
        if isinstance(data, AnnData):
            expression = select_expression(adata, use_raw=arguments.use_raw, **selection)
        else:
            expression = select_joined_expression(data, **selection)
            uses_raw, joined_names = data.use_raw, tuple(data.objects)
        return cls(
            adata=adata,
            uses_raw=uses_raw,
            joined_names=joined_names,
            design=design,
            expression=expression,
            options=options,
            resources=resources,
            storage=storage,
        )

    @property
    def has_genes_of_raw(self) -> bool:
        """Whether the genes are those of ``adata.raw``; the annotations of several objects have them in ``var``."""
        return self.uses_raw and not self.joined_names

    @property
    def n_ranks(self) -> int:
        """Genes of each group in the result."""
        n_tested = self.expression.genes.size
        return n_tested if self.options.n_genes is None else min(self.options.n_genes, n_tested)

    @property
    def holds_statistics_in_results(self) -> bool:
        """Whether the result has room for the statistics of all tested genes."""
        is_in_memory = not self.options.column_names and self.storage.path is None
        return is_in_memory and self.n_ranks == self.expression.genes.size

    @property
    def work(self) -> Work:
        """What is read and compared, for the plan and those who carry it out."""
        return Work(
            design=self.design,
            expression=self.expression,
            requirements=self.requirements,
            resources=self.resources,
            n_rows=self.adata.n_vars if self.storage.has_row_of_each_variable else None,
        )

    @property
    def requirements(self) -> Requirements:
        """What the test asks of the plan."""
        design, options, normalization = self.design, self.options, self.expression.normalization
        bytes_per_pair = sum(np.dtype(dtype).itemsize for dtype in options.columns.values())
        return Requirements(
            description=options.work_phrase,
            n_groups=design.n_groups,
            n_codes=design.sizes.size,
            most_numbers_per_gene=design.max_codes,
            ranks_all_cells_together=len(design.ranking_units) == 1,
            only_moments=options.is_t_test,
            sums_transformed=options.transform is not None,
            exact_tie_sums=bool(design.sizes.sum() < EXACT_TIE_SUMS_BELOW),
            sorts_values=options.needs_order,
            numbers_values=options.method == "anderson",
            bytes_per_pair=0 if self.holds_statistics_in_results else bytes_per_pair,
            bytes_per_pair_to_order=0 if options.column_names else bytes_per_pair,
            bytes_per_row_to_write=self._bytes_per_row_to_write,
            bytes_per_pair_to_adjust=bytes_of_family(options.corr_method) if options.corr_scope == "all" else 0,
            normalizes=normalization is not None,
            takes_median=normalization is not None and normalization.takes_median,
        )

    @property
    def _bytes_per_row_to_write(self) -> int:
        """Bytes of a row of the long table on its way to a file."""
        if self.storage.path is None:
            return 0
        return bytes_per_row(self.options.fields)


@contextmanager
def open_task(adata: Any, arguments: Arguments, storage: ResultStorage | None = None) -> Generator[Task, None, None]:
    """Check the arguments, and an AnnData or a list of files and AnnDatas; leaving the context closes the files.

    ``storage`` replaces the one that the arguments name.

    Raises
    ------
    KeyError, OSError, TypeError, ValueError
        As :func:`scpdex.tl.rank_genes_parallel` lists them.
    """
    storage = find_storage(arguments.storage) if storage is None else storage
    if isinstance(adata, AnnData):
        defaults = {"join": JOINS[0], "label": DEFAULT_LABEL}
        if given := [name for name, default in defaults.items() if getattr(arguments, name) != default]:
            value = getattr(arguments, given[0])
            msg = f"{given[0]}={value!r} is for a list of files, but adata is an AnnData: leave it out."
            raise ValueError(msg)
        yield Task.of(adata, arguments, storage)
        return
    with join_objects(
        adata,
        join=arguments.join,
        label=arguments.label,
        columns=arguments.obs_columns,
        layer=arguments.layer,
        use_raw=arguments.use_raw,
        reads_logs=arguments.reads_logs,
    ) as joined:
        yield Task.of(joined, arguments, storage)


def parameter_names() -> list[str]:
    """Name the parameters of :func:`scpdex.tl.rank_genes_parallel`."""
    return ["adata", *(field.name for field in fields(Arguments)), *RESULT_PARAMETERS]
