"""Normalize: counts as ``scanpy.pp.normalize_total`` and ``scanpy.pp.log1p`` would have left them, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from scpdex.kernels.transpose import add_columns, row_totals

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from scipy import sparse

# Dense rows are added up so many values at a time.
_VALUES_AT_A_TIME = 1 << 18


@dataclass(frozen=True)
class Normalization:
    """How counts are normalized: by library sizes over the genes of the object, whatever its parent has beside them."""

    target_sum: float
    """What each cell's counts are scaled to before ``log1p``."""
    columns: NDArray[np.int64] | None
    """Column of each gene of the object, in its order and as often as it has it; None for all columns as they are."""
    names: pd.Index[Any]
    """Name of each gene of the object."""
    where: str
    """What the user calls the matrix, for messages."""
    from_left: bool = False
    """Whether numpy adds up dense rows of the object from left to right, as in column-major arrays, or pairwise."""

    def library_columns(self, n_columns: int) -> NDArray[np.int64]:
        """Give the columns that library sizes add up, in the order of the object, for a matrix of ``n_columns``."""
        return np.arange(n_columns) if self.columns is None else self.columns

    def sorted_library_columns(self, n_columns: int) -> NDArray[np.int64]:
        """Give the :meth:`library_columns` in ascending order, each once."""
        return np.unique(self.library_columns(n_columns))

    def shift_columns(self, first_column: int) -> Normalization:
        """Give the normalization of a part that begins with ``first_column`` and has all library columns."""
        return self if self.columns is None else replace(self, columns=self.columns - first_column)

    def dense(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Normalize dense rows, of all columns of the matrix.

        Raises
        ------
        ValueError
            Genes of the object have values that cannot be counts.
        """
        totals = np.empty(rows.shape[0], dtype=normalized_dtype(rows.dtype))
        n_columns = rows.shape[1] if self.columns is None else self.columns.size
        at_a_time = max(1, _VALUES_AT_A_TIME // n_columns)
        for first in range(0, rows.shape[0], at_a_time):
            some = rows[first : first + at_a_time]
            if self.columns is not None:
                some = np.take(some, self.columns, axis=1)
            if not some.min() >= 0:
                row, column = np.argwhere(~(some >= 0))[0]
                self._refuse(some[row, column], column)
            totals[first : first + at_a_time] = self._sum_rows(some.astype(totals.dtype, copy=False))
            if not np.isfinite(totals[first : first + at_a_time]).all():
                infinite = np.argwhere(np.isinf(some))
                self._refuse(np.inf, infinite[0, 1] if infinite.size else None)
        return normalized(rows, self.scale(totals)[:, None])

    @np.errstate(over="ignore")
    def _sum_rows(self, rows: NDArray[Any]) -> NDArray[Any]:
        if self.from_left:
            return np.asarray(np.add.accumulate(rows, axis=1)[:, -1])
        # Pairwise only where the values of a row lie together.
        return np.asarray(np.ascontiguousarray(rows).sum(axis=1))

    @np.errstate(over="ignore", invalid="ignore")
    def totals(self, found: Any) -> NDArray[Any]:
        """Add up CSR rows, value by value as they lie there, or the rows of CSC, gene by gene of the object."""
        data = found.data.astype(normalized_dtype(found.dtype), copy=False)
        totals = np.zeros(found.shape[0])
        if found.format == "csr":
            row_totals(data, found.indices, found.indptr, self._times(found.shape[1]), totals)
        else:
            add_columns(data, found.indices, found.indptr, self.library_columns(found.shape[1]), totals)
        return totals.astype(data.dtype)

    def rows(self, found: sparse.csr_matrix[Any], totals: NDArray[Any]) -> sparse.csr_matrix[Any]:
        """Normalize canonical CSR rows, of which the totals are given.

        Raises
        ------
        ValueError
            Genes of the object have values that cannot be counts.
        """
        self.refuse_improper(found.data, found.indices, found.shape[1])
        self.refuse_infinite(totals)
        data = normalized(found.data, np.repeat(self.scale(totals), np.diff(found.indptr)))
        return type(found)((data, found.indices, found.indptr), shape=found.shape)

    def scale(self, totals: NDArray[Any]) -> NDArray[Any]:
        """Give what the values of each row are divided by; cells without counts keep theirs."""
        with np.errstate(over="ignore", under="ignore"):
            scale = totals / self.target_sum
        return np.asarray(scale + (scale == 0))

    def refuse_improper(self, values: NDArray[Any], columns: NDArray[Any], n_columns: int) -> None:
        """Raise a ValueError if a gene of the object has a value that cannot be a count; columns are of the values."""
        if not values.size or (values.min() >= 0 and values.max() < np.inf):
            return
        times = self._times(n_columns)
        for place in np.flatnonzero(~((values >= 0) & (values < np.inf))).tolist():
            column = int(columns[place])
            if times is None or times[column]:
                of_object = column if self.columns is None else np.flatnonzero(self.columns == column)[0]
                self._refuse(values[place], of_object)

    def refuse_infinite(self, totals: NDArray[Any]) -> None:
        """Raise a ValueError if library sizes are beyond what their dtype holds."""
        if not np.isfinite(totals).all():
            self._refuse(np.inf, None)

    def _times(self, n_columns: int) -> NDArray[np.int64] | None:
        """How often the object has each column of the matrix; None where it has each once."""
        return None if self.columns is None else np.bincount(self.columns, minlength=n_columns)

    def _refuse(self, value: Any, gene: int | None) -> NoReturn:
        """Raise a ValueError about a value that cannot be a count, by the gene's position in the object."""
        if gene is None:
            msg = f"{self.where} has cells whose counts add up to more than their dtype holds."
        else:
            kind = "negative values" if value < 0 else "NaN or infinite values"
            msg = (
                f"{self.where} holds {kind}, such as {value} in gene {str(self.names[gene])!r}, which cannot be counts."
            )
        msg += (
            f" normalize={self.target_sum} divides raw counts by library sizes: leave it out if values are transformed "
            "already, or take a view without such cells or genes."
        )
        raise ValueError(msg)


def normalized_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Dtype of normalized values: floats keep theirs, all else becomes float32, as in scanpy."""
    return dtype if dtype.kind == "f" else np.dtype(np.float32)


# Columns that the object lacks may hold anything, and are not looked at.
@np.errstate(all="ignore")
def normalized(values: NDArray[Any], scale: NDArray[Any]) -> NDArray[Any]:
    """Give ``log1p`` of values divided by the scale of their rows."""
    values = values.astype(normalized_dtype(values.dtype), copy=False) / scale
    return np.asarray(np.log1p(values, out=values))
