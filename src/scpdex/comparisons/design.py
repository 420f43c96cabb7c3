"""Comparisons: groups, the cells that each is compared with, and how many there are of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Sides:
    """Numbers of cells that are compared with one another.

    The tested groups have the codes ``0 ... n_groups - 1``. Code ``n_groups``, where there is one, is the reference
    or, against the rest, the cells that are only ever part of the rest.
    """

    sizes: NDArray[np.int64]
    """Number of cells of each code."""
    n_groups: int
    """Number of tested groups."""
    against_rest: bool
    """Whether each group is compared with all other cells."""

    @property
    def reference_code(self) -> int:
        """Code of the reference; -1 for the rest."""
        return -1 if self.against_rest else self.n_groups

    @property
    def group_sizes(self) -> NDArray[np.int64]:
        """Number of cells of each tested group."""
        return self.sizes[: self.n_groups]

    @property
    def other_sizes(self) -> NDArray[np.int64]:
        """Number of cells that each tested group is compared with."""
        if self.against_rest:
            return np.asarray(self.sizes.sum() - self.group_sizes)
        return np.full(self.n_groups, self.sizes[self.n_groups])


@dataclass(frozen=True)
class Comparison(Sides):
    """Which groups are compared with which cells: all cells, or those of one level of ``split_by``."""

    groups: tuple[str, ...]
    """Names of the tested groups, in the order of the results."""
    reference: str
    """``"rest"`` or the name of the reference; of several groups that are one, their names joined by " + "."""
    selected: tuple[int, ...]
    """Codes in scanpy's order of the selected groups, in which the reference has its own place."""
    label_positions: NDArray[np.intp]
    """Position of each code's label in the order of the labels; of a reference of several, that of the first."""
    strata: tuple[Sides, ...] = ()
    """The cells of each stratum, within which ranks are taken; none if there are no strata."""
    skipped: tuple[str, ...] = ()
    """Groups that were left out since they have fewer than ``min_cells``."""
    level: str | None = None
    """Level of ``split_by`` whose cells these are."""

    @property
    def ranked(self) -> tuple[Sides, ...]:
        """The cells that are ranked together: of each stratum, or else all."""
        return self.strata or (self,)

    @property
    def pairs(self) -> NDArray[np.int64]:
        """Pairs of a cell of each tested group and one that it is compared with, within strata."""
        return np.asarray(np.sum([sides.group_sizes * sides.other_sizes for sides in self.ranked], axis=0))

    @property
    def apart(self) -> tuple[str, ...]:
        """Groups that share no stratum with what they are compared with."""
        return tuple(self.groups[g] for g in np.flatnonzero(self.pairs == 0).tolist()) if self.strata else ()

    def name_of(self, code: int) -> str:
        """Name of the group that has ``code``."""
        return self.groups[code] if code < self.n_groups else self.reference


@dataclass(frozen=True)
class Design:
    """All comparisons of a call, and a code for each cell that tells its part in them.

    Each of the comparisons has codes of its own, one after the other, and each of its strata again.
    """

    groupby: str
    """Column of obs that holds the labels."""
    comparisons: tuple[Comparison, ...]
    """One, or one for each level of ``split_by``."""
    groups: tuple[str, ...]
    """Names of the groups that any of them tests, in the order of the results."""
    codes: NDArray[np.int32]
    """Code of each cell; -1 where the cell takes no part."""
    references: tuple[str, ...] = ()
    """Groups that together are the reference."""
    excluded: tuple[str, ...] = ()
    """Labels of which the cells take no part."""
    min_cells: int | None = None
    split_by: str | None = None
    strata: str | None = None
    gone: tuple[str, ...] = ()
    """Groups that were asked for, with all others, and have no cell in a stratum."""
    n_without: int = 0
    """Cells that have no level, or no stratum."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Levels of ``split_by`` that were left out, each with the reason."""

    @property
    def ranked(self) -> list[Sides]:
        """The cells that are ranked together, in the order of their codes."""
        return [sides for comparison in self.comparisons for sides in comparison.ranked]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of cells of each code."""
        return np.concatenate([sides.sizes for sides in self.ranked])

    @property
    def most_codes(self) -> int:
        """Codes of those cells, ranked together, that have most."""
        return max(sides.sizes.size for sides in self.ranked)

    def places(self) -> Iterator[tuple[Comparison, slice, slice]]:
        """Give each comparison, and where in tables of all of them its groups and its codes are."""
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
