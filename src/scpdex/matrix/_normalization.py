"""Normalization: counts as ``scanpy.pp.normalize_total`` and ``scanpy.pp.log1p`` would have left them, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from scpdex.kernels.transpose import add_columns, row_totals

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from scipy import sparse

# Dense rows are added up so many values at a time, to spare memory.
_VALUES_AT_A_TIME = 1 << 18


@dataclass(frozen=True)
class Normalization:
    """How counts are normalized: by library sizes over the genes of the object, whatever else its parent has."""

    target_sum: float
    """What each cell's counts are scaled to before ``log1p``."""
    columns: NDArray[np.int64] | None
    """Column of each gene of the object, in its order and as often as it has it; None for all columns as they are."""
    gene_names: pd.Index[Any]
    """Name of each gene of the object."""
    matrix_name: str
    """What the user calls the matrix, for messages."""
    adds_left_to_right: bool = False
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

    def normalize_dense(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Normalize dense rows, of all columns of the matrix.

        Raises
        ------
        ValueError
            Genes of the object have values that cannot be counts.
        """
        library_sizes = np.empty(rows.shape[0], dtype=normalized_dtype(rows.dtype))
        n_columns = rows.shape[1] if self.columns is None else self.columns.size
        rows_at_a_time = max(1, _VALUES_AT_A_TIME // n_columns)
        for first in range(0, rows.shape[0], rows_at_a_time):
            counts = rows[first : first + rows_at_a_time]
            if self.columns is not None:
                counts = np.take(counts, self.columns, axis=1)
            if not counts.min() >= 0:
                row, gene = np.argwhere(~(counts >= 0))[0]
                self._refuse(counts[row, gene], gene)
            sizes = self._sum_dense_rows(counts.astype(library_sizes.dtype, copy=False))
            if not np.isfinite(sizes).all():
                infinite = np.argwhere(np.isinf(counts))
                self._refuse(np.inf, infinite[0, 1] if infinite.size else None)
            library_sizes[first : first + rows_at_a_time] = sizes
        return divide_and_log(rows, self.divisors(library_sizes)[:, None])

    @np.errstate(over="ignore")
    def _sum_dense_rows(self, rows: NDArray[Any]) -> NDArray[Any]:
        if self.adds_left_to_right:
            return np.asarray(np.add.accumulate(rows, axis=1)[:, -1])
        # numpy adds pairwise only if the values of a row are side by side.
        return np.asarray(np.ascontiguousarray(rows).sum(axis=1))

    @np.errstate(over="ignore", invalid="ignore")
    def sum_rows(self, matrix: Any) -> NDArray[Any]:
        """Add up rows as scanpy does: CSR value by value as they are stored, CSC gene by gene of the object."""
        values = matrix.data.astype(normalized_dtype(matrix.dtype), copy=False)
        library_sizes = np.zeros(matrix.shape[0])
        n_columns = matrix.shape[1]
        if matrix.format == "csr":
            row_totals(values, matrix.indices, matrix.indptr, self._column_repeats(n_columns), library_sizes)
        else:
            add_columns(values, matrix.indices, matrix.indptr, self.library_columns(n_columns), library_sizes)
        return library_sizes.astype(values.dtype)

    def normalize_csr(self, rows: sparse.csr_matrix[Any], library_sizes: NDArray[Any]) -> sparse.csr_matrix[Any]:
        """Normalize canonical CSR rows.

        Raises
        ------
        ValueError
            Genes of the object have values that cannot be counts.
        """
        self.refuse_improper(rows.data, rows.indices, rows.shape[1])
        self.refuse_infinite(library_sizes)
        values = divide_and_log(rows.data, np.repeat(self.divisors(library_sizes), np.diff(rows.indptr)))
        return type(rows)((values, rows.indices, rows.indptr), shape=rows.shape)

    def divisors(self, library_sizes: NDArray[Any]) -> NDArray[Any]:
        """Give the divisor of each row's values; 1 for cells without counts."""
        with np.errstate(over="ignore", under="ignore"):
            divisors = library_sizes / self.target_sum
        return np.asarray(divisors + (divisors == 0))

    def refuse_improper(self, values: NDArray[Any], columns: NDArray[Any], n_columns: int) -> None:
        """Raise a ValueError if a gene of the object has a value that cannot be a count.

        ``columns`` has the column of each value, in a matrix of ``n_columns``.
        """
        if not values.size or (values.min() >= 0 and values.max() < np.inf):
            return
        repeats = self._column_repeats(n_columns)
        for place in np.flatnonzero(~((values >= 0) & (values < np.inf))).tolist():
            column = int(columns[place])
            if repeats is None or repeats[column]:
                gene = column if self.columns is None else np.flatnonzero(self.columns == column)[0]
                self._refuse(values[place], gene)

    def refuse_infinite(self, library_sizes: NDArray[Any]) -> None:
        """Raise a ValueError if a library size is infinite: its counts add up to more than their dtype holds."""
        if not np.isfinite(library_sizes).all():
            self._refuse(np.inf, None)

    def _column_repeats(self, n_columns: int) -> NDArray[np.int64] | None:
        """Count how often the object has each column of the matrix; None if it has each once."""
        return None if self.columns is None else np.bincount(self.columns, minlength=n_columns)

    def _refuse(self, value: Any, gene: int | None) -> NoReturn:
        """Raise a ValueError about a value that cannot be a count, at the gene's position in the object."""
        if gene is None:
            msg = f"{self.matrix_name} has cells whose counts add up to more than their dtype holds."
        else:
            kind = "negative values" if value < 0 else "NaN or infinite values"
            name = str(self.gene_names[gene])
            msg = f"{self.matrix_name} holds {kind}, such as {value} in gene {name!r}, which cannot be counts."
        msg += (
            f" normalize={self.target_sum} divides raw counts by library sizes: leave it out if values are transformed "
            "already, or take a view without such cells or genes."
        )
        raise ValueError(msg)


def normalized_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Give the dtype of normalized values: floats keep theirs, all else becomes float32, as in scanpy."""
    return dtype if dtype.kind == "f" else np.dtype(np.float32)


# Columns that the object lacks may hold anything; their values are not used.
@np.errstate(all="ignore")
def divide_and_log(values: NDArray[Any], divisors: NDArray[Any]) -> NDArray[Any]:
    """Give ``log1p`` of values divided by the divisors of their rows, in a new array."""
    values = values.astype(normalized_dtype(values.dtype), copy=False) / divisors
    return np.asarray(np.log1p(values, out=values))
