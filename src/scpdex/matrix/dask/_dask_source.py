"""dask source: the compared cells and tested genes of a dask array, estimated from a few of its chunks."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import dask
import numpy as np

from scpdex.machine.threads import map_in_order, read_ahead
from scpdex.matrix._source import Source
from scpdex.matrix.chunked._row_stream import MARGIN
from scpdex.matrix.dask._chunk_grid import Grid
from scpdex.matrix.dask._chunk_reader import ChunkReader
from scpdex.matrix.dask._engines import find_engine
from scpdex.matrix.dask._on_this_machine import LocalChunks
from scpdex.plan.matrix_info import DaskMatrix, code_dtype
from scpdex.plan.memory_model import SAMPLED_CHUNKS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Executor

    from dask.array import Array
    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix._expression import Expression
    from scpdex.matrix.chunked._gene_major_pieces import Piece
    from scpdex.matrix.dask._chunk_grid import Part
    from scpdex.matrix.dask._chunk_reader import Look
    from scpdex.matrix.dask._on_cluster import ClusterChunks
    from scpdex.plan.plan import Plan

Result = TypeVar("Result")

_LEAST_DENSITY = 0.01


@dataclass(frozen=True)
class DaskSource(Source):
    """The compared cells and tested genes of a dask array, in the order of the rows."""

    chunks: LocalChunks | ClusterChunks
    grid: Grid
    reader: ChunkReader
    codes: NDArray[Any]
    """Code of each compared cell's group."""
    info: DaskMatrix

    @classmethod
    def open(cls, expression: Expression, design: Design, columns: NDArray[np.int64]) -> DaskSource:
        """Compute some chunks, which are kept, and say what these let expect of all.

        Raises
        ------
        TypeError, ValueError
            Chunks are of a kind, shape or dtype, or have values, that cannot be ranked.
        RuntimeError
            A chunk could not be computed.
        """
        array, normalization = expression.matrix, expression.normalization
        compared = design.codes >= 0
        rows = expression.cells[compared]
        order = np.argsort(rows, kind="stable")
        codes = design.codes[compared][order].astype(code_dtype(design.sizes.size))
        most = dask.utils.parse_bytes(dask.config.get("array.chunk-size"))
        library_columns = None if normalization is None else normalization.sorted_library_columns(array.shape[1])
        grid = Grid.of(array, rows[order], columns, most, library_columns)
        chunks = find_engine(array, grid, expression.where)
        try:
            places = np.unique(np.linspace(0, grid.occupied.size - 1, SAMPLED_CHUNKS).round().astype(int))
            first_column = int(grid.column_ends[grid.stripes[0].start])
            reader = ChunkReader(expression.where, columns, normalization, first_column)
            looks = chunks.look(reader, grid.occupied[places].tolist())
            reader = replace(reader, dtype=looks[0].dtype)
            compared_rows = [grid.compared(i) for i in grid.occupied[places].tolist()]
            are_counts = all(look.look_like_counts[rows].all() for look, rows in zip(looks, compared_rows, strict=True))
            info = replace(_describe(array, grid, looks, reader, codes.size), are_counts=are_counts)
            return cls(chunks, grid, reader, codes, replace(info, workers=chunks.workers))
        except BaseException:
            # Chunks that were looked at are kept, and threads wait for more.
            chunks.release()
            raise

    @property
    def is_local(self) -> bool:
        """Whether this machine does the work."""
        return isinstance(self.chunks, LocalChunks)

    def prepare(self, plan: Plan) -> None:
        """Keep no more of what several chunks need than the plan grants."""
        self.chunks.keep_up_to(plan.shared_bytes)

    def close(self) -> None:
        """Let go of chunks that are kept, and end the threads."""
        self.chunks.release()

    @property
    def rows(self) -> DaskSource:
        """The cells as a stream of pieces: this source itself, if this machine computes the chunks."""
        return self

    @property
    def cluster(self) -> ClusterChunks:
        """The chunks, which the workers of a cluster compute."""
        assert not isinstance(self.chunks, LocalChunks), "this machine computes the chunks"  # noqa: S101
        return self.chunks

    @property
    def columns(self) -> NDArray[np.int64]:
        """Column of each tested gene."""
        return self.grid.columns

    @property
    def n_steps(self) -> int:
        """Number of steps of a progress bar in one pass: one for each compared cell and stripe."""
        return self.codes.size * len(self.grid.stripes)

    def parts(self, n_values: int) -> Iterator[Part]:
        """Cut into parts of about ``n_values``, or of one row of chunks."""
        values_per_row = self.info.values_of_longest_chunk / self.grid.longest
        return self.grid.parts(max(1, int(n_values / values_per_row)))

    def pieces(self, n_values: int, pool: Executor, n_threads: int) -> Generator[Piece, None, None]:
        """Compute all chunks in turn, ahead of those who take them; the pool's threads turn them gene-major."""
        return self.each_part(lambda piece, _: piece, n_values, pool, n_threads)

    def each_part(
        self, work: Callable[[Piece, Part], Result], n_values: int, pool: Executor, n_threads: int
    ) -> Generator[Result, None, None]:
        """Give in turn what ``work`` makes of each part of about ``n_values``, on the pool's threads."""
        chunks, n_genes = self.chunks, self.columns.size
        assert isinstance(chunks, LocalChunks), "the workers of a cluster compute the chunks"  # noqa: S101

        def compute(parts: list[Part]) -> list[tuple[Part, list[list[Any]]]]:
            return list(zip(parts, chunks.compute(parts, self.reader), strict=True))

        def turn_and_work(computed: tuple[Part, list[list[Any]]]) -> Result:
            part, part_chunks = computed
            return work(self.reader.piece(part_chunks, part, self.codes[part.cells], n_genes), part)

        # As many parts at once as there are threads: the tasks of one part may wait for each other.
        parts = list(self.parts(n_values))
        batches = [parts[first : first + n_threads] for first in range(0, len(parts), n_threads)]
        with closing(read_ahead(compute, batches)) as computed:
            yield from map_in_order(pool, turn_and_work, chain.from_iterable(computed), n_threads)

    def refuse_changed(self) -> None:
        """Do nothing: chunks are computed once, so that none can change in between."""


