"""Uns storage: results in scanpy's layout, record arrays in ``uns``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from scpdex.results._ranked_result import NamedGenes
from scpdex.results._result_storage import ResultStorage
from scpdex.results._scanpy_records import make_records

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results._ranked_result import RankedResult
    from scpdex.results._result_storage import ResultShape


class UnsStorage(ResultStorage):
    """scanpy's layout."""

    has_record_arrays = True

    @property
    def place(self) -> str:
        """Where an AnnData has the entries of a result."""
        return "uns"

    def refuse_misfit(self, adata: AnnData, *, use_raw: bool) -> None:
        """Accept every object."""

    def open(self, shape: ResultShape) -> AbstractContextManager[list[NamedGenes]]:
        """Allocate the records."""
        return nullcontext(
            [NamedGenes.empty(groups, shape.n_ranks, shape.fields, shape.gene_names) for groups in shape.groups]
        )

    def make_entry(
        self,
        result: RankedResult[NamedGenes],
        key: str,  # noqa: ARG002
        var_names: pd.Index[Any],
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Make the entry of ``uns``, which holds the numbers."""
        return make_records(result, var_names), {}
