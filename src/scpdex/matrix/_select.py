"""Select: which matrix of an AnnData is ranked, which of its rows are cells, which of its columns are tested."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.machine.threads import anndata_lock
from scpdex.matrix._normalize import Normalization
from scpdex.matrix._values import fit_for_kernels, refuse_dtype, refuse_inexact
from scpdex.matrix.chunked._stored_matrix import is_closed, is_on_disk
from scpdex.matrix.dask._chunk_reader import is_dask, refuse_unknown_chunks

if TYPE_CHECKING:
    from anndata import AnnData
    from anndata.acc import AdRef
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Expression:
    """A matrix and what of it is ranked."""

    matrix: Any
    """Two-dimensional array, or CSR or CSC matrix or array: the user's own, unless its numbers needed converting; or
    an array or sparse dataset of an HDF5 file or zarr store; or a dask array."""
    where: str
    """What the user calls it, for messages."""
    cells: NDArray[np.int64]
    """Row of each cell of the AnnData."""
    genes: NDArray[np.int64]
    """Column of each tested gene, in the order of the results."""
    var_positions: NDArray[np.int64]
    """Position of each tested gene in var, or in raw.var."""
    var_names: pd.Index[Any]
    """Name of each tested gene."""
    chunked: bool
    """Whether the matrix is read part by part."""
    normalization: Normalization | None
    """How counts are normalized; None leaves values as they are."""

    @property
    def target_sum(self) -> float | None:
        """What each cell's counts are scaled to before ``log1p``; None leaves values as they are."""
        return None if self.normalization is None else self.normalization.target_sum

    @property
    def on_disk(self) -> bool:
        """Whether the matrix is in a file."""
        return is_on_disk(self.matrix)

    @property
    def is_dask(self) -> bool:
        """Whether the matrix is a dask array."""
        return is_dask(self.matrix)

    @property
    def names(self) -> NDArray[Any]:
        """Names as plain strings in an object array, which is what scanpy's layout holds."""
        # Element by element, pandas takes ten times as long over its own strings.
        return np.array([str(name) for name in self.var_names.to_numpy(dtype=object)], dtype=object)

    def rows(self, chosen: NDArray[np.bool_]) -> Any:
        """Copy the tested genes of some cells: cells x genes, in the storage that the matrix has.

        Raises
        ------
        ValueError
            There are NaN or infinite values among them.
        """
        cells = self.cells[chosen]
        if isinstance(self.matrix, np.ndarray):
            rows = self.matrix[np.ix_(cells, self.genes)]
            self.refuse_not_finite((~np.isfinite(rows)).sum(axis=0))
            return rows
        rows = self.matrix[cells][:, self.genes]
        stored = rows.tocoo()
        self.refuse_not_finite(np.bincount(stored.col[~np.isfinite(stored.data)], minlength=self.genes.size))
        return rows

    def refuse_not_finite(self, per_gene: NDArray[np.int64]) -> None:
        """Raise a ValueError if any tested gene has NaN or infinite values, of which the number is given."""
        if per_gene.any():
            msg = (
                f"{self.where} holds {per_gene.sum():,} NaN or infinite values in the compared cells and tested genes, "
                f"the first in gene {str(self.var_names[np.flatnonzero(per_gene)[0]])!r}. Replace them, or leave such "
                "genes out with mask_var, or a view of adata."
            )
            raise ValueError(msg)


