"""Marker task: a checked call of ``score_markers``: groups, their pairs, matrix and resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.comparisons.cluster_pairs import ClusterPairs
from scpdex.comparisons.labels import Labels
from scpdex.comparisons.make_design import make_design
from scpdex.comparisons.requested_groups import RequestedGroups
from scpdex.comparisons.spelling import quote_names
from scpdex.machine.byte_sizes import format_bytes
from scpdex.plan.requirements import Requirements
from scpdex.statistics.tie_correction import EXACT_TIE_SUMS_BELOW
from scpdex.work import Work

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    import pandas as pd
    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.machine.resources import Resources
    from scpdex.matrix import Expression
    from scpdex.statistics.marker_options import MarkerOptions

_BYTES_PER_NUMBER = np.dtype(np.float64).itemsize


@dataclass(frozen=True, kw_only=True)
class MarkerTask:
    """Which groups are scored against which, in which matrix, with which resources."""

    design: Design
    """All groups that are compared, each tested against the rest: only their cells and codes matter here."""
    pairs: ClusterPairs
    expression: Expression
    options: MarkerOptions
    resources: Resources
    n_vars: int

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the scored groups."""
        return tuple(self.others[code] for code in self.pairs.scored.tolist())

    @property
    def others(self) -> tuple[str, ...]:
        """Names of all groups, each of which the scored ones are compared with."""
        return self.design.comparisons[0].groups

    @property
    def work(self) -> Work:
        """What is read and compared, for the plan and those who carry it out."""
        return Work(
            design=self.design,
            expression=self.expression,
            requirements=self.requirements,
            resources=self.resources,
            n_rows=self.n_vars,
        )

    @property
    def requirements(self) -> Requirements:
        """What the effects ask of the plan."""
        design, normalization, n_scored = self.design, self.expression.normalization, self.pairs.scored.size
        n_kept = len(self.options.kept_columns) * self.pairs.kept.size
        n_kept += len(self.options.moment_columns) * design.sizes.size
        return Requirements(
            description="pairs of groups compared",
            n_groups=n_scored,
            n_codes=design.sizes.size,
            most_numbers_per_gene=self.pairs.first.size,
            ranks_all_cells_together=len(design.ranking_units) == 1,
            only_moments=False,
            sums_transformed=False,
            exact_tie_sums=bool(design.sizes.sum() < EXACT_TIE_SUMS_BELOW),
            sorts_values=True,
            bytes_per_pair=-(-_BYTES_PER_NUMBER * n_kept // n_scored),
            bytes_per_pair_to_order=0,
            bytes_per_pair_to_adjust=0,
            normalizes=normalization is not None,
            takes_median=normalization is not None and normalization.takes_median,
        )

    def refuse_large_arrays(self) -> None:
        """Raise a ValueError if the arrays of all pairs would take more memory than is allowed."""
        n_arrays, n_scored = len(self.options.pairwise_columns), self.pairs.scored.size
        n_bytes = _BYTES_PER_NUMBER * n_arrays * n_scored * self.pairs.n_groups * self.n_vars
        max_memory = self.resources.limits.max_memory
        if n_bytes > max_memory:
            msg = (
                f"pairwise=True would take {format_bytes(n_bytes)} for {n_arrays} arrays of {n_scored:,} x "
                f"{self.pairs.n_groups:,} groups x {self.n_vars:,} genes, more than max_memory="
                f"{format_bytes(max_memory)}: name fewer groups or effects, or leave pairwise out."
            )
            raise ValueError(msg)


def compare_clusters(
    obs: pd.DataFrame,
    groupby: str,
    groups: str | Iterable[Hashable],
    min_cells: int | None,
    strata: str | None,
) -> tuple[Design, ClusterPairs]:
    """Make the design of all groups with at least ``min_cells``, and the pairs of those that are named.

    Cells without a label, and those of smaller groups, take no part.

    Raises
    ------
    KeyError, TypeError, ValueError
        As :func:`scpdex.comparisons.make_design.make_design`; or there are fewer than two groups.
    """
    labels = Labels.read(obs, groupby)
    named = RequestedGroups.of(labels, groups, "rest", None).tested_positions
    sizes = np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.labels))
    # The design refuses what is no number of cells.
    least = min_cells if isinstance(min_cells, int | np.integer) else 0
    left_out: list[Any] = [labels.labels[i] for i in np.flatnonzero(sizes < least).tolist()]
    names_left_out = {str(label) for label in left_out}
    n_left = len(labels.labels) - len(left_out)
    if n_left < 2:
        few = f"min_cells={min_cells} leaves {n_left}" if left_out else f"it has {len(labels.labels)}"
        msg = (
            f"groupby={groupby!r}: two or more groups are needed to compare each with each other one, and {few} "
            f"({quote_names(labels.names)})."
        )
        raise ValueError(msg)
    small = [labels.names[i] for i in named or [] if labels.names[i] in names_left_out]
    if small:
        msg = f"groups names {quote_names(small)}, which min_cells={min_cells} leaves out: lower it, or name others."
        raise ValueError(msg)
    if (labels.codes < 0).any():
        left_out.append(np.nan)
    design = make_design(obs, groupby, exclude=left_out, min_cells=1 if min_cells is None else min_cells, strata=strata)
    (comparison,) = design.comparisons
    code_of = {name: code for code, name in enumerate(comparison.groups)}
    names = comparison.groups if named is None else [labels.names[i] for i in named]
    if len(code_of) < 2 or any(name not in code_of for name in names):
        missing = [name for name in names if name not in code_of]
        msg = f"groups {quote_names(missing)} of {groupby!r} have no cell with a stratum: leave out strata."
        raise ValueError(msg)
    scored: NDArray[np.int64] = np.array([code_of[name] for name in names], dtype=np.int64)
    return design, ClusterPairs(len(comparison.groups), scored)
