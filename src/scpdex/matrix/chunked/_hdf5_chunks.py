"""Chunks: arrays on disk as they lie there, so that many threads can decompress what one reads."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from scpdex.plan.gene_blocks import cut

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from numpy.typing import NDArray

# Filters that numpy and the standard library undo; files with others are read by h5py alone.
_SHUFFLE, _GZIP = h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE

_LEAST_CHUNKS = 4


@dataclass(frozen=True)
class RawRun:
    """A run of a one-dimensional array in the chunks of its file."""

    start: int
    """Of the run within the first chunk."""
    n_values: int
    length: int
    """Values in each chunk."""
    chunks: list[bytes]
    dtype: np.dtype[Any]
    filters: tuple[int, ...]
    """In the order in which they were applied."""

    def decode(self, pool: Executor | None) -> NDArray[Any]:
        """Give the values, by the threads of a pool where one is given."""
        values = np.empty(self.n_values, dtype=self.dtype)

        def fill(part: range) -> None:
            for i in part:
                first = i * self.length - self.start
                run = slice(max(first, 0), min(first + self.length, self.n_values))
                values[run] = self._values(self.chunks[i])[run.start - first : run.stop - first]

        if pool is None:
            fill(range(len(self.chunks)))
        else:
            list(pool.map(fill, cut(range(len(self.chunks)), 8)))
        return values

    def _values(self, chunk: bytes | memoryview) -> NDArray[Any]:
        for name in reversed(self.filters):
            if name == _GZIP:
                chunk = zlib.decompress(chunk, bufsize=self.length * self.dtype.itemsize)
            else:
                # The bytes of one place in all values lie together.
                planes = np.frombuffer(chunk, dtype=np.uint8).reshape(self.dtype.itemsize, -1)
                chunk = np.ascontiguousarray(planes.T).data.cast("B")
        return np.frombuffer(chunk, dtype=self.dtype)


def raw_reader(array: Any) -> Callable[[int, int], RawRun | NDArray[Any]] | None:
    """Give a function that reads runs of an array in raw chunks; None where it has none that are known here.

    Runs that are short beside the chunks are read by h5py, since chunks are held whole.
    """
    if not isinstance(array, h5py.Dataset) or array.ndim != 1 or array.chunks is None or array.is_virtual:
        return None
    properties = array.id.get_create_plist()
    filters = tuple(properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
    known_type = array.dtype.kind in "iuf" and array.id.get_type() == h5py.h5t.py_create(array.dtype)
    # Chunks that were never written are not there to be read.
    n_chunks = -(-array.shape[0] // array.chunks[0])
    if not known_type or set(filters) - {_SHUFFLE, _GZIP} or array.id.get_num_chunks() != n_chunks:
        return None
    length, dtype = array.chunks[0], array.dtype

    def read(start: int, stop: int) -> RawRun | NDArray[Any]:
        first = start // length
        if stop - start < _LEAST_CHUNKS * length:
            return np.asarray(array[start:stop])
        chunks = []
        for i in range(first, -(-stop // length)):
            skipped, chunk = array.id.read_direct_chunk((i * length,))
            if skipped:
                # Written without some of the filters.
                return np.asarray(array[start:stop])
            chunks.append(chunk)
        return RawRun(start - first * length, stop - start, length, chunks, dtype, filters)

    return read
