"""Open files: h5ad files and zarr stores as AnnData whose X, layers and raw stay on the disk."""

from __future__ import annotations

from errno import EMFILE
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import zarr
from anndata import AnnData, read_h5ad
from anndata.io import read_elem, sparse_dataset

from scpdex.matrix._file_entries import open_varm, read_uns

if TYPE_CHECKING:
    from contextlib import ExitStack

    from scpdex.matrix.joined._name_objects import FilePath


def open_file(path: FilePath, stack: ExitStack, *, with_results: bool = False) -> AnnData:
    """Open an h5ad file or zarr store for reading; ``stack`` closes it.

    Of ``uns``, only the entry ``"log1p"`` is read, and ``obsm``, ``varm``, ``obsp`` and ``varp`` are not. With
    ``with_results``, ``uns`` has all results, and None for each other entry; arrays in ``varm`` stay on the disk.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    OSError
        The file is neither an h5ad file nor a zarr store of an AnnData, or could not be read.
    """
    file = Path(path).expanduser()
    if not file.exists():
        msg = f"there is no file {fspath(path)!r}: pass paths of h5ad files or zarr stores on this machine."
        raise FileNotFoundError(msg)
    try:
        root: Any = zarr.open_group(file, mode="r") if file.is_dir() else stack.enter_context(h5py.File(file, "r"))
        if isinstance(root["obs"], h5py.Dataset):
            # Written before anndata 0.7.
            adata = read_h5ad(file, backed="r")
            stack.callback(adata.file.close)
            return adata
        uns = read_uns(root, with_results=with_results)
        varm = open_varm(root) if with_results else {}
        raw = {"X": _stored_matrix(root["raw"], "X"), "var": read_elem(root["raw/var"])} if "raw/X" in root else None
        layers = {name: _stored_matrix(root["layers"], name) for name in root.get("layers", ())}
        obs, var = read_elem(root["obs"]), read_elem(root["var"])
        return AnnData(_stored_matrix(root, "X"), obs=obs, var=var, uns=uns, varm=varm, layers=layers, raw=raw)
    except Exception as error:
        hint = ""
        if isinstance(error, OSError) and error.errno == EMFILE:
            hint = " Too many files are open: raise the limit (ulimit -n), or pass fewer files."
        msg = f"{fspath(path)!r} could not be read as an h5ad file or zarr store of an AnnData. The error was: {error}"
        raise OSError(msg + hint) from error


def _stored_matrix(group: Any, name: str) -> Any:
    """Give the array or the sparse dataset of this name; None if there is none, or it stands for None."""
    if name not in group or group[name].attrs.get("encoding-type") == "null":
        return None
    element = group[name]
    return element if isinstance(element, h5py.Dataset | zarr.Array) else sparse_dataset(element)
