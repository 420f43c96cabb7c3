"""Result storage: the interface of the places that results can be stored in, one file for each place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results._ranked_result import RankedResult


class ResultLayout(Protocol):
    """The numbers of one result, which threads write a slice of groups at a time."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups."""
        ...

    @property
    def statistics(self) -> dict[str, NDArray[Any]]:
        """By field, matrices with a column for each group; empty where the numbers are not in memory."""
        ...

    def unwritten_fields(self, written: Mapping[str, NDArray[Any]]) -> list[str]:
        """List the fields that :meth:`write_groups` has to write, given the arrays that are ``written`` already."""
        ...

    def write_groups(self, first: int, order: NDArray[Any], values: Mapping[str, NDArray[Any]]) -> Any:
        """Write neighbouring groups from position ``first`` on, or prepare what :meth:`append_groups` writes.

        ``order`` are genes by rank, and ``values`` by field those of all genes: groups x genes. Threads call this.
        """
        ...

    def append_groups(self, prepared: Any) -> None:
        """Write what :meth:`write_groups` prepared: one slice of groups after the other, in their order."""
        ...

    def groups_without_numbers(self) -> list[str]:
        """List the groups without a single tested gene, once all groups are written."""
        ...


@dataclass(frozen=True, kw_only=True)
class ResultShape:
    """What the results of a call consist of, before their numbers are known."""

    params: dict[str, Any]
    """Parameters that all results share."""
    level_params: Sequence[dict[str, Any]]
    """Further parameters of each result: one, or one for each level."""
    groups: Sequence[Sequence[str]]
    """Groups of each result."""
    all_groups: Sequence[str]
    """Groups of all results."""
    fields: Mapping[str, Any]
    """Dtype of each field."""
    n_ranks: int
    """Genes of each group in the result."""
    gene_names: NDArray[Any]
    """Name of each tested gene."""
    var_positions: NDArray[Any]
    """Position of each tested gene in var."""
    n_vars: int
    """Number of genes in var."""
    max_bytes: int
    """Bytes that numbers may take which are on their way to a file."""


class ResultStorage(ABC):
    """A place that results are stored in, and their layout there."""

    path: Path | None = None
    """The file that the numbers are written to; None if an AnnData holds them."""
    has_record_arrays = False
    """Whether the numbers are record arrays, with a field for each group."""
    has_row_of_each_variable = False
    """Whether the numbers have a row for each variable, tested or not."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where an AnnData has the entries of a result: ``uns`` or ``varm``."""

    @abstractmethod
    def refuse_misfit(self, adata: AnnData, *, use_raw: bool) -> None:
        """Raise an error, before work begins, if results of this object cannot be stored there."""

    def name_matrices(self, key: str, fields: Iterable[str]) -> list[str]:  # noqa: ARG002
        """Name the matrices in ``varm`` of a result with some fields; none elsewhere."""
        return []

    @abstractmethod
    def open(self, shape: ResultShape) -> AbstractContextManager[Sequence[ResultLayout]]:
        """Open a layout for each result; leaving the context without an error completes a file, if there is one."""

    @abstractmethod
    def make_entry(
        self, result: RankedResult[Any], key: str, var_names: pd.Index[Any]
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Make the entry of ``uns``, and the matrices by their names in ``varm``."""
