"""Array stores: which classes of arrays in files are recognised; a further array-like store is a line here."""

from __future__ import annotations

from typing import Any

import h5py
import zarr

from scpdex.matrix._anndata import is_sparse_dataset

# Class of array -> where its values are, for messages. Arrays of a further class have ``shape``, a numpy ``dtype`` and
# basic slicing that gives what numpy makes an array of. Their ``chunks``, if they have them, say which rows and columns
# of a dense matrix are read together. AnnData has to hold the class: from 0.13 on it takes any with
# ``__array_namespace__``. Sparse matrices in files are anndata's handles of three such arrays.
PLACE_OF_ARRAYS: dict[type[Any], str] = {
    h5py.Dataset: "in an HDF5 file",
    zarr.Array: "in a zarr store",
}


def is_on_disk(matrix: Any) -> bool:
    """Tell whether a matrix is an array, or anndata's handle of a sparse matrix, in one of the stores."""
    return is_sparse_dataset(matrix) or is_stored_array(matrix)


def is_stored_array(matrix: Any) -> bool:
    """Tell whether a matrix is an array in one of the stores."""
    return isinstance(matrix, tuple(PLACE_OF_ARRAYS))


def describe_place(values: Any) -> str:
    """Say where values are: in one of the stores, or else in memory."""
    places = (place for kind, place in PLACE_OF_ARRAYS.items() if isinstance(values, kind))
    return next(places, "in memory")
