"""Arguments of pdex 0.3's function: the values that are valid, and those that each mode takes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, get_args

import joblib
import numpy as np

from scpdex.comparisons.spelling import suggest_name
from scpdex.compat._drop_in_task import refuse_invalid_is_log1p

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

Mode = Literal["ref", "all", "on_target"]

_DEFAULT_REFERENCE = "non-targeting"
# What each mode takes beyond the named arguments, and the defaults.
_MODE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "ref": {"reference": _DEFAULT_REFERENCE},
    "all": {},
    "on_target": {"reference": _DEFAULT_REFERENCE, "gene_col": None},
}


@dataclass(frozen=True)
class ModeArguments:
    """Arguments that only some modes have."""

    reference: Hashable | None
    """Label of the reference; None compares each group with the rest."""
    gene_col: str | None
    """Column of obs with the gene that each group targets; None tests all genes."""

    @classmethod
    def of(cls, mode: str, obs: pd.DataFrame, groupby: str, keywords: dict[str, Any]) -> ModeArguments:
        """Check the mode and what it takes; the others of the ``keywords`` are ignored with one warning.

        Raises
        ------
        ValueError
            The mode is unknown, a column is missing from ``obs`` or is there twice, or the mode needs a column or a
            reference that is not given.
        """
        if mode not in get_args(Mode):
            msg = f"mode={mode!r} is not known. Valid: {', '.join(map(repr, get_args(Mode)))}."
            raise ValueError(msg)
        _refuse_missing_column("groupby", groupby, obs)
        defaults = _MODE_ARGUMENTS[mode]
        ignored = [name for name in keywords if name not in defaults]
        if ignored:
            valid = ", ".join(map(repr, defaults)) or "none"
            warnings.warn(
                f"{', '.join(map(repr, ignored))} {'has' if len(ignored) == 1 else 'have'} no effect: mode={mode!r} "
                f"takes no such argument. Further arguments of this mode: {valid}.",
                UserWarning,
                stacklevel=3,
            )
        arguments = cls(**{"reference": None, "gene_col": None, **defaults, **_select(keywords, defaults)})
        if "reference" in defaults and arguments.reference is None:
            msg = (
                f"reference=None is not valid with mode={mode!r}: pass a label, or mode='all' to compare with the rest."
            )
            raise ValueError(msg)
        if "gene_col" in defaults:
            if arguments.gene_col is None:
                columns = suggest_name("gene", list(map(str, obs.columns)))
                msg = f"mode='on_target' needs gene_col, the column of adata.obs with each group's gene.{columns}"
                raise ValueError(msg)
            _refuse_missing_column("gene_col", arguments.gene_col, obs)
        return arguments


def refuse_invalid_values(is_log1p: object, epsilon: Any, cpm_filter: Any) -> None:
    """Raise a ValueError for arguments that do not say how means are taken, compared and filtered."""
    refuse_invalid_is_log1p(is_log1p)
    if not (_is_real(epsilon) and 0 <= epsilon < np.inf):
        msg = f"epsilon={epsilon!r} is not valid: pass a number from 0 up, which is added to means."
        raise ValueError(msg)
    if cpm_filter is not None and not (_is_real(cpm_filter) and cpm_filter == cpm_filter):
        msg = f"cpm_filter={cpm_filter!r} is not valid: pass counts per million, such as 5, or None to keep all rows."
        raise ValueError(msg)


def limit_threads(threads: object) -> int | None:
    """Give the number of threads, the cores of this process at most; None is all of them.

    Raises
    ------
    ValueError
        It is no whole number from 0 up.
    """
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 0:
        msg = f"threads={threads!r} is not valid: pass a number of threads from 1 up, or 0 for all cores."
        raise ValueError(msg)
    return min(int(threads), joblib.cpu_count()) or None


def _select(keywords: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in keywords.items() if name in names}


def _refuse_missing_column(argument: str, column: object, obs: pd.DataFrame) -> None:
    n_columns = list(obs.columns).count(column) if isinstance(column, str) else 0
    if n_columns != 1:
        what = f"names {n_columns} columns" if n_columns else "is not a column"
        hint = " Rename one of them." if n_columns else suggest_name(str(column), list(map(str, obs.columns)))
        msg = f"{argument}={column!r} {what} of adata.obs.{hint}"
        raise ValueError(msg)


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)
