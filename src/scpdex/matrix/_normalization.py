"""Normalization: counts as ``scanpy.pp.normalize_total`` and ``scanpy.pp.log1p`` would have left them, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeGuard, get_args

import numpy as np

from scpdex.kernels.transpose import add_columns, row_totals

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray
    from scipy import sparse

_NamedRule = Literal["log1p", "median"]
NormalizeRule = float | _NamedRule

# Dense rows are examined so many values at a time, to spare memory.
_VALUES_AT_A_TIME = 1 << 18


@dataclass(frozen=True)
class Normalization:
    """How counts are normalized: by library sizes over the genes of the object, whatever else its parent has."""

    rule: NormalizeRule
    """The argument ``normalize``: the sum that each cell's counts are scaled to before ``log1p``, ``"median"``: the
    median library size of all cells of the object, or ``"log1p"``: counts are not scaled."""
    columns: NDArray[np.int64] | None
    """Column of each gene that has an effect, in the order of the object and as often as it has it: all genes, or the
    tested ones if counts are not scaled; None for all columns as they are."""
    gene_names: pd.Index[Any]
    """Name of each of these genes."""
    matrix_name: str
    """What the user calls the matrix, for messages."""
    adds_left_to_right: bool = False
    """Whether numpy adds up dense rows of the object from left to right, as in column-major arrays, or pairwise."""
    median: float | None = None
    """The median library size, once it is known."""

    @classmethod
    def of(
        cls,
        rule: NormalizeRule,
        columns: NDArray[np.int64],
        gene_names: pd.Index[Any],
        tested: NDArray[np.int64],
        *,
        n_columns: int,
        matrix_name: str,
        adds_left_to_right: bool,
    ) -> Normalization:
        """Take the genes that have an effect; ``columns`` and ``gene_names`` are those of all genes of the object.

        ``tested`` are the positions of the tested genes among these, ``n_columns`` are all columns of the matrix.
        """
        if rule == "log1p":
            columns, gene_names = columns[tested], gene_names[tested]
        has_all_columns = np.array_equal(columns, np.arange(n_columns))
        return cls(rule, None if has_all_columns else columns, gene_names, matrix_name, adds_left_to_right)

    @property
    def scales(self) -> bool:
        """Whether counts are scaled by library sizes."""
        return self.rule != "log1p"

    @property
    def takes_median(self) -> bool:
        """Whether all library sizes must be known before a value can be normalized."""
        return self.rule == "median"

    @property
    def target_sum(self) -> float:
        """What each cell's counts are scaled to."""
        target_sum = self.median if self.rule == "median" else self.rule
        assert isinstance(target_sum, float), "the median is found before values are normalized"  # noqa: S101
        return target_sum

    def with_median(self, median: float) -> Normalization:
        """Give the same normalization with the median library size."""
        return replace(self, median=median)

    def normalized_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Give the dtype of normalized values: floats keep theirs, all else becomes what scanpy makes of it."""
        if dtype.kind == "f":
            return dtype
        return np.dtype(np.float32 if self.scales else np.float64)

    def library_columns(self, n_columns: int) -> NDArray[np.int64]:
        """Give the columns that library sizes add up, in the order of the object, for a matrix of ``n_columns``."""
        return np.arange(n_columns) if self.columns is None else self.columns

    def sorted_library_columns(self, n_columns: int) -> NDArray[np.int64]:
        """Give the :meth:`library_columns` in ascending order, each once."""
        return np.unique(self.library_columns(n_columns))

    def part(self, first_column: int, n_columns: int) -> Normalization:
        """Give the normalization of a part with ``n_columns`` from ``first_column`` on, with all library columns."""
        columns = self.library_columns(self.gene_names.size)
        inside = (columns >= first_column) & (columns < first_column + n_columns)
        if self.columns is None and first_column == 0 and inside.all():
            return self
        return replace(self, columns=columns[inside] - first_column, gene_names=self.gene_names[inside])

    def normalize_dense(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Normalize dense rows, of all columns of the matrix.

        Raises
        ------
        ValueError
            Genes of the object have values that cannot be counts.
        """
        if self.scales:
            return self.log(rows, self.divisors(self._sum_dense(rows))[:, None])
        for _ in self._dense_counts(rows):
            # Counts that are not added up are examined all the same.
            pass
        return self.log(rows, None)

    def sum_library_sizes(self, rows: Any) -> NDArray[Any]:
        """Add up dense, CSR or CSC rows, of all columns of the matrix.

        Raises
        ------
        ValueError
            Genes of the object have values that cannot be counts.
        """
        if isinstance(rows, np.ndarray):
            return self._sum_dense(rows)
        if not are_proper(rows.data):
            self.refuse_improper(rows.data, rows.tocoo().col, rows.shape[1])
        library_sizes = self.sum_rows(rows)
        self.refuse_infinite(library_sizes)
        return library_sizes

    def _dense_counts(self, rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Give the counts of the genes of the object, some rows at a time, once they are examined."""
        n_columns = rows.shape[1] if self.columns is None else self.columns.size
        rows_at_a_time = max(1, _VALUES_AT_A_TIME // n_columns)
        for first in range(0, rows.shape[0], rows_at_a_time):
            counts = rows[first : first + rows_at_a_time]
            if self.columns is not None:
                counts = np.take(counts, self.columns, axis=1)
            if not are_proper(counts):
                row, gene = np.argwhere(~((counts >= 0) & (counts < np.inf)))[0]
                self._refuse(counts[row, gene], gene)
            yield counts

    def _sum_dense(self, rows: NDArray[Any]) -> NDArray[Any]:
        dtype = self.normalized_dtype(rows.dtype)
        sizes = [self._sum_dense_rows(counts.astype(dtype, copy=False)) for counts in self._dense_counts(rows)]
        library_sizes = np.concatenate([np.empty(0, dtype=dtype), *sizes])
        self.refuse_infinite(library_sizes)
        return library_sizes

    @np.errstate(over="ignore")
    def _sum_dense_rows(self, rows: NDArray[Any]) -> NDArray[Any]:
        if self.adds_left_to_right:
            return np.asarray(np.add.accumulate(rows, axis=1)[:, -1])
        # numpy adds pairwise only if the values of a row are side by side.
        return np.asarray(np.ascontiguousarray(rows).sum(axis=1))

    @np.errstate(over="ignore", invalid="ignore")
    def sum_rows(self, matrix: Any) -> NDArray[Any]:
        """Add up rows as scanpy does: CSR value by value as they are stored, CSC gene by gene of the object."""
        values = matrix.data.astype(self.normalized_dtype(matrix.dtype), copy=False)
        library_sizes = np.zeros(matrix.shape[0])
        n_columns = matrix.shape[1]
        if matrix.format == "csr":
            row_totals(values, matrix.indices, matrix.indptr, self._column_repeats(n_columns), library_sizes)
        else:
            add_columns(values, matrix.indices, matrix.indptr, self.library_columns(n_columns), library_sizes)
        return library_sizes.astype(values.dtype)

    def normalize_csr(self, rows: sparse.csr_matrix[Any], library_sizes: NDArray[Any] | None) -> sparse.csr_matrix[Any]:
        """Normalize canonical CSR rows; ``library_sizes`` is None if counts are not scaled.

        Raises
        ------
        ValueError
            Genes of the object have values that cannot be counts.
        """
        self.refuse_improper(rows.data, rows.indices, rows.shape[1])
        divisors = None
        if library_sizes is not None:
            self.refuse_infinite(library_sizes)
            divisors = np.repeat(self.divisors(library_sizes), np.diff(rows.indptr))
        return type(rows)((self.log(rows.data, divisors), rows.indices, rows.indptr), shape=rows.shape)

    def divisors(self, library_sizes: NDArray[Any]) -> NDArray[Any]:
        """Give the divisor of each row's values; 1 for cells without counts."""
        with np.errstate(over="ignore", under="ignore"):
            divisors = library_sizes / self.target_sum
        return np.asarray(divisors + (divisors == 0))

    def refuse_improper(self, values: NDArray[Any], columns: NDArray[Any], n_columns: int) -> None:
        """Raise a ValueError if a gene of the object has a value that cannot be a count.

        ``columns`` has the column of each value, in a matrix of ``n_columns``.
        """
        if are_proper(values):
            return
        repeats = self._column_repeats(n_columns)
        for place in np.flatnonzero(~((values >= 0) & (values < np.inf))).tolist():
            column = int(columns[place])
            if repeats is None or repeats[column]:
                gene = column if self.columns is None else np.flatnonzero(self.columns == column)[0]
                self._refuse(values[place], gene)

    # Columns that the object lacks may hold anything; their values are not used.
    @np.errstate(all="ignore")
    def log(self, values: NDArray[Any], divisors: NDArray[Any] | None) -> NDArray[Any]:
        """Give ``log1p`` of values, divided by the divisors of their rows if there are any, in a new array."""
        values = values.astype(self.normalized_dtype(values.dtype), copy=False)
        if divisors is None:
            return np.asarray(np.log1p(values))
        values = values / divisors
        return np.asarray(np.log1p(values, out=values))

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
        what = "divides raw counts by library sizes" if self.scales else "takes the log of counts"
        msg += (
            f" normalize={self.rule!r} {what}: leave it out if values are transformed already, or take a view without "
            "such cells or genes."
        )
        raise ValueError(msg)


def check_rule(normalize: Any) -> NormalizeRule | None:
    """Check the argument ``normalize``, and give its number as a float.

    Raises
    ------
    ValueError
        It is neither a number above 0 nor one of the rules.
    """
    if normalize is None or _is_named_rule(normalize):
        return normalize
    is_number = isinstance(normalize, int | float | np.number) and not isinstance(normalize, bool)
    if not is_number or not 0 < normalize < float("inf"):
        msg = (
            f"normalize={normalize!r} is not valid: pass the sum that each cell's counts are scaled to, a number above "
            "0 such as 1e4; 'median' for the median library size; 'log1p' for logs without scaling; or None to rank "
            "the matrix as it is."
        )
        raise ValueError(msg)
    return float(normalize)


def _is_named_rule(normalize: Any) -> TypeGuard[_NamedRule]:
    return isinstance(normalize, str) and normalize in get_args(_NamedRule)


def take_median(library_sizes: NDArray[Any]) -> float:
    """Give the median library size as scanpy takes it, of cells that have counts; 1 if there is none."""
    occupied = library_sizes[library_sizes > 0]
    return float(np.median(occupied)) if occupied.size else 1.0


def are_proper(values: NDArray[Any]) -> bool:
    """Tell whether all values can be counts, whole numbers or not: from 0 up, and finite."""
    return not values.size or bool(values.min() >= 0 and values.max() < np.inf)
