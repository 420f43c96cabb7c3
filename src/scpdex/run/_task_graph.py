"""Task graph: the tasks that a cluster's workers carry out; sums and statistics come back, never the matrix."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from scpdex.matrix import gather_pieces
from scpdex.plan.gene_blocks import cut_range
from scpdex.plan.worker_shares import FAN_IN
from scpdex.run._gene_rows import GeneRows
from scpdex.run._partial_sums import PartialSums
from scpdex.run._tallies import NotCountsError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from numpy.typing import NDArray

    from scpdex.comparisons.design import Design
    from scpdex.matrix import ChunkPart, ChunkReader, DaskSource, Piece
    from scpdex.plan.plan import Plan
    from scpdex.run._job import Job
    from scpdex.run._measure import Measure
    from scpdex.run._statistics_table import Table
    from scpdex.run._sufficient_statistics import SufficientStatistics


Key = tuple[Any, ...]


@dataclass(frozen=True)
class _Task:
    """What all tasks share, and what each of them does."""

    reader: ChunkReader
    design: Design
    """Without the codes of its cells, which go along with the chunks."""
    measure: Measure
    plan: Plan

    def split(self, chunks: list[list[Any]], part: ChunkPart, codes: NDArray[Any]) -> Piece:
        """Turn the chunks of a part gene-major."""
        return self.reader.piece(chunks, part, codes, self.plan.matrix.n_genes)

    def add_up(self, chunks: list[list[Any]], part: ChunkPart, codes: NDArray[Any]) -> PartialSums:
        """Add up the chunks of a part."""
        piece = self.split(chunks, part, codes)
        return PartialSums.of(piece, part.genes, codes, self.design, self.measure, self.plan.max_tally_bytes)

    def rank(self, pieces: list[Piece]) -> Table:
        """Rank the genes of pieces that together hold all cells."""
        block = gather_pieces(pieces, self.design.sizes.size)
        n_genes = len(block.genes)
        table = self.measure.make_table(self.design, n_genes, GeneRows.of_block(n_genes), None)
        longest = int(block.ends[:, -1].max())
        statistics = self.measure.choose_kernels(self.design.ranking_units, longest, block.keys.dtype)
        for tile in cut_range(block.genes, self.plan.genes_per_tile):
            self.measure.write(statistics.add_up(block.part(tile)), self.design, table)
        return table


class TaskGraph:
    """The tasks of one call. Their names begin with what they do, as dashboards show it."""

    def __init__(self, source: DaskSource, job: Job, bar: Any) -> None:
        """Prepare; ``bar`` counts cells as their chunks are done."""
        self.source = source
        self.design = job.design
        self.plan = job.plan
        self.bar = bar
        token = uuid4().hex
        self.names = {
            what: f"scpdex-{what}-{token}" for what in ("job", "split", "sums", "combine", "cells", "genes", "rank")
        }
        design_without_codes = replace(job.design, codes=np.empty(0, dtype=job.design.codes.dtype))
        task = _Task(source.reader, design_without_codes, job.measure.for_block(), replace(job.plan, blocks=()))
        self.shared = (self.names["job"],)
        self.tasks: dict[Key, Any] = {self.shared: task}

    def combine_sums(self) -> Generator[SufficientStatistics, None, None]:
        """Add up parts of the cells and combine these sums as a tree; give those of all cells, stripe by stripe.

        Raises
        ------
        NotCountsError
            Values are not counts, or are too high to be tallied.
        RuntimeError
            A chunk could not be computed.
        """
        leaves: dict[range, list[Key]] = {}
        for part, key in self._add_part_tasks("sums", _Task.add_up):
            leaves.setdefault(part.genes, []).append(key)
        roots = []
        for keys in leaves.values():
            level = keys
            while len(level) > 1:
                groups = [level[first : first + FAN_IN] for first in range(0, len(level), FAN_IN)]
                level = [(self.names["combine"], len(self.tasks) + k) for k in range(len(groups))]
                self.tasks |= {key: (PartialSums.sum_of, group) for key, group in zip(level, groups, strict=True)}
            roots += level
        with closing(self._results(roots)) as results:
            for _, partial in results:
                yield partial.to_statistics(self.design)

    def shuffle(self) -> Generator[tuple[range, Table], None, None]:
        """Split parts of the cells by gene, and rank each block of genes on one worker; give blocks as they are done.

        Raises
        ------
        RuntimeError
            A chunk could not be computed.
        """
        parts = list(self._add_part_tasks("split", _Task.split))
        blocks = {(self.names["rank"], block.start): block for block in self.plan.blocks}
        for key, block in blocks.items():
            pieces = []
            for part, piece in parts:
                if part.genes.start < block.stop and block.start < part.genes.stop:
                    pieces.append((self.names["genes"], *piece[1:], block.start))
                    self.tasks[pieces[-1]] = (_copy_genes, piece, block)
            self.tasks[key] = (_Task.rank, self.shared, pieces)
        with closing(self._results(blocks)) as results:
            for key, table in results:
                yield blocks[key], table

    def _results(self, keys: Iterable[Key]) -> Generator[tuple[Key, Any], None, None]:
        """Submit all tasks, and give the results of some as they are ready."""
        progress_keys = [key for key in self.tasks if key[0] == self.names["cells"]]
        with self.source.cluster.run_tasks(self.tasks, [*progress_keys, *keys], (NotCountsError,)) as results:
            for key, value in results:
                if key[0] == self.names["cells"]:
                    self.bar.update(value)
                else:
                    yield key, value

    def _add_part_tasks(self, name: str, work: Any) -> Iterator[tuple[ChunkPart, Key]]:
        """Add a task for each part, and one that counts its cells once that is done."""
        for k, part in enumerate(self.source.parts(self.plan.values_per_piece)):
            key = (self.names[name], k)
            chunks = self.source.grid.keys(part.chunk_rows, part.chunk_columns)
            codes = self.source.codes[part.cells]
            self.tasks[key] = (work, self.shared, chunks, part, codes)
            self.tasks[self.names["cells"], k] = (_pass_on, key, codes.size)
            yield part, key


def _copy_genes(piece: Piece, genes: range) -> Piece:
    """Copy some genes, so that the piece need not be kept for them."""
    return piece.part(genes).copy()


def _pass_on(_: Any, n_cells: int) -> int:
    """Give the number of cells, once the task that handles them is done."""
    return n_cells
