"""Cell stream: parts of a matrix, read in turn on one thread and turned gene-major on others."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

from scpdex.machine.threads import map_in_order, read_ahead

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from concurrent.futures import Executor

    from scpdex.matrix.chunked._gene_major_pieces import Piece


class CellStream(Protocol):
    """The compared cells of a matrix, read in parts."""

    def cut(self, n_values: int) -> Generator[slice, None, None]:
        """Cut into parts of about ``n_values``."""
        ...

    def read(self, part: slice, max_values: int, /) -> Any:
        """Read a part, in the form that it has in the file."""
        ...

    def make_piece(self, read: Any, /) -> Piece:
        """Decode a part that was read, and turn it gene-major."""
        ...


def stream_pieces(
    streams: Sequence[CellStream], n_values: int, pool: Executor, n_threads: int
) -> Generator[Piece, None, None]:
    """Read the cells of all streams in turn, about ``n_values`` at a time, and turn them gene-major on the pool."""

    def read(part: tuple[CellStream, slice]) -> tuple[CellStream, Any]:
        stream, where = part
        return stream, stream.read(where, n_values)

    def make_piece(part: tuple[CellStream, Any]) -> Piece:
        stream, content = part
        return stream.make_piece(content)

    parts = ((stream, part) for stream in streams for part in stream.cut(n_values))
    with closing(read_ahead(read, parts)) as read_parts:
        yield from map_in_order(pool, make_piece, read_parts, n_threads)
