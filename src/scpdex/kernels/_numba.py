"""The disk cache of compiled kernels, safe when several processes compile at the same time."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache

from scpdex.kernels._warning import warn_once

if TYPE_CHECKING:
    from collections.abc import Callable

_DIGEST_BYTES = hashlib.sha256().digest_size


def _digest_of_kernels() -> str:
    """Digest of the source of all kernels, since a compiled kernel holds those that it calls."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


_DIGEST = _digest_of_kernels()


class _KeyedFile(IndexDataCacheFile):
    """Files named by what they hold.

    Numba numbers its files in the order in which signatures are compiled and lists them in an index. Two processes
    that compile different signatures at once both take the next number, and whoever loads that file later runs code
    for the wrong types. It also takes no notice of changes in the kernels that a kernel calls, nor of whether indices
    were to be checked (NUMBA_BOUNDSCHECK).
    """

    def _name_of(self, key: Any) -> str:
        checks_indices = vars(numba.config)["BOUNDSCHECK"]
        content = repr((numba.__version__, checks_indices, self._source_stamp, key))
        digest = hashlib.sha256(content.encode()).hexdigest()
        return f"{self._index_name.removesuffix('.nbi')}.{digest[:32]}.nbc"

    def _dump(self, obj: Any) -> bytes:
        # What reads it ends before the digest.
        content: bytes = super()._dump(obj)
        return content + hashlib.sha256(content).digest()

    def save(self, key: Any, data: Any) -> None:
        """Keep what was compiled."""
        self._save_data(self._name_of(key), data)

    def load(self, key: Any) -> Any:
        """Give what was kept; None, to compile it, if there is nothing, or nothing whole."""
        name = self._name_of(key)
        try:
            kept = Path(self._data_path(name)).read_bytes()
            is_whole = hashlib.sha256(kept[:-_DIGEST_BYTES]).digest() == kept[-_DIGEST_BYTES:]
            return self._load_data(name) if is_whole else None
        except OSError:
            return None


class KernelCache(FunctionCache):
    """Numba's cache of one function, in files named by signature, processor and source."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _KeyedFile(self._cache_path, self._impl.filename_base, _DIGEST)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, where that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            warn_once(error.strerror or error)


class NoCache(NullCache):
    """Of a function that there is no folder for."""

    def save_overload(self, _sig: Any, _data: Any) -> None:
        """Warn instead."""
        warn_once("no folder can be written to")


def cache_of(function: Callable[..., Any]) -> KernelCache | NoCache:
    """Find a folder for a compiled function: beside its source, in the home, or the private folder of the process."""
    try:
        return KernelCache(function)
    except (RuntimeError, OSError):
        return NoCache()
