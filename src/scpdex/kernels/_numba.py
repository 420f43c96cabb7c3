"""Private names of Numba, all in this file: the disk cache of compiled kernels.

Numba has no public way to choose the files of a cache or its folder. Where a release of Numba lacks one of these names,
:mod:`scpdex.kernels._disk_cache` does without a cache.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numba
from llvmlite.binding import get_host_cpu_name
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    _CacheLocator,
    _SourceFileBackedLocatorMixin,
)

from scpdex.kernels._cache_warning import UNWRITABLE, warn_of_unknown_numba, warn_once
from scpdex.kernels._private_folder import private_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DIGEST_BYTES = hashlib.sha256().digest_size


def _hash_kernel_sources() -> str:
    """Digest of all sources of kernels: a compiled kernel contains the kernels that it calls."""
    package = Path(__file__).parent.parent
    sources = sorted([*package.glob("kernels/*.py"), *package.glob("statistics/*.py")])
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


_DIGEST = _hash_kernel_sources()


class _KeyedFile(IndexDataCacheFile):
    """Cache files named by their content.

    Numba numbers its files in the order in which signatures are compiled, and lists them in an index. Two processes
    that compile different signatures at once both take the next number, and whoever loads that file later runs code
    for the wrong types. Numba also ignores changes in the kernels that a kernel calls, and whether the code checks
    indices (NUMBA_BOUNDSCHECK).

    Files are written to ``folder``, and read from there or else from ``further_folders``: the name of a file tells
    that it is the right one, whoever wrote it.
    """

    def __init__(self, folder: str, base_name: str, digest: str, further_folders: Iterable[str] = ()) -> None:
        super().__init__(folder, base_name, digest)
        self._further_files = [_KeyedFile(further, base_name, digest) for further in further_folders]

    def _file_name(self, key: Any) -> str:
        checks_indices = vars(numba.config)["BOUNDSCHECK"]
        content = repr((numba.__version__, checks_indices, self._source_stamp, key))
        digest = hashlib.sha256(content.encode()).hexdigest()
        return f"{self._index_name.removesuffix('.nbi')}.{digest[:32]}.nbc"

    def _dump(self, obj: Any) -> bytes:
        # Unpickling stops before the digest.
        content: bytes = super()._dump(obj)
        return content + hashlib.sha256(content).digest()

    def save(self, key: Any, data: Any) -> None:
        """Write compiled code."""
        self._save_data(self._file_name(key), data)

    def load(self, key: Any) -> Any:
        """Read compiled code; None, so that Numba compiles it, if no folder has a file that is whole."""
        name = self._file_name(key)
        found = (file._read(name) for file in (self, *self._further_files))
        return next((data for data in found if data is not None), None)

    def _read(self, name: str) -> Any:
        try:
            content = Path(self._data_path(name)).read_bytes()
            is_whole = hashlib.sha256(content[:-_DIGEST_BYTES]).digest() == content[-_DIGEST_BYTES:]
            return self._load_data(name) if is_whole else None
        except OSError:
            return None


class _KernelCacheImpl(CompileResultCacheImpl):
    """Numba's choice of the folder that a kernel is written to; it may be none."""

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            super().__init__(function)
        except (RuntimeError, OSError):
            self._locator_classes = [_NoFolderLocator]
            super().__init__(function)


class _KernelCache(FunctionCache):
    """Numba's cache of one kernel, in files named by signature, processor and source.

    Numba reads from a folder only if it can write there too. Kernels are read from every folder that Numba looks at.
    """

    _impl_class = _KernelCacheImpl

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        further_folders = [folder for folder in _list_folders(function) if folder != self._cache_path]
        self._cache_file = _KeyedFile(self._cache_path, self._impl.filename_base, _DIGEST, further_folders)

    @property
    def cache_path(self) -> str | None:
        """Folder that files are written to; None if there is none, or if it goes with the process."""
        has_folder = not isinstance(self._impl.locator, _PrivateFolderLocator | _NoFolderLocator)
        return self._cache_path if has_folder else None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Read compiled code; None, so that Numba compiles it, if that fails."""
        try:
            return super().load_overload(sig, target_context)
        except AttributeError as error:
            warn_of_unknown_numba(error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write compiled code; warn if that fails, or if the folder goes with the process."""
        try:
            super().save_overload(sig, data)
        except AttributeError as error:
            warn_of_unknown_numba(error)
        except OSError as error:
            warn_once(error.strerror or error, UNWRITABLE)
        else:
            if isinstance(self._impl.locator, _PrivateFolderLocator):
                warn_once("neither the installation nor the home, nor NUMBA_CACHE_DIR, can be written to", UNWRITABLE)


def _list_folders(function: Callable[..., Any]) -> list[str]:
    """List the lasting folders that Numba would cache a function in, whether they can be written to or not."""
    if vars(numba.config).get("CACHE_LOCATOR_CLASSES"):
        # The user has chosen which folders count, by the environment variable NUMBA_CACHE_LOCATOR_CLASSES.
        return []
    folders = []
    for locator_class in CompileResultCacheImpl._locator_classes:
        if locator_class is not _PrivateFolderLocator:
            # Numba's locators refuse a function whose folder they cannot write to.
            reading_class: Any = type("_ReadingLocator", (locator_class,), {"ensure_cache_path": lambda _: None})
            locator = reading_class.from_function(function, inspect.getfile(function))
            if locator is not None:
                folders.append(locator.get_cache_path())
    return folders


def cpu_name() -> str:
    """Name the processor that kernels are compiled for, as LLVM calls it: this one, or NUMBA_CPU_NAME."""
    return str(vars(numba.config)["CPU_NAME"] or get_host_cpu_name())


def attach_cache(compiled: Any, function: Callable[..., Any]) -> None:
    """Give a compiled function its disk cache: beside its source, in the home, or in the private folder."""
    if not hasattr(compiled, "_cache"):
        warn_of_unknown_numba("compiled functions have no _cache")
        return
    try:
        compiled._cache = _KernelCache(function)
    except (RuntimeError, OSError) as error:
        # Of the folders that NUMBA_CACHE_LOCATOR_CLASSES allows, none can be written to.
        warn_once(error, UNWRITABLE)
    except AttributeError as error:
        warn_of_unknown_numba(error)


class _PrivateFolderLocator(_SourceFileBackedLocatorMixin, _CacheLocator):
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
        """Name the folder for the functions of the source file."""
        return str(self._path)


class _NoFolderLocator(_SourceFileBackedLocatorMixin, _CacheLocator):
    """Locator of kernels that can be written to no folder: they are read from those that Numba cannot write to."""

    def __init__(self, function: Callable[..., Any], source: str) -> None:
        self._py_file = source
        self._lineno = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], source: str) -> Self:
        """Locate no folder."""
        return cls(function, source)

    def get_cache_path(self) -> str:
        """Name a folder without files."""
        return os.devnull

    def ensure_cache_path(self) -> None:
        """Refuse to write."""
        msg = "no folder can be written to"
        raise OSError(msg)


def offer_private_folder() -> None:
    """Let Numba fall back on the private folder wherever it would refuse to cache a function.

    Other packages cache functions when they are imported, and that fails where nothing can be written. Environment
    variables would reach child processes, and Numba's settings are read anew from them.
    """
    locators = CompileResultCacheImpl._locator_classes
    if _PrivateFolderLocator not in locators:
        locators.append(_PrivateFolderLocator)
