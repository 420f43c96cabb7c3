"""Private folder: where compiled functions go when no lasting folder can be written to."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from threading import Lock

_lock = Lock()
_folder: Path | None = None


def private_folder() -> Path:
    """Make the folder of this process on first use: mode 0700, an unpredictable name, removed at exit.

    Raises
    ------
    OSError
        The temporary folder cannot be written to either.
    """
    global _folder  # noqa: PLW0603
    with _lock:
        if _folder is None:
            try:
                _folder = Path(tempfile.mkdtemp(prefix="scpdex-kernels-"))
            except OSError as error:
                msg = (
                    "no folder can be written to for compiled kernels: not the installation, the home, nor the "
                    f"temporary folder ({error.strerror}). Set the environment variable NUMBA_CACHE_DIR to a folder "
                    "that can be written to."
                )
                raise OSError(error.errno, msg) from error
            atexit.register(_remove, _folder, os.getpid())
        return _folder


def _remove(folder: Path, owner: int) -> None:
    # A forked process uses the folder of its parent, and must not remove it.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
