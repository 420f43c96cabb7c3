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
    def _is_kept(self) -> NDArray[np.bool_]:
        """Whether a row's group and another one are a pair that is kept: of two scored groups, one pair of the two."""
        row = np.arange(self.scored.size)[:, None]
        return np.asarray((self.rows < 0) | (self.rows > row))

    @cached_property
    def first_rows(self) -> NDArray[np.int64]:
        """Row of the first group of each kept pair."""
        return np.nonzero(self._is_kept)[0].astype(np.int64)

    @cached_property
    def second_codes(self) -> NDArray[np.int64]:
        """Code of the second group of each kept pair."""
        return np.nonzero(self._is_kept)[1].astype(np.int64)

    @property
    def is_self(self) -> NDArray[np.bool_]:
        """Whether a scored group and any group are the same, scored groups x groups."""
        return np.asarray(self.scored[:, None] == np.arange(self.n_groups))
