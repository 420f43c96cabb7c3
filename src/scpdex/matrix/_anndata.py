"""AnnData's private names, and differences between its versions: views, X of files, layers, references, lazy tables."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd
from anndata.abc import CSCDataset, CSRDataset

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LocatedMatrix:
    """X, a layer or raw.X, and which of its rows and columns are the cells and genes of an AnnData."""

    matrix: Any
    """For a view: the matrix of its parent, since ``view.X`` would copy the subset. None if there is no X."""
    matrix_name: str
    """What the user calls it, for messages."""
    rows: NDArray[np.int64]
    """Row of each cell."""
    columns: NDArray[np.int64]
    """Column of each gene."""
    var_names: pd.Index[Any]
    """Name of each gene."""


def locate_matrix(adata: AnnData, *, use_raw: bool, layer: str | None) -> LocatedMatrix:
    """Find X, a layer or raw.X of an object or of the parent of a view."""
    if use_raw and adata.is_view and adata.isbacked:
        # Variables of raw are never subset.
        raw = _parent(adata).raw
        rows = _positions(adata._oidx, raw.n_obs)
        return LocatedMatrix(raw.X, "adata.raw.X", rows, np.arange(raw.n_vars), raw.var_names)
    if use_raw:
        # A view in memory has subset its raw already.
        raw = adata.raw
        return LocatedMatrix(raw.X, "adata.raw.X", np.arange(adata.n_obs), np.arange(raw.n_vars), raw.var_names)
    parent = _parent(adata) if adata.is_view else adata
    matrix = _read_x(parent) if layer is None else parent.layers[layer]
    matrix_name = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    if not adata.is_view:
        return LocatedMatrix(matrix, matrix_name, np.arange(adata.n_obs), np.arange(adata.n_vars), adata.var_names)
    rows, columns = _positions(adata._oidx, parent.n_obs), _positions(adata._vidx, parent.n_vars)
    return LocatedMatrix(matrix, matrix_name, rows, columns, adata.var_names)


def _parent(view: AnnData) -> Any:
    """Give the object of which the view has some rows and columns."""
    return view._adata_ref


def _positions(index: Any, n: int) -> NDArray[np.int64]:
    return np.arange(n)[index if isinstance(index, slice) else np.asarray(index)]


def _read_x(adata: AnnData) -> Any:
    """Give X, or None if neither the file nor memory has one."""
    try:
        return adata.X
    except KeyError:
        # What anndata raises if a file has no X.
        return None


def is_absent(matrix: Any) -> bool:
    """Tell whether there is no matrix: None, or the dataset without a shape that anndata 0.12 writes for None."""
    return matrix is None or getattr(matrix, "shape", ()) is None


def is_closed(matrix: Any) -> bool:
    """Tell whether the user has closed the HDF5 file that holds a matrix."""
    handle = getattr(matrix, "group", matrix)
    return isinstance(handle, h5py.Dataset | h5py.Group) and not handle


def is_sparse_dataset(matrix: Any) -> bool:
    """Tell whether a matrix is anndata's handle of a CSR or CSC matrix in an HDF5 file or zarr store."""
    return isinstance(matrix, CSRDataset | CSCDataset)


def sparse_arrays(matrix: Any) -> tuple[Any, Any, Any]:
    """Give values, indices and indptr of a CSR or CSC matrix: arrays in memory, or those of a file, not yet read."""
    if is_sparse_dataset(matrix):
        return matrix.group["data"], matrix.group["indices"], matrix.group["indptr"]
    return matrix.data, matrix.indices, matrix.indptr


def is_column_major(adata: AnnData, matrix: Any) -> bool:
    """Tell whether X or a layer, as the user gets it, is a dense array with the values of each gene side by side."""
    slices = [isinstance(index, slice) for index in (adata._oidx, adata._vidx)] if adata.is_view else [True, True]
    if all(slices):
        return isinstance(matrix, np.ndarray) and abs(matrix.strides[0]) < abs(matrix.strides[1])
    # anndata copies such a view by numpy's indexing, and numpy puts the axis that is not sliced first.
    return slices == [True, False]


def layer_names(adata: AnnData) -> list[str]:
    """Name the layers."""
    # From anndata 0.13 on, layers list X under None.
    names: Any = adata.layers
    return [name for name in names if name is not None]


def column_name(reference: Any) -> Any:
    """Give the column of var that anndata's reference ``A.var["column"]`` names; all else is given back as it is.

    Raises
    ------
    ValueError
        The reference is not one to a column of var.
    """
    # anndata has references from 0.13 on; a caller who has one has imported this module.
    acc = sys.modules.get("anndata.acc")
    if acc is None or not isinstance(reference, acc.AdRef):
        return reference
    if not isinstance(reference.acc, acc.MetaAcc) or reference.acc.dim != "var" or reference.idx is None:
        msg = (
            f"mask_var={reference!r} is no reference to a column of adata.var: pass one such as "
            "A.var['highly_variable'], or a boolean array."
        )
        raise ValueError(msg)
    return reference.idx


def read_annotations(annotations: Any, *columns: str) -> pd.DataFrame:
    """Give obs or var as a data frame; of a lazily opened one, only these columns are read.

    Raises
    ------
    OSError
        The columns of a lazily opened object could not be read.
    """
    if isinstance(annotations, pd.DataFrame):
        return annotations
    if all(isinstance(column, str) and column in annotations.columns for column in columns):
        try:
            return pd.DataFrame(annotations[list(columns)].to_memory())
        except (OSError, RuntimeError, ValueError) as error:
            msg = (
                f"columns {', '.join(map(repr, columns))} of a lazily opened object could not be read: was its file "
                f"closed? The error was: {error}"
            )
            raise OSError(msg) from error
    return pd.DataFrame(columns=annotations.columns)
