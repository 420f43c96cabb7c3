"""Varm storage: results as genes x groups matrices in ``varm``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from scpdex.results._ranked_result import GeneMatrices
from scpdex.results._result_storage import ResultStorage
from scpdex.results._varm_matrices import make_matrices, make_matrix_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results._ranked_result import RankedResult
    from scpdex.results._result_storage import ResultShape


class VarmStorage(ResultStorage):
    """Matrices, one for each field."""

    has_row_of_each_variable = True

    @property
    def place(self) -> str:
        """Where an AnnData has the entries of a result."""
        return "varm"

    def refuse_misfit(self, adata: AnnData, *, use_raw: bool) -> None:
        """Raise a ValueError if the genes are not those of var."""
        if use_raw and not adata.raw.var_names.equals(adata.var_names):
            msg = (
                "storage='varm' has a row for each gene of adata.var, but adata.raw has other genes, or another order: "
                "pass use_raw=False to rank X, or storage='uns'."
            )
            raise ValueError(msg)

    def name_matrices(self, key: str, fields: Iterable[str]) -> list[str]:
        """Name the matrices of a result."""
        return [make_matrix_name(key, field) for field in fields]

    def open(self, shape: ResultShape) -> AbstractContextManager[list[GeneMatrices]]:
        """Allocate the matrices."""
        size = (shape.n_ranks, shape.fields, shape.var_positions, shape.n_vars)
        return nullcontext([GeneMatrices.empty(groups, *size) for groups in shape.groups])

    def make_entry(
        self,
        result: RankedResult[GeneMatrices],
        key: str,
        var_names: pd.Index[Any],  # noqa: ARG002
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Make the entry of ``uns``, and the matrices by their names in ``varm``."""
        return make_matrices(result, key)
