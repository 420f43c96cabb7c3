"""Stored matrix: runs of the values of a matrix in an HDF5 file, a zarr store or memory, checked as they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import h5py
import numpy as np

from scpdex.matrix._anndata import sparse_arrays
from scpdex.matrix._rankable_values import native, native_dtype, refuse_dtype
from scpdex.matrix.chunked._array_stores import describe_place, is_stored_array
from scpdex.matrix.chunked._hdf5_chunks import RawRun, missing_filters, raw_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class StoredMatrix:
    """A matrix in parts: values of runs of rows or columns, with the numbers that kernels take."""

    format: str
    """``"dense"``, ``"CSR"`` or ``"CSC"``."""
    place: str
    """``"in memory"``, or one of the places of stored arrays, such as ``"in an HDF5 file"``."""
    matrix_name: str
    """What the user calls it, for messages."""
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    """Dtype of the values as they are read, in the machine's byte order."""
    chunk_shape: tuple[int, int]
    """Dense: rows and columns that can only be read together; 1 if each can be read alone."""
    values: Any
    """Dense: the array; CSR and CSC: the array of values."""
    indices: Any
    """CSR and CSC: the array of indices; None for dense."""
    indptr: NDArray[np.int64]
    """CSR and CSC, read whole: where each row or column begins among the values; empty for dense."""
    raw_readers: tuple[Callable[[int, int], Any] | None, Callable[[int, int], Any] | None]
    """Functions that read raw chunks of values and of indices, see :func:`raw_reader`; None: these are sliced."""
    file_state: tuple[int, int] | None
    """Size in bytes and time of the last change (ns) of an HDF5 file when it was opened."""

    @classmethod
    def open(cls, matrix: Any, matrix_name: str) -> StoredMatrix:
        """Open a matrix in a store or in memory; only the indptr of a sparse one is read.

        Raises
        ------
        TypeError
            Its dtype cannot be ranked.
        OSError
            Its file could not be read.
        ValueError
            Its index and its values contradict each other: the file was cut short or is corrupt.
        """
        refuse_dtype(matrix.dtype, matrix_name)
        is_dense = isinstance(matrix, np.ndarray) or is_stored_array(matrix)
        values, indices, indptr = (matrix, None, np.empty(0)) if is_dense else sparse_arrays(matrix)
        stored = cls(
            format="dense" if is_dense else matrix.format.upper(),
            place=describe_place(values),
            matrix_name=matrix_name,
            shape=(int(matrix.shape[0]), int(matrix.shape[1])),
            dtype=native_dtype(matrix.dtype),
            chunk_shape=_chunk_shape(values) if is_dense else (1, 1),
            values=values,
            indices=indices,
            indptr=np.empty(0, dtype=np.int64),
            raw_readers=(None, None) if is_dense else (raw_reader(values), raw_reader(indices)),
            file_state=None,
        )
        indptr = stored.read_or_explain(lambda: np.asarray(indptr[:], dtype=np.int64))
        stored = replace(stored, indptr=indptr, file_state=stored.read_file_state())
        if not is_dense and not _index_fits(stored):
            stored.refuse("its index does not fit its values")
        return stored

    @property
    def n_bytes(self) -> int:
        """Bytes of the values and their indices, once they are read."""
        if self.format == "dense":
            return self.shape[0] * self.shape[1] * self.dtype.itemsize
        return int(self.indptr[-1]) * self.bytes_per_value

    @property
    def bytes_per_value(self) -> int:
        """Bytes of a value and, in CSR and CSC, of its index."""
        return self.dtype.itemsize + (0 if self.format == "dense" else self.indices.dtype.itemsize)

    def find_spans(self, majors: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give where the values of some rows (CSR, dense) or columns (CSC) begin and end among all values."""
        if self.format == "dense":
            return majors * self.shape[1], (majors + 1) * self.shape[1]
        return self.indptr[majors], self.indptr[majors + 1]

    def read_run(self, start: int, stop: int) -> tuple[Any, Any]:
        """Read a run of the values of CSR or CSC, and their indices, in the form that :meth:`decode_run` takes."""

        def read() -> tuple[Any, Any]:
            values, indices = (
                np.asarray(array[start:stop]) if read_raw is None else read_raw(start, stop)
                for read_raw, array in zip(self.raw_readers, (self.values, self.indices), strict=True)
            )
            return values, indices

        values, indices = self.read_or_explain(read)
        return values, indices

    def decode_run(
        self, run: tuple[Any, Any], pool: Executor | None = None, out: tuple[NDArray[Any], NDArray[Any]] | None = None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Give the values of a run and their indices; the threads of ``pool``, if there is one, decompress them.

        ``out`` has arrays for both, if they are given: of :attr:`dtype`, and of a signed dtype that holds all indices.

        Raises
        ------
        OSError
            The file could not be decompressed.
        ValueError
            Indices are outside the matrix.
        """
        values, indices = self.read_or_explain(
            lambda: [_decode(part, pool, target) for part, target in zip(run, out or (None, None), strict=True)]
        )
        n_minors = self.shape[1 if self.format == "CSR" else 0]
        if not _are_below(indices, n_minors):
            self.refuse(f"it has indices outside its {n_minors:,} {'columns' if self.format == 'CSR' else 'rows'}")
        if indices.dtype.kind != "i" or not indices.dtype.isnative:
            indices = indices.astype(np.int64)
        return native(values), indices

    def read_block(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a block of a dense matrix, in the dtype that it has in the file."""
        block: NDArray[Any] = self.read_or_explain(lambda: np.asarray(self.values[rows, columns]))
        return block

    def read_or_explain(self, read: Callable[[], Any]) -> Any:
        """Call ``read`` and give its result; an error names the matrix that could not be read.

        Raises
        ------
        OSError
            The file could not be read.
        """
        try:
            return read()
        except (OSError, RuntimeError, ValueError) as error:
            missing = dict.fromkeys([*missing_filters(self.values), *missing_filters(self.indices)])
            cause = "is the file whole?"
            if missing:
                cause = f"h5py lacks the filter {' and '.join(missing)}: install hdf5plugin, and import hdf5plugin."
            msg = f"{self.matrix_name} {self.place} could not be read; {cause} The error was: {error}"
            raise OSError(msg) from error

    def refuse(self, reason: str) -> NoReturn:
        """Raise a ValueError that names the matrix and ``reason``."""
        msg = (
            f"{self.matrix_name} {self.place} cannot be right: {reason}. Was the file cut short, or changed while read?"
        )
        raise ValueError(msg)

    def refuse_changed(self) -> None:
        """Raise a ValueError if the file has changed since it was opened."""
        if self.read_file_state() != self.file_state:
            self.refuse("it was changed while it was read")

    def read_file_state(self) -> tuple[int, int] | None:
        """Give size in bytes and time of the last change (ns) of an HDF5 file; None for other places."""
        if not isinstance(self.values, h5py.Dataset):
            return None
        # Writes of this process that wait in HDF5's cache, through any handle, would change the file at some read.
        self.read_or_explain(self.values.file.flush)
        path = Path(self.values.file.filename)
        if not path.exists():
            return None
        status = path.stat()
        return status.st_size, status.st_mtime_ns


def _decode(part: Any, pool: Executor | None, out: NDArray[Any] | None) -> NDArray[Any]:
    """Give the values that were read, in ``out`` if it is given."""
    if isinstance(part, RawRun):
        return part.decode(pool, out)
    if out is None:
        return np.asarray(part)
    out[:] = part
    return out


def _are_below(indices: NDArray[Any], stop: int) -> bool:
    """Tell whether all indices are from 0 up and below ``stop``."""
    if not indices.size:
        return True
    if indices.dtype.kind == "i" and indices.dtype.isnative:
        # Negative indices are large without their sign: one pass over memory instead of two.
        return bool(indices.view(f"u{indices.dtype.itemsize}").max() < stop)
    return bool(indices.min() >= 0 and indices.max() < stop)


def _index_fits(matrix: StoredMatrix) -> bool:
    """Tell whether the indptr of CSR or CSC ascends from 0 and ends within the values and indices."""
    indptr = matrix.indptr
    return bool(
        indptr.size == matrix.shape[0 if matrix.format == "CSR" else 1] + 1
        and indptr[0] == 0
        and (np.diff(indptr) >= 0).all()
        and indptr[-1] <= min(matrix.values.shape[0], matrix.indices.shape[0])
    )


def _chunk_shape(values: Any) -> tuple[int, int]:
    """Give rows and columns of a dense array's chunks: 1 x 1 in memory, 1 x all if a stored array has no chunks."""
    if isinstance(values, np.ndarray):
        return 1, 1
    chunks = getattr(values, "chunks", None)
    return (int(chunks[0]), int(chunks[1])) if chunks else (1, int(values.shape[1]))
