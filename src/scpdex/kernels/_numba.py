"""Private names of Numba, all in this file: the disk cache of compiled kernels.

Numba has no public way to choose the files of a cache or its folder. Where a release of Numba lacks one of these names,
:mod:`scpdex.kernels._disk_cache` does without a cache.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numba
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
    from collections.abc import Callable

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
    """

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
        """Read compiled code; None, so that Numba compiles it, if there is no file or the file is damaged."""
        name = self._file_name(key)
        try:
            content = Path(self._data_path(name)).read_bytes()
            is_whole = hashlib.sha256(content[:-_DIGEST_BYTES]).digest() == content[-_DIGEST_BYTES:]
            return self._load_data(name) if is_whole else None
        except OSError:
            return None


class _KernelCache(FunctionCache):
    """Numba's cache of one function, in files named by signature, processor and source."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _KeyedFile(self._cache_path, self._impl.filename_base, _DIGEST)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Read compiled code; None, so that Numba compiles it, if that fails."""
        try:
            return super().load_overload(sig, target_context)
        except AttributeError as error:
            warn_of_unknown_numba(error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write compiled code; warn if that fails."""
        try:
            super().save_overload(sig, data)
        except AttributeError as error:
            warn_of_unknown_numba(error)
        except OSError as error:
            warn_once(error.strerror or error, UNWRITABLE)


class _NoCache:
    """Stand-in for a cache, for a function that has no folder: warns when Numba would write to it."""

    cache_path = None

    def load_overload(self, _sig: Any, _target_context: Any) -> None:
        """Find nothing."""

    def save_overload(self, _sig: Any, _data: Any) -> None:
        """Warn instead of writing."""
        warn_once("no folder can be written to", UNWRITABLE)

    def flush(self) -> None:
        """Do nothing, since there are no files."""


def attach_cache(compiled: Any, function: Callable[..., Any]) -> None:
    """Give a compiled function its disk cache: beside its source, in the home, or in the private folder."""
    if not hasattr(compiled, "_cache"):
        warn_of_unknown_numba("compiled functions have no _cache")
        return
    try:
        compiled._cache = _KernelCache(function)
    except (RuntimeError, OSError):
        compiled._cache = _NoCache()
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


def offer_private_folder() -> None:
    """Let Numba fall back on the private folder wherever it would refuse to cache a function.

    Other packages cache functions when they are imported, and that fails where nothing can be written. Environment
    variables would reach child processes, and Numba's settings are read anew from them.
    """
    locators = CompileResultCacheImpl._locator_classes
    if _PrivateFolderLocator not in locators:
        locators.append(_PrivateFolderLocator)
