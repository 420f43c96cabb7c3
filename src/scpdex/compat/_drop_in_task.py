"""Task of a drop-in: X of an AnnData, compared as a design says, by the test of the options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from scpdex.matrix import select_expression
from scpdex.results import UnsStorage
from scpdex.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scpdex.comparisons.target_design import TargetDesign
    from scpdex.machine.resources import Resources
    from scpdex.matrix import Expression
    from scpdex.statistics.options import TestOptions


def refuse_other_objects(adata: Any) -> None:
    """Raise a TypeError for what is not an AnnData."""
    if not isinstance(adata, AnnData):
        msg = f"adata is a {type(adata).__name__}; pass an AnnData."
        raise TypeError(msg)


def refuse_invalid_is_log1p(is_log1p: object) -> None:
    """Raise a ValueError unless the argument is True, False or None."""
    if is_log1p is not None and not isinstance(is_log1p, bool | np.bool_):
        msg = f"is_log1p={is_log1p!r} is not valid: pass True, False, or None to look at the values."
        raise ValueError(msg)


def select_x(adata: AnnData, *, genes: NDArray[np.bool_] | None = None, low_memory: bool | None = None) -> Expression:
    """Select X of some genes; None stands for all."""
    return select_expression(adata, use_raw=False, layer=None, mask_var=genes, low_memory=low_memory, normalize=None)


def make_task(
    adata: AnnData, design: TargetDesign, expression: Expression, options: TestOptions, resources: Resources
) -> Task:
    """Make the task, whose statistics are read before genes are ordered: nothing is stored."""
    return Task(
        adata=adata,
        uses_raw=False,
        joined_names=(),
        design=design.design,
        expression=expression,
        options=options,
        resources=resources,
        storage=UnsStorage(),
    )
