"""dask source: the compared cells and tested genes of a dask array, estimated from a few of its chunks."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Self, TypeVar

import dask
import numpy as np

from scpdex.machine.threads import map_in_order, read_ahead
from scpdex.matrix._normalization import take_median
from scpdex.matrix._source import Source
from scpdex.matrix.chunked._row_stream import MARGIN
from scpdex.matrix.dask._chunk_grid import ChunkGrid
from scpdex.matrix.dask._chunk_reader import ChunkReader
from scpdex.matrix.dask._engines import find_engine
from scpdex.matrix.dask._on_this_machine import LocalChunks
from scpdex.plan.matrix_info import ClusterDaskMatrix, LocalDaskMatrix, code_dtype
from scpdex.plan.memory_model import SAMPLED_CHUNKS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Executor

    from dask.array import Array
    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix._expression import Expression
    from scpdex.matrix.chunked._gene_major_pieces import Piece
    from scpdex.matrix.dask._chunk_grid import ChunkPart
    from scpdex.matrix.dask._chunk_reader import ChunkSample
    from scpdex.matrix.dask._on_cluster import ClusterChunks
    from scpdex.plan.plan import Plan

Result = TypeVar("Result")

# Sampled chunks may be empty where others are not: the least density that is assumed.
_MIN_DENSITY = 0.01


@dataclass(frozen=True)
class DaskSource(Source):
    """The compared cells and tested genes of a dask array, in the order of the rows."""

    engine: LocalChunks | ClusterChunks
    grid: ChunkGrid
    whole_grid: ChunkGrid
    """The grid of all cells that have an effect: of all cells of the object, if their library sizes have a median."""
    reader: ChunkReader
    codes: NDArray[Any]
    """Code of each compared cell's group."""
    info: LocalDaskMatrix | ClusterDaskMatrix

    @classmethod
    def open(cls, expression: Expression, design: Design, columns: NDArray[np.int64]) -> DaskSource:
        """Compute a few chunks, which are kept, and estimate from these what all hold.

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
        max_stripe_bytes = dask.utils.parse_bytes(dask.config.get("array.chunk-size"))
        library_columns = None
        if normalization is not None and normalization.scales:
            library_columns = normalization.sorted_library_columns(array.shape[1])
        grid = whole_grid = ChunkGrid.of(array, rows[order], columns, max_stripe_bytes, library_columns)
        if normalization is not None and normalization.takes_median:
            whole_grid = replace(grid, rows=np.sort(expression.cells))
        engine = find_engine(array, whole_grid, expression.matrix_name)
        try:
            places = np.unique(np.linspace(0, grid.occupied_chunk_rows.size - 1, SAMPLED_CHUNKS).round().astype(int))
            chunk_rows = grid.occupied_chunk_rows[places].tolist()
            first_column = int(grid.column_ends[grid.stripes[0].start])
            reader = ChunkReader(expression.matrix_name, columns, normalization, first_column)
            samples = engine.sample_chunks(reader, chunk_rows)
            reader = replace(reader, dtype=samples[0].dtype)
            are_counts = all(
                sample.rows_are_counts[grid.find_compared_rows(i)].all()
                for sample, i in zip(samples, chunk_rows, strict=True)
            )
            estimate = _estimate(array, whole_grid, samples, reader, codes.size) | {"are_counts": are_counts}
            workers = engine.workers
            info = LocalDaskMatrix(**estimate) if workers is None else ClusterDaskMatrix(**estimate, workers=workers)
            return cls(engine, grid, whole_grid, reader, codes, info)
        except BaseException:
            # The engine keeps the chunks that were computed, and its threads wait for more.
            engine.release()
            raise

    @property
    def is_local(self) -> bool:
        """Whether this machine computes the chunks."""
        return self.engine.workers is None

    def prepare(self, plan: Plan) -> None:
        """Limit the bytes kept of values that several chunks share."""
        self.engine.limit_kept_bytes(plan.shared_bytes)

    def find_median(self, plan: Plan, pool: Executor, bar: Any) -> Self:
        """Compute all chunks once, and give the source whose counts are scaled to the median library size."""
        parts, reader = list(self._cut(self.whole_grid, plan.values_per_piece)), self.reader
        if isinstance(self.engine, LocalChunks):
            sums = self._map_chunks(reader.sum_library_sizes, parts, pool, plan.n_threads)
        else:
            sums = self.engine.map_chunks("library-sizes", reader, ChunkReader.sum_library_sizes, parts)
        sizes = []
        with closing(sums):
            for part_sizes in sums:
                bar.update(part_sizes.size)
                sizes.append(part_sizes)
        assert reader.normalization is not None, "the rule asks for the median"  # noqa: S101
        normalization = reader.normalization.with_median(take_median(np.concatenate(sizes)))
        return replace(self, reader=replace(reader, normalization=normalization))

    def close(self) -> None:
        """Release the sampled chunks and end the threads."""
        self.engine.release()

    @property
    def rows(self) -> DaskSource:
        """The cells as a stream of pieces: this source itself, if this machine computes the chunks."""
        return self

    @property
    def cluster(self) -> ClusterChunks:
        """The chunks, which the workers of a cluster compute."""
        assert not isinstance(self.engine, LocalChunks), "this machine computes the chunks"  # noqa: S101
        return self.engine

    @property
    def columns(self) -> NDArray[np.int64]:
        """Column of each tested gene."""
        return self.grid.columns

    @property
    def n_steps(self) -> int:
        """Number of steps of a progress bar in one pass: one for each compared cell and stripe."""
        return self.codes.size * len(self.grid.stripes)

    def parts(self, n_values: int) -> Iterator[ChunkPart]:
        """Cut into parts of about ``n_values``, or of one row of chunks."""
        return self._cut(self.grid, n_values)

    def _cut(self, grid: ChunkGrid, n_values: int) -> Iterator[ChunkPart]:
        values_per_row = self.info.values_of_longest_chunk / self.whole_grid.max_chunk_rows
        return grid.parts(max(1, int(n_values / values_per_row)))

    def pieces(self, n_values: int, pool: Executor, n_threads: int) -> Generator[Piece, None, None]:
        """Compute all chunks in turn, ahead of those who take them; the pool's threads turn them gene-major."""
        return self.map_parts(lambda piece, _: piece, n_values, pool, n_threads)

    def map_parts(
        self, work: Callable[[Piece, ChunkPart], Result], n_values: int, pool: Executor, n_threads: int
    ) -> Generator[Result, None, None]:
        """Give in turn what ``work`` makes of each part of about ``n_values``, on the pool's threads."""

        def turn_and_work(chunks: list[list[Any]], part: ChunkPart) -> Result:
            return work(self.reader.piece(chunks, part, self.codes[part.cells], self.columns.size), part)

        return self._map_chunks(turn_and_work, list(self.parts(n_values)), pool, n_threads)

    def _map_chunks(
        self,
        work: Callable[[list[list[Any]], ChunkPart], Result],
        parts: Sequence[ChunkPart],
        pool: Executor,
        n_threads: int,
    ) -> Generator[Result, None, None]:
        """Give in turn what ``work`` makes of the chunks of each part, on the pool's threads."""
        engine = self.engine
        assert isinstance(engine, LocalChunks), "the workers of a cluster compute the chunks"  # noqa: S101

        def compute(batch: Sequence[ChunkPart]) -> list[tuple[list[list[Any]], ChunkPart]]:
            return list(zip(engine.compute_parts(batch, self.reader), batch, strict=True))

        def work_on(computed: tuple[list[list[Any]], ChunkPart]) -> Result:
            return work(*computed)

        # As many parts at once as there are threads: the tasks of one part may wait for each other.
        batches = [parts[first : first + n_threads] for first in range(0, len(parts), n_threads)]
        with closing(read_ahead(compute, batches)) as computed:
            yield from map_in_order(pool, work_on, chain.from_iterable(computed), n_threads)

    def refuse_changed(self) -> None:
        """Do nothing: there is no file to look at. The median takes chunks that are computed twice for the same."""


