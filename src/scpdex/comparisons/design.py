"""Design: the comparisons of a call (each group with a reference or with the rest), and the code of each cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True)
class GroupSizes:
    """Number of cells of each group, among cells that are ranked together.

    The tested groups have the codes ``0 ... n_groups - 1``. Code ``n_groups``, if there is one, is the reference or,
    against the rest, the cells that belong to no tested group and are part of every rest.
    """

    sizes: NDArray[np.int64]
    """Number of cells of each code."""
    n_groups: int
    """Number of tested groups."""
    against_rest: bool
    """Whether each group is compared with all other cells."""

    @property
    def reference_code(self) -> int | None:
        """Code of the reference; None for the rest."""
        return None if self.against_rest else self.n_groups

    @property
    def group_sizes(self) -> NDArray[np.int64]:
        """Number of cells of each tested group."""
        return self.sizes[: self.n_groups]

    @cached_property
    def size_classes(self) -> NDArray[np.int64]:
        """Position of each tested group's size among the distinct sizes."""
        return np.unique(self.group_sizes, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def other_sizes(self) -> NDArray[np.int64]:
        """Number of cells that each tested group is compared with."""
        if self.against_rest:
            return np.asarray(self.sizes.sum() - self.group_sizes)
        return np.full(self.n_groups, self.sizes[self.n_groups])


@dataclass(frozen=True)
class Comparison(GroupSizes):
    """Tested groups and their reference, among all cells or those of one level of ``split_by``."""

    groups: tuple[str, ...]
    """Names of the tested groups, in the order of the results."""
    reference: str
    """``"rest"`` or the name of the reference; of a reference of several groups, their names joined by " + "."""
    selected_codes: tuple[int, ...]
    """Codes of the tested groups and the reference in scanpy's order, in which the reference has its own place."""
    label_positions: NDArray[np.intp]
    """Position of each code's label in the order of the labels; for a reference of several groups, of the first."""
    stratum_sizes: tuple[GroupSizes, ...] = ()
    """Group sizes of each stratum, within which cells are ranked; empty without strata."""
    skipped_groups: tuple[str, ...] = ()
    """Names of the groups that are not tested because they have fewer than ``min_cells``."""
    level: str | None = None
    """Level of ``split_by``; None if the comparison is among all cells."""

    @property
    def ranking_units(self) -> tuple[GroupSizes, ...]:
        """Group sizes of each set of cells that is ranked together: each stratum, or all cells of the comparison."""
        return self.stratum_sizes or (self,)

    @property
    def n_pairs(self) -> NDArray[np.int64]:
        """Number of pairs of a cell of each tested group and a cell that it is compared with, within strata."""
        return np.asarray(np.sum([unit.group_sizes * unit.other_sizes for unit in self.ranking_units], axis=0))

    @property
    def unpaired_groups(self) -> tuple[str, ...]:
        """Names of the groups that share no stratum with the cells that they are compared with."""
        if not self.stratum_sizes:
            return ()
        return tuple(self.groups[g] for g in np.flatnonzero(self.n_pairs == 0).tolist())

    def group_name(self, code: int) -> str:
        """Name of the tested group, or of the reference, that has ``code``."""
        return self.groups[code] if code < self.n_groups else self.reference


@dataclass(frozen=True)
class Design:
    """All comparisons of a call, and the code of each cell.

    The codes of a cell number the groups of all ranking units: the first comparison's, stratum by stratum, then the
    next comparison's.
    """

    groupby: str
    """Column of obs that holds the labels."""
    comparisons: tuple[Comparison, ...]
    """One, or one for each level of ``split_by``."""
    groups: tuple[str, ...]
    """Names of the groups that at least one comparison tests, in the order of the results."""
    codes: NDArray[np.int32]
    """Code of each cell; -1 for cells that take no part."""
    references: tuple[str, ...] = ()
    """Names of the groups that together are the reference; empty for the rest."""
    excluded_labels: tuple[str, ...] = ()
    """Labels whose cells take no part."""
    min_cells: int | None = None
    split_by: str | None = None
    strata: str | None = None
    groups_outside_strata: tuple[str, ...] = ()
    """Names of the groups that are not tested, under ``groups="all"``, because no cell of theirs has a stratum."""
    n_unassigned_cells: int = 0
    """Number of cells that have no level, or no stratum."""
    skipped_levels: tuple[tuple[str, str], ...] = ()
    """Levels of ``split_by`` that cannot be compared, each with the reason."""

    @property
    def ranking_units(self) -> list[GroupSizes]:
        """Group sizes of each set of cells that is ranked together, in the order of their codes."""
        return [unit for comparison in self.comparisons for unit in comparison.ranking_units]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of cells of each code."""
        return np.concatenate([unit.sizes for unit in self.ranking_units])

    @property
    def max_codes(self) -> int:
        """Largest number of codes of a ranking unit."""
        return max(unit.sizes.size for unit in self.ranking_units)

    def comparison_slices(self) -> Iterator[tuple[Comparison, slice, slice]]:
        """Give each comparison with the slices of its groups, and of its codes, in tables of all comparisons."""
        first_group = first_code = 0
        for comparison in self.comparisons:
            groups = slice(first_group, first_group + comparison.n_groups)
            codes = slice(first_code, first_code + comparison.sizes.size)
            yield comparison, groups, codes
            first_group, first_code = groups.stop, codes.stop

    @property
    def n_groups(self) -> int:
        """Number of tested groups of all comparisons."""
        return sum(comparison.n_groups for comparison in self.comparisons)
