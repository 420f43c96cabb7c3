"""Stored: a matrix that is read part by part, from a file or from memory."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import h5py
import numpy as np
import zarr
from anndata.abc import CSCDataset, CSRDataset

from scpdex.matrix._values import native, refuse_dtype
from scpdex.matrix.chunked._hdf5_chunks import RawRun, raw_reader

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

_ARRAYS_ON_DISK = (h5py.Dataset, zarr.Array)


def is_on_disk(matrix: Any) -> bool:
    """Tell whether a matrix is an array or a sparse dataset of an HDF5 file or zarr store."""
    return isinstance(matrix, (*_ARRAYS_ON_DISK, CSRDataset, CSCDataset))


def is_closed(matrix: Any) -> bool:
    """Tell whether the HDF5 file that holds a matrix was closed."""
    handle = getattr(matrix, "group", matrix)
    return isinstance(handle, h5py.Dataset | h5py.Group) and not handle


@dataclass(frozen=True)
class StoredMatrix:
    """A matrix in parts: values of runs of rows or columns, with the numbers that kernels take."""

    format: str
    """``"dense"``, ``"CSR"`` or ``"CSC"``."""
    place: str
    """``"in memory"``, ``"in an HDF5 file"`` or ``"in a zarr store"``."""
    where: str
    """What the user calls it, for messages."""
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    """What its values are read as."""
    chunk_shape: tuple[int, int]
    """Dense: rows and columns that can only be read together; 1 where each can be read alone."""
    values: Any
    """Dense: the array, or else the values of its sparse form."""
    indices: Any
    raw_readers: tuple[Any, Any]
    """What reads values and indices in the chunks of their file, where these can be decoded here."""
    indptr: NDArray[np.int64]
    """Where each row or column starts among the values; empty for dense."""
    state: tuple[int, int] | None
    """Size and time of the last change of an HDF5 file when it was opened."""

    @classmethod
    def open(cls, matrix: Any, where: str) -> StoredMatrix:
        """Look at the form of a matrix on disk or in memory.

        Raises
        ------
        TypeError
            Its dtype cannot be ranked.
        ValueError
            It is not as its own index says: the file was cut short or is corrupt.
        """
        refuse_dtype(matrix.dtype, where)
        dense = isinstance(matrix, (np.ndarray, *_ARRAYS_ON_DISK))
        parts = getattr(matrix, "group", None)
        values = matrix if dense else matrix.data if parts is None else parts["data"]
        indices = None if dense else matrix.indices if parts is None else parts["indices"]
        indptr = np.empty(0) if dense else matrix.indptr if parts is None else parts["indptr"]
        place = {h5py.Dataset: "in an HDF5 file", zarr.Array: "in a zarr store"}.get(type(values), "in memory")
        stored = cls(
            "dense" if dense else matrix.format.upper(),
            place,
            where,
            (int(matrix.shape[0]), int(matrix.shape[1])),
            native(np.empty(0, dtype=matrix.dtype)).dtype,
            _chunk_shape(values) if dense else (1, 1),
            values,
            indices,
            (None, None) if dense else (raw_reader(values), raw_reader(indices)),
            np.empty(0, dtype=np.int64),
            None,
        )
        indptr = stored.guarded(lambda: np.asarray(indptr[:], dtype=np.int64))
        stored = cls(**(vars(stored) | {"indptr": indptr, "state": stored.state_of_file()}))
        n_major = stored.shape[0 if stored.format == "CSR" else 1]
        if not dense and (
            indptr.size != n_major + 1
            or indptr[0] != 0
            or (np.diff(indptr) < 0).any()
            or indptr[-1] > min(stored.values.shape[0], stored.indices.shape[0])
        ):
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
        """Bytes of a value and, in sparse forms, of its index."""
        return self.dtype.itemsize + (0 if self.format == "dense" else self.indices.dtype.itemsize)

    def spans(self, majors: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Say where the values of some rows (CSR, dense) or columns (CSC) begin and end among all values."""
        if self.format == "dense":
            return majors * self.shape[1], (majors + 1) * self.shape[1]
        return self.indptr[majors], self.indptr[majors + 1]

    def run(self, start: int, stop: int) -> tuple[Any, Any]:
        """Read a run of the values of a sparse form, and their indices, as :meth:`decode` takes them."""
        readers = [
            raw or (lambda start, stop, array=array: array[start:stop])
            for raw, array in zip(self.raw_readers, (self.values, self.indices), strict=True)
        ]
        values, indices = self.guarded(lambda: [read(start, stop) for read in readers])
        return values, indices

    def decode(self, run: tuple[Any, Any], pool: Executor | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Give the values of a run and their indices, by the threads of a pool where one is given."""
        values, indices = self.guarded(
            lambda: [part.decode(pool) if isinstance(part, RawRun) else part for part in run]
        )
        minor = self.shape[1 if self.format == "CSR" else 0]
        if indices.size and not (indices.min() >= 0 and indices.max() < minor):
            self.refuse(f"it has indices outside its {minor:,} {'columns' if self.format == 'CSR' else 'rows'}")
        if indices.dtype.kind != "i" or not indices.dtype.isnative:
            indices = indices.astype(np.int64)
        return native(values), indices

    def block(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a block of a dense matrix."""
        return native(self.guarded(lambda: self.values[rows, columns]))

    def guarded(self, read: Any) -> Any:
        """Read, saying what could not be read if that fails.

        Raises
        ------
        OSError
            The file could not be read.
        """
        try:
            return read()
        except (OSError, RuntimeError, ValueError, zlib.error) as error:
            msg = f"{self.where} {self.place} could not be read; is the file whole? The error was: {error}"
            raise OSError(msg) from error

    def refuse(self, reason: str) -> NoReturn:
        """Raise a ValueError about what was read."""
        msg = f"{self.where} {self.place} cannot be right: {reason}. Was the file cut short, or changed while read?"
        raise ValueError(msg)

    def refuse_changed(self) -> None:
        """Raise an error if the file was changed since it was opened."""
        if self.state_of_file() != self.state:
            self.refuse("it was changed while it was read")

    def state_of_file(self) -> tuple[int, int] | None:
        """Size and time of the last change of the file, where it is one."""
        if not isinstance(self.values, h5py.Dataset):
            return None
        # Writes of this process that wait in HDF5's cache, through any handle, would change the file at some read.
        self.guarded(self.values.file.flush)
        path = Path(self.values.file.filename)
        if not path.exists():
            return None
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns


def _chunk_shape(values: Any) -> tuple[int, int]:
    """Rows and columns of a dense array that lie together on the disk: whole rows, where it has no chunks."""
    if isinstance(values, np.ndarray):
        return 1, 1
    return (int(values.chunks[0]), int(values.chunks[1])) if values.chunks else (1, int(values.shape[1]))
