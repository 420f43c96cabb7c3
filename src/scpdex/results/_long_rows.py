"""Long rows: a result as rows of the long table, one for each group and gene, which go to a file group by group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import numpy as np

from scpdex.plan.row_groups import bytes_per_row, rows_per_row_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from scpdex.results._result_storage import ResultShape

_CODE_TYPE = np.int32
# Rows of whole levels that are written together, at least.
_LEAST_ROWS_OF_LEVEL = 1 << 15


class RowWriter(ABC):
    """A file of rows. The rows of many groups are written together, and those of a large group in parts.

    Rows are arrays of one length by the names of their columns. ``group``, ``names`` and, with levels, ``split`` are
    positions in lists of names.
    """

    def __init__(self, shape: ResultShape) -> None:
        """Begin without rows."""
        self.result_id = uuid4().hex
        """Tells a file from a later one of the same name."""
        self.fields = dict(shape.fields)
        levels = list_levels(shape)
        self.names = {} if levels is None else {"split": np.array(levels, dtype=object)}
        """By the column that holds their positions, lists of names."""
        self.names |= {"group": np.array(shape.all_groups, dtype=object), "names": shape.gene_names}
        self._most_rows = rows_per_row_group(bytes_per_row(shape.fields), shape.max_bytes)
        self._waiting: list[dict[str, NDArray[Any]]] = []
        self._n_waiting = 0

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, *exception: object) -> None:
        """Close the file."""

    def append(self, rows: dict[str, NDArray[Any]]) -> None:
        """Append rows, which may wait for further ones."""
        n_rows = rows["group"].size
        if self._n_waiting + n_rows > self._most_rows or self._ends_level(rows):
            self.flush()
        if n_rows:
            self._waiting.append(rows)
            self._n_waiting += n_rows

    def _ends_level(self, rows: dict[str, NDArray[Any]]) -> bool:
        """Tell whether enough rows wait to be written alone, and these rows are of another level.

        Each level is read apart.
        """
        if self._n_waiting < _LEAST_ROWS_OF_LEVEL or "split" not in rows or not rows["split"].size:
            return False
        return bool(self._waiting[0]["split"][0] != rows["split"][0])

    def flush(self) -> None:
        """Write the rows that wait."""
        if not self._n_waiting:
            return
        rows = self._waiting[0]
        if len(self._waiting) > 1:
            rows = {name: np.concatenate([part[name] for part in self._waiting]) for name in rows}
        self._waiting.clear()
        for first in range(0, self._n_waiting, self._most_rows):
            self._write({name: column[first : first + self._most_rows] for name, column in rows.items()})
        self._n_waiting = 0

    @abstractmethod
    def _write(self, rows: dict[str, NDArray[Any]]) -> None:
        """Write rows to the file."""


@dataclass(frozen=True)
class LongRows:
    """The rows of one result: by group, and each group's from the highest score down.

    Genes that ``min_pct`` and ``min_logfc`` left untested have no row.
    """

    groups: tuple[str, ...]
    codes: NDArray[np.integer[Any]]
    """Position of each group among those of all results."""
    level: int | None
    """Position of the level; None for all cells."""
    n_ranks: int
    leaves_out_untested: bool
    writer: RowWriter
    rows_of_groups: list[int] = field(default_factory=list)
    """Number of rows of each group."""

    @property
    def statistics(self) -> dict[str, NDArray[Any]]:
        """Give nothing: the numbers are not in memory."""
        return {}

    def unwritten_fields(self, _: Mapping[str, NDArray[Any]]) -> list[str]:
        """List the fields that :meth:`write_groups` has to write: all."""
        return list(self.writer.fields)

    def write_groups(
        self, first: int, order: NDArray[Any], values: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, NDArray[Any]], list[int]]:
        """Prepare the rows of neighbouring groups from position ``first`` on, and count those of each group.

        ``order`` are genes by rank, and ``values`` by field those of all genes: groups x genes.
        """
        n_groups = order.shape[0]
        order = order[:, : self.n_ranks]
        has_row = np.ones(order.shape, dtype=np.bool_)
        if self.leaves_out_untested:
            has_row = ~np.isnan(np.take_along_axis(values["pvals"], order, axis=1))
        chosen: Any = slice(None) if has_row.all() else np.flatnonzero(has_row)
        codes = np.repeat(self.codes[first : first + n_groups].astype(_CODE_TYPE), order.shape[1])
        rows = {} if self.level is None else {"split": np.full(codes.size, self.level, dtype=_CODE_TYPE)[chosen]}
        rows |= {"group": codes[chosen], "names": order.ravel()[chosen].astype(_CODE_TYPE, copy=False)}
        for name, dtype in self.writer.fields.items():
            # What float32 cannot hold is infinite, as in scanpy.
            with np.errstate(over="ignore"):
                column = np.take_along_axis(values[name], order, axis=1).astype(dtype, copy=False)
            rows[name] = column.ravel()[chosen]
        return rows, np.count_nonzero(has_row, axis=1).tolist()

    def append_groups(self, prepared: tuple[dict[str, NDArray[Any]], list[int]]) -> None:
        """Append the rows that :meth:`write_groups` prepared."""
        rows, n_rows = prepared
        self.writer.append(rows)
        self.rows_of_groups.extend(n_rows)

    def groups_without_numbers(self) -> list[str]:
        """List the groups without a single row."""
        return [group for group, n_rows in zip(self.groups, self.rows_of_groups, strict=True) if not n_rows]


def make_long_rows(shape: ResultShape, writer: RowWriter) -> list[LongRows]:
    """Make the rows of each result, which a writer takes one after the other."""
    position_of = {name: i for i, name in enumerate(shape.all_groups)}
    has_levels = "split_by" in shape.params
    leaves_out = any(name in shape.params for name in ("min_pct", "min_logfc"))
    return [
        LongRows(
            tuple(groups),
            np.array([position_of[name] for name in groups], dtype=np.intp),
            level if has_levels else None,
            shape.n_ranks,
            leaves_out,
            writer,
        )
        for level, groups in enumerate(shape.groups)
    ]


def list_levels(shape: ResultShape) -> Sequence[str] | None:
    """List the levels of the results; None if the results are of all cells."""
    if "split_by" not in shape.params:
        return None
    return [str(params["split"]) for params in shape.level_params]
