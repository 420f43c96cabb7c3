"""Chunk engine: the members of whoever computes the chunks of a dask array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scpdex.matrix.dask._chunk_reader import ChunkReader, ChunkSample
    from scpdex.plan.matrix_info import Workers


class ChunkEngine(Protocol):
    """The members that each engine has.

    An engine on this machine also gives computed chunks for this process to work on
    (:meth:`LocalChunks.compute_parts`). An engine with workers of its own runs further tasks beside its chunks
    (:meth:`ClusterChunks.run_tasks`).
    """

    @property
    def workers(self) -> Workers | None:
        """The workers that compute chunks; None if this machine does."""
        ...

    def sample_chunks(self, reader: ChunkReader, chunk_rows: Sequence[int]) -> list[ChunkSample]:
        """Compute and keep the first stripe of some rows of chunks, and describe each."""
        ...

    def limit_kept_bytes(self, n_bytes: int) -> None:
        """Keep at most so many bytes of computed values, beside the sampled chunks."""
        ...

    def release(self) -> None:
        """Let go of all chunks and threads."""
        ...
