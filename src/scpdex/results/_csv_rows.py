"""CSV rows: the long table as text, which may be compressed by gzip."""

from __future__ import annotations

import gzip
import zlib
from contextlib import ExitStack
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import pandas as pd

from scpdex.results._long_rows import RowWriter

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from scpdex.results._result_storage import ResultShape


class CsvRows(RowWriter):
    """A CSV file that is being written, with a header line. NaN is an empty field, as pandas writes and reads it."""

    def __init__(self, path: Path, shape: ResultShape, *, compress: bool) -> None:
        """Open the file."""
        super().__init__(shape)
        self._stack = ExitStack()
        raw: Any = self._stack.enter_context(path.open("wb"))
        if compress:
            # Without a time and a name in its header, a file depends on its rows alone.
            raw = self._stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
        self._file = self._stack.enter_context(TextIOWrapper(raw, encoding="utf-8", newline=""))
        pd.DataFrame(columns=[*self.names, *self.fields]).to_csv(self._file, index=False, lineterminator="\n")

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _write(self, rows: dict[str, NDArray[Any]]) -> None:
        columns = {name: self.names[name][column] if name in self.names else column for name, column in rows.items()}
        pd.DataFrame(columns, copy=False).to_csv(self._file, index=False, header=False, lineterminator="\n")


def read_header(path: Path) -> list[str]:
    """Read the names of the columns of a CSV file; none if it is not one.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with path.open("rb") as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rt", encoding="utf-8") if is_compressed else path.open(encoding="utf-8") as text:
            return text.readline(10_000).rstrip("\n").split(",")
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile, zlib.error):
        return []
