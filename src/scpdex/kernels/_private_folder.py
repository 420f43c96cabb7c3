"""Private folder: where compiled functions go when no lasting folder can be written to."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from numba.core.caching import CompileResultCacheImpl, _CacheLocator, _SourceFileBackedLocatorMixin

from scpdex.kernels._warning import warn_once

if TYPE_CHECKING:
    from collections.abc import Callable

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
            warn_once("neither the installation nor the home, nor NUMBA_CACHE_DIR, can be written to")
        return _folder


def _remove(folder: Path, owner: int) -> None:
    # A forked process uses the folder of its parent, and must not take it away.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


class PrivateFolderLocator(_SourceFileBackedLocatorMixin, _CacheLocator):
    """Numba's last resort for where to cache a function, in this package and in others."""

    def __init__(self, function: Callable[..., Any], source: str) -> None:
        self._py_file = source
        self._lineno = function.__code__.co_firstlineno
        self._path = private_folder() / self.get_suitable_cache_subpath(source)

    @classmethod
    def from_function(cls, function: Callable[..., Any], source: str) -> Self | None:
        """Locate the cache of a function; None where its source is not a file."""
        if not Path(source).exists():
            return None
        locator = cls(function, source)
        locator.ensure_cache_path()
        return locator

    def get_cache_path(self) -> str:
        """Give the folder of the source file."""
        return str(self._path)


def offer_private_folder() -> None:
    """Let Numba fall back on the private folder wherever it would refuse to cache a function.

    Other packages cache functions when they are imported, and that fails where nothing can be written. Environment
    variables would reach child processes, and Numba's settings are read anew from them.
    """
    locators = CompileResultCacheImpl._locator_classes
    if PrivateFolderLocator not in locators:
        locators.append(PrivateFolderLocator)