def _describe(array: Array, grid: Grid, looks: list[Look], reader: ChunkReader, n_cells: int) -> DaskMatrix:
    n_rows, n_columns = array.shape
    n_looked = sum(look.n_rows for look in looks)
    seen = np.sum([look.nonzero for look in looks], axis=0)
    # Empty cells here need not be so elsewhere.
    per_column = max(_LEAST_DENSITY, sum(look.n_values for look in looks) / n_looked / seen.size)
    # Columns that were not looked at are taken to be as the others are on average.
    found = np.full(n_columns, seen.mean())
    found[reader.first_column : reader.first_column + seen.size] = seen
    expected = np.minimum(np.ceil(MARGIN * n_cells / n_looked * found[grid.columns]), n_cells)
    widest = max(grid.width(stripe) for stripe in grid.stripes)
    return DaskMatrix(
        format=looks[0].format,
        dtype=f"{looks[0].dtype}" if reader.normalization is None else f"{looks[0].dtype} counts",
        n_bytes=int(per_column * n_columns * n_rows) * looks[0].bytes_per_value,
        n_cells=n_cells,
        key_dtype=reader.key_dtype,
        max_nonzeros=np.full(grid.columns.size, n_cells, dtype=np.int64),
        expected_nonzeros=expected.astype(np.int64),
        n_values=max(1, int(per_column * n_columns * n_cells)),
        n_rows=n_rows,
        bytes_per_value=looks[0].bytes_per_value,
        are_counts=False,
        values_of_longest_chunk=max(1, int(per_column * widest * grid.longest)),
        workers=None,
    )
