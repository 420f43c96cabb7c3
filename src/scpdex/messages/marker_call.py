"""Messages of ``score_markers``: what is compared, and which groups and pairs of groups are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scanpy import logging as logg

from scpdex.comparisons.requested_groups import MISSING
from scpdex.comparisons.spelling import quote_names

if TYPE_CHECKING:
    from scpdex.comparisons.cluster_pairs import ClusterPairs
    from scpdex.comparisons.design import Design


def describe_marker_call(design: Design, pairs: ClusterPairs, raw: str) -> str:
    """Describe what the call is going to do; ``raw`` describes raw where that is read."""
    n_scored = pairs.scored.size
    groups = f"{n_scored:,} groups" if n_scored > 1 else f"group {design.groups[pairs.scored[0]]!r}"
    text = f"scoring markers of {groups} of {design.groupby!r}, against each of the {pairs.n_groups - 1:,} others"
    if design.strata is not None:
        text += f" within {design.strata!r}"
    text += raw
    if design.n_unassigned_cells:
        text += f"; {design.n_unassigned_cells:,} cells have no value of {design.strata!r} and take no part"
    return text


def warn_of_pairs_left_out(design: Design, pairs: ClusterPairs) -> None:
    """Warn of groups that take no part, and of pairs of groups that share no stratum."""
    if small := [name for name in design.excluded_labels if name != MISSING]:
        logg.warning(
            f"groups {quote_names(small)} have fewer than min_cells={design.min_cells} cells, and are neither scored "
            "nor compared with."
        )
    if outside := design.groups_outside_strata:
        logg.warning(
            f"groups {quote_names(outside)} have no cell with a value of {design.strata!r}, and are neither scored nor "
            "compared with."
        )
    sizes = np.stack([unit.sizes for unit in design.ranking_units])
    shared = (sizes > 0).T.astype(np.int64) @ (sizes > 0).astype(np.int64)
    apart = [(i, j) for i, j in np.argwhere(shared == 0).tolist() if i < j and (pairs.rows[[i, j]] >= 0).any()]
    if apart:
        first = " and ".join(repr(design.groups[code]) for code in apart[0])
        which = f"groups {first}" if len(apart) == 1 else f"{len(apart):,} pairs of groups, such as {first},"
        logg.warning(
            f"{which} share no value of {design.strata!r}: they have no effect, and summaries leave such pairs out."
        )
