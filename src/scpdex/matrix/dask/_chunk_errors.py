"""Errors of dask's chunks, which travel from the workers of a cluster to the caller."""

from __future__ import annotations


class ChunkError(RuntimeError):
    """A chunk of a dask array could not be computed."""

    @classmethod
    def of(cls, matrix_name: str, error: BaseException) -> ChunkError:
        """Name the array and the error."""
        return cls(f"{matrix_name} is a dask array that could not be computed: {type(error).__name__}: {error}")


class ChunkKindError(TypeError):
    """A chunk is of a kind, shape or dtype that cannot be ranked."""


class ChunkValueError(ValueError):
    """A chunk has values that cannot be ranked."""
