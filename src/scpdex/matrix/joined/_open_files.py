"""Open files: h5ad files and zarr stores as AnnData whose X, layers and raw stay on the disk."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import zarr
from anndata import AnnData
from anndata.io import read_elem, sparse_dataset

if TYPE_CHECKING:
    from contextlib import ExitStack

FilePath = str | PathLike[str]


def is_path(x: Any) -> bool:
    """Tell whether an element of a list is the path of a file."""
    return isinstance(x, str | PathLike)


def open_file(path: FilePath, stack: ExitStack) -> AnnData:
    """Open an h5ad file or zarr store for reading; ``stack`` closes it.

    Of ``uns``, only the entry ``"log1p"`` is read, and ``obsm``, ``varm``, ``obsp`` and ``varp`` are not.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    OSError
        The file is neither an h5ad file nor a zarr store of an AnnData, or could not be read.
    """
    if not Path(path).exists():
        msg = f"there is no file {fspath(path)!r}: pass paths of h5ad files or zarr stores."
        raise FileNotFoundError(msg)
    try:
        is_store = Path(path).is_dir()
        root: Any = zarr.open_group(path, mode="r") if is_store else stack.enter_context(h5py.File(path, "r"))
        log1p = {"log1p": read_elem(root["uns/log1p"])} if "uns/log1p" in root else {}
        raw = {"X": _stored_matrix(root["raw"], "X"), "var": read_elem(root["raw/var"])} if "raw/X" in root else None
        layers = {name: _stored_matrix(root["layers"], name) for name in root.get("layers", ())}
        obs, var = read_elem(root["obs"]), read_elem(root["var"])
        return AnnData(_stored_matrix(root, "X"), obs=obs, var=var, uns=log1p, layers=layers, raw=raw)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        msg = f"{fspath(path)!r} could not be read as an h5ad file or zarr store of an AnnData. The error was: {error}"
        raise OSError(msg) from error


def _stored_matrix(group: Any, name: str) -> Any:
    """Give the array or the sparse dataset of this name; None if there is none, or it stands for None."""
    if name not in group or group[name].attrs.get("encoding-type") == "null":
        return None
    element = group[name]
    return element if isinstance(element, h5py.Dataset | zarr.Array) else sparse_dataset(element)
