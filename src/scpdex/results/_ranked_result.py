"""Ranked result: the ordered genes and statistics of each group, with names, parameters and fractions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scpdex.results._fractions import Fractions


@dataclass(frozen=True)
class RankedGenes:
    """The genes of each group, from the highest score to the lowest."""

    groups: tuple[str, ...]
    order: NDArray[np.intp]
    """Position of each gene among the tested genes: groups x ranks."""
    statistics: dict[str, NDArray[Any]]
    """By scanpy's field names, ``scores`` and, where the test has them, the others: ranks x groups."""


@dataclass(frozen=True)
class RankedResult:
    """One result of a ranking, before it is stored or after it is read, in ``uns`` or ``varm``."""

    params: dict[str, Any]
    ranked: RankedGenes
    """``order`` is -1 for empty ranks, which a filter, or genes that were left out of ``adata`` later, leave."""
    gene_names: NDArray[Any]
    """Name of each gene that ``order`` refers to; of a result that was read, in the order of var, and names that var
    lacks come last."""
    var_positions: NDArray[np.intp]
    """Position of each gene in var, or raw.var; -1 for names that are absent there, or repeated."""
    uses_raw: bool
    """Whether ``var_positions`` refer to raw.var."""
    fractions: Fractions
    """Columns, and genes x columns, of ``pts`` and ``pts_rest``."""
    shared_names: tuple[str, ...] = ()
    """Names of several ranked genes each, which records cannot distinguish: their fractions are NaN."""
    shared_names_in_var: tuple[str, ...] = ()
    """``shared_names``, and ranked names that var, or raw.var, repeats."""
    unread_fields: tuple[str, ...] = ()
    """Stored fields that do not fit the groups and genes, and are left out."""
