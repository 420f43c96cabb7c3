"""Raw chunks of HDF5 files: one thread reads them, many threads undo their filters (gzip, shuffle)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from deflate import DeflateError, zlib_decompress
from h5py import h5z

from scpdex.plan.gene_blocks import cut_range

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    Chunk = bytes | bytearray | memoryview

# Chunks are held whole: h5py reads runs that are shorter than so many chunks.
_MIN_CHUNKS = 4
_CHUNKS_PER_TASK = 8


def _inflate(chunk: Chunk, _: int, n_bytes: int) -> Chunk:
    try:
        return zlib_decompress(chunk, n_bytes)
    except DeflateError as error:
        msg = f"a chunk of {len(chunk):,} bytes does not decompress to {n_bytes:,}"
        raise ValueError(msg) from error


def _unshuffle(chunk: Chunk, bytes_per_value: int, _: int) -> Chunk:
    # The first bytes of all values come first, then all second bytes, and so on.
    planes = np.frombuffer(chunk, dtype=np.uint8).reshape(bytes_per_value, -1)
    return np.ascontiguousarray(planes.T).data.cast("B")


# HDF5's number of a filter -> how to undo it, from the chunk, bytes per value and bytes of the whole chunk. A further
# filter is a line here; h5py reads datasets with other filters. What a function raises of a damaged chunk must be among
# the errors that ``StoredMatrix.read_or_explain`` explains.
_UNDO_FILTER: dict[int, Callable[[Chunk, int, int], Chunk]] = {
    h5py.h5z.FILTER_DEFLATE: _inflate,
    h5py.h5z.FILTER_SHUFFLE: _unshuffle,
}


@dataclass(frozen=True)
class RawRun:
    """A run of the values of a one-dimensional dataset, in the filtered chunks of its file."""

    start: int
    """Position of the first value in the first chunk."""
    n_values: int
    values_per_chunk: int
    chunks: list[bytes]
    """The chunks from the first value on, as many as are whole."""
    partial_chunk: NDArray[Any]
    """Values of the last chunk of the dataset, if that is in the run and partial: these may lie there unfiltered."""
    dtype: np.dtype[Any]
    filters: tuple[int, ...]
    """Numbers of the filters in the order in which they were applied."""

    def decode(self, pool: Executor | None, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Give the values, in ``out`` if it is given; the threads of ``pool``, if there is one, undo the filters."""
        values = np.empty(self.n_values, dtype=self.dtype) if out is None else out
        n_whole = self.n_values - self.partial_chunk.size
        values[n_whole:] = self.partial_chunk

        def fill(chunks: range) -> None:
            for i in chunks:
                first = i * self.values_per_chunk - self.start
                run = slice(max(first, 0), min(first + self.values_per_chunk, n_whole))
                values[run] = self._decode_chunk(self.chunks[i])[run.start - first : run.stop - first]

        if pool is None:
            fill(range(len(self.chunks)))
        else:
            list(pool.map(fill, cut_range(range(len(self.chunks)), _CHUNKS_PER_TASK)))
        return values

    def _decode_chunk(self, chunk: Chunk) -> NDArray[Any]:
        bytes_per_value = self.dtype.itemsize
        n_bytes = self.values_per_chunk * bytes_per_value
        for number in reversed(self.filters):
            chunk = _UNDO_FILTER[number](chunk, bytes_per_value, n_bytes)
        if len(chunk) != n_bytes:
            msg = f"a chunk has {len(chunk):,} bytes instead of {n_bytes:,}"
            raise ValueError(msg)
        return np.frombuffer(chunk, dtype=self.dtype)


def missing_filters(array: Any) -> list[str]:
    """Name the filters of an HDF5 dataset that h5py lacks; arrays of other stores have none."""
    if not isinstance(array, h5py.Dataset):
        return []
    properties = array.id.get_create_plist()
    filters = [properties.get_filter(i) for i in range(properties.get_nfilters())]
    missing = [(number, name.decode()) for number, _, _, name in filters if not h5z.filter_avail(number)]
    return [f"{name!r} ({number})" if name else str(number) for number, name in missing]


def raw_reader(array: Any) -> Callable[[int, int], RawRun | NDArray[Any]] | None:
    """Give a function that reads a run of values as raw chunks; None if h5py or zarr must decode this array.

    The function has h5py read runs that are short beside the chunks.
    """
    if not isinstance(array, h5py.Dataset) or array.ndim != 1 or array.chunks is None or array.is_virtual:
        return None
    properties = array.id.get_create_plist()
    filters = tuple(properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
    is_plain_number = array.dtype.kind in "iuf" and array.id.get_type() == h5py.h5t.py_create(array.dtype)
    # The file has no bytes of chunks that were never written.
    n_chunks = -(-array.shape[0] // array.chunks[0])
    if not is_plain_number or set(filters) - _UNDO_FILTER.keys() or array.id.get_num_chunks() != n_chunks:
        return None
    values_per_chunk, dtype = array.chunks[0], array.dtype
    # Files may ask HDF5 to leave the last chunk unfiltered, if it is partial, and do not mark it.
    n_whole = array.shape[0] // values_per_chunk if filters else n_chunks

    def read(start: int, stop: int) -> RawRun | NDArray[Any]:
        if stop - start < _MIN_CHUNKS * values_per_chunk:
            return np.asarray(array[start:stop])
        first = start // values_per_chunk
        chunks = []
        n_read = -(-stop // values_per_chunk)
        partial_chunk = np.empty(0, dtype=dtype)
        if n_read > n_whole:
            partial_chunk = np.asarray(array[max(start, n_whole * values_per_chunk) : stop])
        for i in range(first, min(n_read, n_whole)):
            skipped_filters, chunk = array.id.read_direct_chunk((i * values_per_chunk,))
            if skipped_filters:
                # HDF5 leaves out a filter that makes a chunk larger.
                return np.asarray(array[start:stop])
            chunks.append(chunk)
        offset = start - first * values_per_chunk
        return RawRun(offset, stop - start, values_per_chunk, chunks, partial_chunk, dtype, filters)

    return read
