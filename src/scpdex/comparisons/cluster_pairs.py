"""Cluster pairs: which groups are scored, and the pairs that they make with every other group."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ClusterPairs:
    """The scored groups among all groups, which have the codes ``0 ... n_groups - 1`` in each ranking unit."""

    n_groups: int
    scored: NDArray[np.int64]
    """Code of each scored group, in the order of the results."""

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Row of each group among the scored ones; -1 for those that are only compared with."""
        rows = np.full(self.n_groups, -1, dtype=np.int64)
        rows[self.scored] = np.arange(self.scored.size)
        return rows

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """Code of the first group of each pair: each scored group with every group in turn, itself included."""
        return np.repeat(self.scored, self.n_groups)

    @cached_property
    def second(self) -> NDArray[np.int64]:
        """Code of the second group of each pair."""
        return np.tile(np.arange(self.n_groups), self.scored.size)

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """Positions of pairs from which the others follow: of two scored groups, one of their two pairs."""
        other = self.rows[self.second]
        return np.flatnonzero((other < 0) | (other > self.rows[self.first]))
