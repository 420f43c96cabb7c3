"""Scratch: one private file for what does not fit the memory budget, gone when it is closed."""

from __future__ import annotations

import shutil
import tempfile
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray


class Scratch:
    """Arrays in a file of the system's temporary folder (TMPDIR), which is made when first written to.

    The file has no name where the system allows that, so that it goes with the process however that ends.
    """

    def __init__(self) -> None:
        """Begin without a file."""
        self._file: IO[bytes] | None = None
        self._lock = Lock()
        self.n_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, *arrays: NDArray[Any]) -> int:
        """Append C-contiguous arrays and tell where they start.

        Raises
        ------
        OSError
            The disk is full, or a quota is used up.
        """
        with self._lock:
            start = self.n_bytes
            try:
                if self._file is None:
                    self._file = tempfile.TemporaryFile(prefix="scpdex-", buffering=0)  # noqa: SIM115
                self._file.seek(start)
                for array in arrays:
                    left = memoryview(array).cast("B") if array.size else memoryview(b"")
                    while left:
                        left = left[self._file.write(left) :]
                    self.n_bytes += array.nbytes
            except OSError as error:
                msg = (
                    f"scratch file in {tempfile.gettempdir()} could not take more than {self.n_bytes:,} bytes "
                    f"({error.strerror}): {_WAYS_OUT}"
                )
                raise OSError(error.errno, msg) from error
            return start

    def read(self, start: int, into: NDArray[Any]) -> None:
        """Fill a C-contiguous array with what was written from byte ``start`` on."""
        left = memoryview(into).cast("B") if into.size else memoryview(b"")
        with self._lock:
            if not left:
                return
            assert self._file is not None, "nothing was written yet"  # noqa: S101
            self._file.seek(start)
            while left:
                n = self._file.readinto(left)  # type: ignore[attr-defined]
                if not n:
                    msg = f"scratch file in {tempfile.gettempdir()} was cut short by someone else."
                    raise OSError(msg)
                left = left[n:]


_WAYS_OUT = "free some space, set TMPDIR to a folder on a larger disk, or raise max_memory."


def refuse_scratch_beyond_disk(n_bytes: int) -> None:
    """Raise an OSError if the disk of the temporary folder has less space than the scratch file may need."""
    if not n_bytes:
        return
    try:
        folder = tempfile.gettempdir()
    except OSError as error:
        msg = f"{n_bytes:,} bytes of scratch may be needed, and no temporary folder can be written to: {_WAYS_OUT}"
        raise OSError(error.errno, msg) from error
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        msg = (
            f"{n_bytes:,} bytes of scratch may be needed within this max_memory, but {folder} has {free:,} free: "
            f"{_WAYS_OUT}"
        )
        raise OSError(msg)