def select_expression(
    adata: AnnData,
    *,
    use_raw: bool | None,
    layer: str | None,
    mask_var: NDArray[Any] | pd.Series[bool] | str | AdRef[Any, Any] | None,
    low_memory: bool | None,
    normalize: float | None,
) -> Expression:
    """Find the matrix by scanpy's rules and refuse what cannot be ranked.

    Raises
    ------
    KeyError
        ``layer`` or the column ``mask_var`` does not exist.
    TypeError
        The matrix is of a kind or dtype that cannot be ranked.
    ValueError
        ``low_memory`` is False for a matrix on disk, ``layer`` and raw are both asked for, raw is absent, the matrix is
        absent or empty, or ``mask_var`` does not fit.
    """
    if use_raw is None:
        use_raw = adata.raw is not None
    if use_raw and layer is not None:
        msg = f"Cannot specify `layer` ({layer!r}) and have `use_raw=True`. This object has raw: pass use_raw=False."
        raise ValueError(msg)
    if use_raw and adata.raw is None:
        msg = "Received `use_raw=True`, but `adata.raw` is empty. Pass use_raw=False to rank X."
        raise ValueError(msg)
    if layer is not None and layer not in adata.layers:
        # From anndata 0.13 on, layers list X under None.
        names: Any = adata.layers
        layers = [repr(name) for name in names if name is not None]
        msg = f"layer={layer!r} is not in adata.layers. Valid: {', '.join(layers) or 'none exist'}."
        raise KeyError(msg)
    with anndata_lock:
        matrix, where, cells, columns, var_names = _locate(adata, use_raw=use_raw, layer=layer)
    if is_closed(matrix):
        msg = f"{where} is in a file that was closed: open the file again, as by anndata.read_h5ad(path, backed='r')."
        raise ValueError(msg)
    if getattr(matrix, "shape", ()) is None:
        # What anndata 0.12 writes for no matrix is a dataset without a shape.
        matrix = None
    on_disk = is_on_disk(matrix)
    lazy = is_dask(matrix)
    if (on_disk or lazy) and low_memory is False:
        place = "a dask array" if lazy else "on disk"
        msg = (
            f"low_memory=False, but {where} is {place}: pass low_memory=None to read it in parts, or "
            "adata.to_memory() if it fits."
        )
        raise ValueError(msg)
    if lazy:
        refuse_dtype(matrix.dtype, where)
        refuse_unknown_chunks(matrix, where)
    elif not on_disk:
        matrix = fit_for_kernels(matrix, where)
    mask = _mask(adata, mask_var, var_names, use_raw=use_raw)
    tested = np.arange(columns.size) if mask is None else np.flatnonzero(mask)
    normalization = None
    if normalize is not None:
        from_left = not use_raw and _is_column_major(adata, matrix)
        whole = np.array_equal(columns, np.arange(matrix.shape[1]))
        normalization = Normalization(normalize, None if whole else columns, var_names, where, from_left)
    genes, var_names = columns[tested], var_names if mask is None else var_names[mask]
    if cells.size == 0 or genes.size == 0:
        reason = ": mask_var is False for every gene" if mask is not None and columns.size else ""
        msg = f"There is nothing to rank: {cells.size} cells x {genes.size} genes of {where} are selected{reason}."
        raise ValueError(msg)
    if not (on_disk or lazy) and normalize is None:
        refuse_inexact(matrix, where, rows=cells, columns=genes)
    chunked = on_disk or lazy or bool(low_memory) or normalize is not None
    return Expression(matrix, where, cells, genes, tested, var_names, chunked, normalization)


def _locate(
    adata: AnnData, *, use_raw: bool, layer: str | None
) -> tuple[Any, str, NDArray[np.int64], NDArray[np.int64], pd.Index[Any]]:
    """Matrix, its name, the row of each cell, the column of each variable, the variables' names."""
    if use_raw and adata.is_view and adata.isbacked:
        # As below; variables of raw are never subset.
        raw = _parent(adata).raw
        return raw.X, "adata.raw.X", _positions(adata._oidx, raw.n_obs), np.arange(raw.n_vars), raw.var_names
    if use_raw:
        # anndata subsets raw by itself when it makes a view in memory.
        raw = adata.raw
        return raw.X, "adata.raw.X", np.arange(adata.n_obs), np.arange(raw.n_vars), raw.var_names
    where = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    if not adata.is_view:
        matrix = _read_x(adata) if layer is None else adata.layers[layer]
        return matrix, where, np.arange(adata.n_obs), np.arange(adata.n_vars), adata.var_names
    # `view.X` copies the subset, so the parent's matrix is read through the indices that the view keeps.
    parent = _parent(adata)
    matrix = _read_x(parent) if layer is None else parent.layers[layer]
    cells = _positions(adata._oidx, parent.n_obs)
    columns = _positions(adata._vidx, parent.n_vars)
    return matrix, where, cells, columns, adata.var_names