def _estimate(
    array: Array, grid: ChunkGrid, samples: list[ChunkSample], reader: ChunkReader, n_cells: int
) -> dict[str, Any]:
    """Estimate from the sampled chunks what the plan needs to know of the array."""
    n_rows, n_columns = array.shape
    bytes_per_value = samples[0].bytes_per_value
    n_sampled_rows = sum(sample.n_rows for sample in samples)
    n_nonzero = np.sum([sample.n_nonzero for sample in samples], axis=0)
    density = max(_MIN_DENSITY, sum(sample.n_values for sample in samples) / n_sampled_rows / n_nonzero.size)
    # Columns that were not sampled are taken for the average of those that were.
    nonzeros_of_columns = np.full(n_columns, n_nonzero.mean())
    nonzeros_of_columns[reader.first_column : reader.first_column + n_nonzero.size] = n_nonzero
    expected = np.minimum(np.ceil(MARGIN * n_cells / n_sampled_rows * nonzeros_of_columns[grid.columns]), n_cells)
    widest_stripe = max(grid.stripe_width(stripe) for stripe in grid.stripes)
    return {
        "format": samples[0].format,
        "dtype": f"{reader.dtype}" if reader.normalization is None else f"{reader.dtype} counts",
        "n_bytes": int(density * n_columns * n_rows) * bytes_per_value,
        "n_cells": n_cells,
        "key_dtype": reader.key_dtype,
        "max_nonzeros": np.full(grid.columns.size, n_cells, dtype=np.int64),
        "expected_nonzeros": expected.astype(np.int64),
        "n_values": max(1, int(density * n_columns * n_cells)),
        "n_spanned_rows": n_rows,
        "bytes_per_value": bytes_per_value,
        "values_of_longest_chunk": max(1, int(density * widest_stripe * grid.max_chunk_rows)),
    }
