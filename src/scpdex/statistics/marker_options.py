"""Marker options: which effects of one group over another are measured, and how they are summarized over the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from scpdex.comparisons.spelling import suggest_name
from scpdex.statistics.multiple_testing import refuse_correction

Effect = Literal["auc", "cohens_d", "delta_mean", "delta_detected"]
Summary = Literal["min", "mean", "median", "max", "min_rank"]

EFFECTS: tuple[Effect, ...] = get_args(Effect)
SUMMARIES: tuple[Summary, ...] = get_args(Summary)
# How p-values of all pairs of a group are combined, and what each answers.
COMBINATIONS = ("any", "all")


@dataclass(frozen=True, kw_only=True)
class MarkerOptions:
    """What is reported of each pair of groups; the public verb documents the arguments of the same names."""

    effects: Iterable[Effect] = EFFECTS
    """A tuple without repetitions, in the order of ``EFFECTS``, whatever the argument was; ``summaries`` too."""
    summaries: Iterable[Summary] = SUMMARIES
    min_rank_limit: int = 500
    pvals: bool = False
    corr_method: str = "benjamini-hochberg"
    pairwise: bool = False

    def __post_init__(self) -> None:
        """Raise a ValueError for unknown names and impossible numbers."""
        object.__setattr__(self, "effects", _check_names("effects", self.effects, EFFECTS))
        object.__setattr__(self, "summaries", _check_names("summaries", self.summaries, SUMMARIES))
        limit = self.min_rank_limit
        if not isinstance(limit, int | np.integer) or isinstance(limit, bool) or limit < 1:
            msg = f"min_rank_limit={limit!r} is not valid: pass a number of ranks from 1 up, such as 500."
            raise ValueError(msg)
        refuse_correction(self.corr_method)

    @property
    def summary_columns(self) -> dict[str, tuple[Effect, Summary]]:
        """Names of the columns that are computed gene by gene, with their effect and summary."""
        return {
            make_column_name(effect, summary): (effect, summary)
            for effect in self.effects
            for summary in self.summaries
            if summary != "min_rank"
        }

    @property
    def pairwise_columns(self) -> list[str]:
        """Numbers of each pair that are reported."""
        return [*self.effects, *(["pvals"] if self.pvals else [])] if self.pairwise else []

    @property
    def ranks_genes(self) -> bool:
        """Whether genes are ranked in each pair."""
        return "min_rank" in self.summaries

    @property
    def kept_columns(self) -> list[str]:
        """Effects of each pair that are kept until genes are ranked, since they follow from no moments."""
        return ["auc"] if self.ranks_genes and "auc" in self.effects else []

    @property
    def moment_columns(self) -> list[str]:
        """Moments of each group that are kept until genes are ranked, for the other effects."""
        return ["means", "variances", "fractions"] if self.ranks_genes and set(self.effects) - {"auc"} else []

    @property
    def fields(self) -> dict[str, type[np.float64 | np.int32]]:
        """Fields of the stored result, with their dtypes."""
        fields: dict[str, type[np.float64 | np.int32]] = {}
        for effect in self.effects:
            for summary in self.summaries:
                dtype = np.int32 if summary == "min_rank" else np.float64
                fields[make_column_name(effect, summary)] = dtype
        if self.pvals:
            for combination in COMBINATIONS:
                fields |= {f"pvals_{combination}": np.float64, f"pvals_{combination}_adj": np.float64}
        return fields


def make_column_name(effect: str, summary: str) -> str:
    """Name the column of a summary of an effect."""
    return f"{effect}_{summary}"


def _check_names(argument: str, names: Any, valid: tuple[str, ...]) -> tuple[str, ...]:
    """Give the names in the order of the valid ones, each once."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        msg = f"{argument}={names!r} is not a sequence of names: pass a tuple such as ({valid[0]!r},)."
        raise ValueError(msg)
    given = list(names)
    for name in given:
        if name not in valid:
            msg = f"{argument}={name!r} is not known.{suggest_name(str(name), valid)}"
            raise ValueError(msg)
    if not given:
        msg = f"{argument} is empty: pass some of {', '.join(map(repr, valid))}."
        raise ValueError(msg)
    return tuple(name for name in valid if name in given)
