"""Column normalizer: columns of CSC, divided by the library sizes of their rows, and logged."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.transpose import add_columns
from scpdex.machine.threads import read_ahead
from scpdex.matrix._normalization import are_proper
from scpdex.matrix.chunked._spans import cut_into_runs, decode_spans, read_columns

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from scpdex.matrix._normalization import Normalization
    from scpdex.matrix.chunked._stored_matrix import StoredMatrix

# Library sizes are added up from so many values at a time.
_VALUES_AT_A_TIME = 1 << 18


@dataclass
class ColumnNormalizer:
    """Normalizes the columns of a CSC matrix; its library sizes are added up once, in a pass of their own."""

    matrix: StoredMatrix
    rows: NDArray[np.int64]
    """Row of each cell that must have counts, in the order of the object: the compared cells, or all of them."""
    normalization: Normalization
    stored_dtype: np.dtype[Any]
    """Dtype that values are converted to before anything else."""
    library_sizes: NDArray[Any] | None = None
    """Of each row of the matrix, once they are added up."""

    def with_median(self, median: float) -> ColumnNormalizer:
        """Give the same normalizer with the median library size; library sizes that are added up are kept."""
        return replace(self, normalization=self.normalization.with_median(median))

    def sum_library_sizes(self, _: int, pool: Executor, n_threads: int, bar: Any) -> NDArray[Any]:  # noqa: ARG002
        """Give the library size of each of the :attr:`rows`; ``bar`` counts these."""
        self.prepare(pool)
        assert self.library_sizes is not None, "the rule asks for library sizes"  # noqa: S101
        bar.update(self.rows.size)
        return self.library_sizes[self.rows]

    def prepare(self, pool: Executor | None) -> None:
        """Add up the library sizes, if counts are scaled, and unless it is done.

        Raises
        ------
        ValueError
            A counted cell has a value that cannot be a count.
        """
        if self.normalization.scales and self.library_sizes is None:
            self.library_sizes = self._add_up(pool)

    def normalize(self, part: Any, columns: NDArray[np.int64]) -> NDArray[Any]:
        """Give the normalized values of some columns of the matrix, in the order of their values.

        Raises
        ------
        ValueError
            Counts are not scaled, and a counted cell has a value that cannot be a count.
        """
        if self._divisors is not None:
            return self.normalization.log(part.data, self._divisors[part.indices])
        self._refuse_improper(part, columns)
        return self.normalization.log(part.data, None)

    @cached_property
    def _divisors(self) -> NDArray[Any] | None:
        """The divisor of the values of each row; None if counts are not scaled."""
        if not self.normalization.scales:
            return None
        assert self.library_sizes is not None, "library sizes are added up before columns are normalized"  # noqa: S101
        return self.normalization.divisors(self.library_sizes)

    @cached_property
    def _must_have_counts(self) -> NDArray[np.bool_]:
        must_have_counts = np.zeros(self.matrix.shape[0], dtype=np.bool_)
        must_have_counts[self.rows] = True
        return must_have_counts

    def _add_up(self, pool: Executor | None) -> NDArray[Any]:
        """Add up the values of each row, gene by gene of the object."""
        normalization, (n_rows, n_columns) = self.normalization, self.matrix.shape
        dtype, library_sizes = normalization.normalized_dtype(self.stored_dtype), np.zeros(n_rows)
        columns = normalization.library_columns(n_columns)
        ends = np.cumsum(np.diff(self.matrix.indptr)[columns])
        begins = np.r_[0, ends[:-1]]
        runs = cut_into_runs(begins, ends, 0, _VALUES_AT_A_TIME)
        parts = [np.unique(columns[run], return_inverse=True) for run in runs]
        read = partial(read_columns, self.matrix)
        with closing(read_ahead(read, (part_columns for part_columns, _ in parts))) as parts_read:
            for part_runs, (part_columns, places) in zip(parts_read, parts, strict=True):
                part = decode_spans(self.matrix, part_runs, pool)
                self._refuse_improper(part, part_columns)
                with np.errstate(over="ignore", invalid="ignore"):
                    values = part.data.astype(dtype, copy=False)
                    add_columns(values, part.indices, part.indptr, places, library_sizes)
        self.matrix.refuse_changed()
        with np.errstate(over="ignore", invalid="ignore"):
            library_sizes = library_sizes.astype(dtype)
        normalization.refuse_infinite(library_sizes[self._must_have_counts])
        return library_sizes

    def _refuse_improper(self, part: Any, columns: NDArray[np.int64]) -> None:
        """Raise a ValueError if cells that must have counts have values that cannot be any in these columns."""
        if are_proper(part.data):
            return
        is_relevant = self._must_have_counts[part.indices]
        columns_of_values = np.repeat(columns, np.diff(part.indptr))
        self.normalization.refuse_improper(part.data[is_relevant], columns_of_values[is_relevant], self.matrix.shape[1])
