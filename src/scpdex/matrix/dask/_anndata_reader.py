"""anndata's lazy reader: finds the file or zarr store whose matrix a dask array gives as it is."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import h5py
import zarr
from anndata.experimental import read_elem_lazy
from anndata.io import sparse_dataset

from scpdex.matrix._anndata import is_sparse_dataset
from scpdex.matrix.dask._dask_graph import find_scheduler, find_shared_values, is_local_scheduler

if TYPE_CHECKING:
    from contextlib import ExitStack

    from dask.array import Array


def open_stored_matrix(array: Array, files: ExitStack) -> Any:
    """Open the matrix that an array gives as it is stored, and that this machine would read; None for other arrays.

    ``files`` closes what is opened. anndata is asked to read the matrix lazily once more: dask derives the names of
    layers from what they do, so that graphs with the same names are the same.
    """
    if not is_local_scheduler(find_scheduler(array)):
        return None
    for value in find_shared_values(array):
        element = _open_element(value, files)
        if element is not None and _gives_as_stored(array, element):
            return element if isinstance(element, h5py.Dataset | zarr.Array) else sparse_dataset(element)
    return None


def _open_element(value: Any, files: ExitStack) -> Any:
    """Open the group or array that a task reads by ``value``; None if it reads none."""
    if isinstance(value, zarr.Array):
        return value
    if not isinstance(value, partial) or not value.func.__module__.startswith("anndata."):
        return None
    match value.args:
        case Path() as path, str(name):
            try:
                return files.enter_context(h5py.File(path, "r"))[name]
            except (OSError, KeyError):
                # dask's error names the file.
                return None
        case dataset, str() if is_sparse_dataset(dataset):
            return dataset.group
    return None


def _gives_as_stored(array: Array, element: Any) -> bool:
    """Tell whether an array is what anndata, or dask for zarr arrays, makes of an element that is read lazily."""
    read = da.from_zarr if isinstance(element, zarr.Array) else read_elem_lazy
    # The argument ``chunks`` of the call that made the array, as its user may have put it.
    whole_axes = tuple(-1 if len(sizes) == 1 else max(sizes) for sizes in array.chunks)
    for chunks in (None, array.chunksize, whole_axes):
        try:
            reader = read(element, chunks=chunks)
        except ValueError:
            # anndata makes no such chunks.
            return False
        if _have_same_graph(array, reader):
            return True
    return False


def _have_same_graph(first: Array, second: Array) -> bool:
    """Tell whether two arrays have the same graph."""
    has_same_names = first.name == second.name and set(first.dask.layers) == set(second.dask.layers)
    return bool(has_same_names and first.chunks == second.chunks and first.dtype == second.dtype)
