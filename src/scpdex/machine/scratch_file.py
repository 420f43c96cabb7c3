"""Scratch file: one private temporary file for arrays beyond the memory budget; closing it deletes it."""

from __future__ import annotations

import shutil
import tempfile
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Scratch:
    """Arrays in one file of the system's temporary folder (TMPDIR), which the first write creates.

    The file has no name on systems that allow it, so that the system deletes it however the process ends.
    """

    def __init__(self) -> None:
        """Start without a file."""
        self._file: IO[bytes] | None = None
        self._lock = Lock()
        self.n_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, *arrays: NDArray[Any]) -> int:
        """Append C-contiguous arrays, and give the byte at which the first one starts.

        Raises
        ------
        OSError
            The disk or the quota is full.
        """
        with self._lock:
            start = self.n_bytes
            try:
                if self._file is None:
                    self._file = tempfile.TemporaryFile(prefix="scpdex-", buffering=0)  # noqa: SIM115
                self._file.seek(start)
                for array in arrays:
                    remaining = memoryview(array).cast("B") if array.size else memoryview(b"")
                    while remaining:
                        remaining = remaining[self._file.write(remaining) :]
                    self.n_bytes += array.nbytes
            except OSError as error:
                msg = (
                    f"scratch file in {tempfile.gettempdir()} could not take more than {self.n_bytes:,} bytes "
                    f"({error.strerror}): {_ADVICE}"
                )
                raise OSError(error.errno, msg) from error
            return start

    def read(self, start: int, into: NDArray[Any]) -> None:
        """Fill a C-contiguous array with the bytes from ``start`` on."""
        remaining = memoryview(into).cast("B") if into.size else memoryview(b"")
        with self._lock:
            if not remaining:
                return
            assert self._file is not None, "nothing was written yet"  # noqa: S101
            self._file.seek(start)
            while remaining:
                n_read = self._file.readinto(remaining)  # type: ignore[attr-defined]
                if not n_read:
                    msg = (
                        f"scratch file in {tempfile.gettempdir()} is shorter than what was written to it: another "
                        "process cut it. Set TMPDIR to a folder that no other process clears, and call again."
                    )
                    raise OSError(msg)
                remaining = remaining[n_read:]


_ADVICE = "free some space, set TMPDIR to a folder on a larger disk, or raise max_memory."


def refuse_scratch_beyond_disk(n_bytes: int) -> None:
    """Raise an OSError if the disk of the temporary folder has less free space than the scratch file may need."""
    if not n_bytes:
        return
    try:
        folder = tempfile.gettempdir()
    except OSError as error:
        msg = f"{n_bytes:,} bytes of scratch may be needed, and no temporary folder can be written to: {_ADVICE}"
        raise OSError(error.errno, msg) from error
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        msg = (
            f"{n_bytes:,} bytes of scratch may be needed within this max_memory, but {folder} has {free:,} free: "
            f"{_ADVICE}"
        )
        raise OSError(msg)