def _parent(view: AnnData) -> Any:
    """Give the object of which some rows and columns are the view."""
    return view._adata_ref


def _read_x(adata: AnnData) -> Any:
    """Give X; None where there is none, in a file or in memory."""
    try:
        return adata.X
    except KeyError:
        # What anndata raises of a file without X.
        return None


def _is_column_major(adata: AnnData, matrix: Any) -> bool:
    """Tell whether a dense matrix, or what anndata would make of it for a view, has the values of a gene together."""
    slices = [isinstance(index, slice) for index in (adata._oidx, adata._vidx)] if adata.is_view else [True, True]
    if all(slices):
        return isinstance(matrix, np.ndarray) and abs(matrix.strides[0]) < abs(matrix.strides[1])
    # numpy puts the axis first that is not sliced.
    return slices == [True, False]


def in_memory(annotations: Any, *columns: str) -> pd.DataFrame:
    """Give obs or var as a data frame; of a lazily opened one, no more than some columns are read."""
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


def _positions(index: Any, n: int) -> NDArray[np.int64]:
    return np.arange(n)[index if isinstance(index, slice) else np.asarray(index)]


def _mask(
    adata: AnnData,
    mask_var: NDArray[Any] | pd.Series[bool] | str | AdRef[Any, Any] | None,
    var_names: pd.Index[Any],
    *,
    use_raw: bool,
) -> NDArray[np.bool_] | None:
    if mask_var is None:
        return None
    values = _resolve_reference(mask_var)
    if isinstance(values, str):
        if values not in adata.var.columns:
            columns = ", ".join(map(repr, adata.var.columns)) or "none exist"
            msg = f"mask_var={values!r} is not a column of adata.var. Valid: {columns}."
            raise KeyError(msg)
        values = in_memory(adata.var, values)[values]
    if np.ndim(values) != 1:
        msg = f"mask_var must have one dimension, a bool for each gene, but has shape {np.shape(values)}."
        raise ValueError(msg)
    mask = pd.Series(values)
    if not pd.api.types.is_bool_dtype(mask.dtype):
        names = pd.api.types.infer_dtype(mask) == "string"
        hint = " For names of genes, pass adata.var_names.isin(names)." if names else ""
        msg = f"mask_var must be boolean without missing values, but has dtype {mask.dtype}.{hint}"
        raise ValueError(msg)
    if mask.isna().any():
        msg = f"mask_var must be boolean without missing values, but has {mask.isna().sum():,} of these: fill them."
        raise ValueError(msg)
    if len(mask) != len(var_names):
        hint = " of adata.raw, which is ranked: pass use_raw=False to rank X" if use_raw else ""
        msg = f"mask_var has {len(mask)} values for {len(var_names)} genes{hint}."
        raise ValueError(msg)
    if not isinstance(mask.index, pd.RangeIndex) and not mask.index.equals(var_names):
        msg = (
            "mask_var is a Series whose index is not the names of the genes in their order. Pass "
            "mask_var.reindex(adata.var_names), or mask_var.to_numpy() if its values are in order."
        )
        raise ValueError(msg)
    return mask.to_numpy(dtype=bool)


def _resolve_reference(mask_var: Any) -> Any:
    """Give the name of the column of var that one of anndata's references means; leave all else as it is."""
    # anndata has references from 0.13 on, and who has one has imported this module.
    acc = sys.modules.get("anndata.acc")
    if acc is None or not isinstance(mask_var, acc.AdRef):
        return mask_var
    if not isinstance(mask_var.acc, acc.MetaAcc) or mask_var.acc.dim != "var" or mask_var.idx is None:
        msg = (
            f"mask_var={mask_var!r} is no reference to a column of adata.var: pass one such as "
            "A.var['highly_variable'], or a boolean array."
        )
        raise ValueError(msg)
    return mask_var.idx
