"""Expression: the matrix of an AnnData that is ranked, its rows that are cells, its columns that are tested genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.machine.threads import anndata_lock
from scpdex.matrix._anndata import is_absent, is_closed, is_column_major, layer_names, locate_matrix
from scpdex.matrix._gene_mask import read_gene_mask
from scpdex.matrix._normalization import Normalization
from scpdex.matrix._rankable_values import native, refuse_dtype, refuse_inexact, refuse_unrankable
from scpdex.matrix.chunked._array_stores import is_on_disk
from scpdex.matrix.dask._chunk_grid import is_dask, refuse_unknown_chunks

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from anndata.acc import AdRef
    from numpy.typing import NDArray

    from scpdex.matrix._normalization import NormalizeRule


@dataclass(frozen=True)
class Expression:
    """The matrix that is ranked: its rows that are cells, its columns that are tested genes."""

    matrix: Any
    """The user's numpy array, or CSR or CSC matrix or array of scipy; or an array or sparse dataset of an HDF5 file or
    zarr store; or a dask array. None for several objects, see ``parts``."""
    matrix_name: str
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
    """Whether the matrix is read in parts."""
    normalization: Normalization | None
    """How counts are normalized; None leaves values as they are."""
    parts: tuple[Expression, ...] = ()
    """For several objects: the expression of each that has cells, with the same genes in the same order."""

    @property
    def on_disk(self) -> bool:
        """Whether the matrix, or one of several, is in a file or store."""
        return is_on_disk(self.matrix) or any(part.on_disk for part in self.parts)

    @property
    def is_joined(self) -> bool:
        """Whether the matrices of several objects are ranked as one."""
        return bool(self.parts)

    @property
    def is_dask(self) -> bool:
        """Whether the matrix is a dask array."""
        return is_dask(self.matrix)

    @property
    def names(self) -> NDArray[Any]:
        """Names of the tested genes as plain strings in an object array, as scanpy's layout has them."""
        # pandas takes ten times as long to give its own strings one by one.
        return np.array([str(name) for name in self.var_names.to_numpy(dtype=object)], dtype=object)

    def rows(self, chosen: NDArray[np.bool_]) -> Any:
        """Copy the tested genes of the chosen cells: cells x genes, a numpy array, CSR or CSC as the matrix is.

        Raises
        ------
        ValueError
            The copy has NaN or infinite values.
        """
        cells = self.cells[chosen]
        if isinstance(self.matrix, np.ndarray):
            rows = native(self.matrix[np.ix_(cells, self.genes)])
            self.refuse_not_finite((~np.isfinite(rows)).sum(axis=0))
            return rows
        rows = self.matrix[cells][:, self.genes]
        rows.data = native(rows.data)
        triplets = rows.tocoo()
        self.refuse_not_finite(np.bincount(triplets.col[~np.isfinite(triplets.data)], minlength=self.genes.size))
        return rows

    def refuse_not_finite(self, per_gene: NDArray[np.int64]) -> None:
        """Raise a ValueError if any tested gene has NaN or infinite values; ``per_gene`` counts these."""
        if per_gene.any():
            msg = (
                f"{self.matrix_name} holds {per_gene.sum():,} NaN or infinite values in the compared cells and tested "
                f"genes, the first in gene {str(self.var_names[np.flatnonzero(per_gene)[0]])!r}. Replace them, or "
                "leave such genes out with mask_var, or a view of adata."
            )
            raise ValueError(msg)


def select_expression(
    adata: AnnData,
    *,
    use_raw: bool | None,
    layer: str | None,
    mask_var: NDArray[Any] | pd.Series[bool] | str | AdRef[Any, Any] | None,
    low_memory: bool | None,
    normalize: NormalizeRule | None,
) -> Expression:
    """Select the matrix by scanpy's rules, its cells and its tested genes, and refuse what cannot be ranked.

    Raises
    ------
    KeyError
        ``layer`` or the column ``mask_var`` does not exist.
    TypeError
        The matrix is of a kind or dtype that cannot be ranked.
    ValueError
        ``low_memory`` is False for a matrix on disk or in dask, ``layer`` and raw are both asked for, raw is absent,
        the matrix is absent, empty or in a closed file, or ``mask_var`` does not fit.
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
        layers = ", ".join(map(repr, layer_names(adata))) or "none exist"
        msg = f"layer={layer!r} is not in adata.layers. Valid: {layers}."
        raise KeyError(msg)
    with anndata_lock:
        located = locate_matrix(adata, use_raw=use_raw, layer=layer)
    matrix, matrix_name = located.matrix, located.matrix_name
    if is_closed(matrix):
        msg = (
            f"{matrix_name} is in a file that was closed: open the file again, as by anndata.read_h5ad(path, "
            "backed='r')."
        )
        raise ValueError(msg)
    if is_absent(matrix):
        msg = f"{matrix_name} is None: there is no matrix to rank. Set it, or rank a layer or raw."
        raise ValueError(msg)
    on_disk, in_dask = is_on_disk(matrix), is_dask(matrix)
    if (on_disk or in_dask) and low_memory is False:
        place = "a dask array" if in_dask else "on disk"
        msg = (
            f"low_memory=False, but {matrix_name} is {place}: pass low_memory=None to read it in parts, or "
            "adata.to_memory() if it fits."
        )
        raise ValueError(msg)
    if in_dask:
        refuse_dtype(matrix.dtype, matrix_name)
        refuse_unknown_chunks(matrix, matrix_name)
    elif not on_disk:
        refuse_unrankable(matrix, matrix_name)
        # np.matrix has methods of its own.
        matrix = np.asarray(matrix) if isinstance(matrix, np.ndarray) else matrix
    columns, var_names = located.columns, located.var_names
    mask = read_gene_mask(adata, mask_var, var_names, use_raw=use_raw)
    tested = np.arange(columns.size) if mask is None else np.flatnonzero(mask)
    normalization = None
    if normalize is not None:
        normalization = Normalization.of(
            normalize,
            columns,
            var_names,
            tested,
            n_columns=matrix.shape[1],
            matrix_name=matrix_name,
            adds_left_to_right=not use_raw and is_column_major(adata, matrix),
        )
    cells, genes = located.rows, columns[tested]
    if cells.size == 0 or genes.size == 0:
        reason = ": mask_var is False for every gene" if mask is not None and columns.size else ""
        msg = (
            f"There is nothing to rank: {cells.size} cells x {genes.size} genes of {matrix_name} are selected{reason}."
        )
        raise ValueError(msg)
    if not (on_disk or in_dask) and normalize is None:
        refuse_inexact(matrix, matrix_name, rows=cells, columns=genes)
    return Expression(
        matrix=matrix,
        matrix_name=matrix_name,
        cells=cells,
        genes=genes,
        var_positions=tested,
        var_names=var_names if mask is None else var_names[mask],
        chunked=on_disk or in_dask or bool(low_memory) or normalize is not None,
        normalization=normalization,
    )
