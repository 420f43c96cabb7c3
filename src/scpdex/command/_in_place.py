"""In place: the result put into an h5ad file, by a copy beside it that has the result and then takes its place."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.command._rank_options import make_arguments
from scpdex.machine.replaced_file import replace_file
from scpdex.matrix import EntryChanges, open_file, write_entries
from scpdex.statistics.reported_columns import stored_types
from scpdex.task import open_task
from scpdex.tl import rank_genes_parallel
from scpdex.tl._result_entries import list_level_fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData


def rank_in_place(files: Sequence[str], arguments: Mapping[str, Any]) -> None:
    """Rank the genes of an h5ad file, and put the result into ``varm`` and ``uns`` of the file.

    At any moment the file is whole, the old one or the new one. ``obs`` and all else stay as they are, to the byte.

    Raises
    ------
    OSError
        The folder lacks the space for the copy, or cannot be written to.
    ValueError
        There are several files, it is no h5ad file, or it changed while it was ranked.
    """
    path = _find_h5ad_file(files)
    # It also makes sure, before any work, that the folder can be written to.
    with replace_file(path) as temporary:
        state = _read_state(path)
        with ExitStack() as stack:
            adata = open_file(path, stack, with_results=True)
            _refuse_old_file(adata, path)
            _refuse_lack_of_space(path, _estimate_result_bytes(adata, arguments))
            uns, varm = dict(adata.uns), dict(adata.varm)
            rank_genes_parallel(adata, **arguments, storage="varm")
            changes = {
                "uns": EntryChanges.between(uns, dict(adata.uns)),
                "varm": EntryChanges.between(varm, dict(adata.varm)),
            }
        shutil.copyfile(path, temporary)
        write_entries(temporary, changes)
        if _read_state(path) != state:
            msg = f"{str(path)!r} was changed while it was ranked, and is left as it is: call again."
            raise ValueError(msg)


def _find_h5ad_file(files: Sequence[str]) -> Path:
    """Give the path of the one h5ad file, or raise a ValueError."""
    if len(files) > 1:
        msg = f"--in-place puts the result into one h5ad file, and there are {len(files)} files: use --out."
        raise ValueError(msg)
    path = Path(files[0]).expanduser()
    if path.is_dir():
        msg = f"--in-place replaces a file, and {files[0]!r} is a folder, as zarr stores are: use --out."
        raise ValueError(msg)
    if not path.exists():
        # What all calls say of it; no temporary file is made beside it.
        with ExitStack() as stack:
            open_file(path, stack)
    # The file that a link leads to is the one that is copied, and replaced.
    return path.resolve()


def _refuse_old_file(adata: AnnData, path: Path) -> None:
    if adata.isbacked:
        msg = (
            f"{str(path)!r} was written before anndata 0.7, and has no varm that could hold a result: read and write "
            "it once, or use --out."
        )
        raise ValueError(msg)


def _read_state(path: Path) -> tuple[int, int, int]:
    """Give what changes when a file is written or replaced."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _refuse_lack_of_space(path: Path, result_bytes: int) -> None:
    """Raise an OSError if the disk of the file has no room for its copy with the result."""
    n_bytes, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    if n_bytes + result_bytes > free:
        msg = (
            f"--in-place copies the file ({n_bytes:,} bytes) and adds the result ({result_bytes:,} bytes), but "
            f"{str(path.parent)!r} has {free:,} bytes free: free some space, or use --out with a path on another disk."
        )
        raise OSError(msg)


def _estimate_result_bytes(adata: AnnData, arguments: Mapping[str, Any]) -> int:
    """Estimate the bytes of the result's matrices, of each level: variables x groups."""
    # Ranks are int32; fractions, which are no column, float64.
    types = stored_types()
    with open_task(adata, make_arguments({**arguments, "storage": "varm"})) as task:
        level_fields = list_level_fields(task)
        bytes_per_pair = [
            sum(4 if name == "ranks" else np.dtype(types.get(name, np.float64)).itemsize for name in names)
            for names in level_fields.values()
        ]
        n_groups = [len(comparison.groups) for comparison in task.design.comparisons]
    return int(adata.n_vars) * sum(n * n_bytes for n, n_bytes in zip(n_groups, bytes_per_pair, strict=True))
