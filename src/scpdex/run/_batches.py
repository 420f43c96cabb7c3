"""Batches: neighbouring genes whose cells are all together, and how their statistics get into the table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import closing, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from scpdex.machine.threads import run_on_threads
from scpdex.run._block_statistics import statistics_for
from scpdex.run._gene_statistics import write_statistics

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from scpdex.matrix import GeneBlock, GeneSource
    from scpdex.run._block_statistics import BlockStatistics
    from scpdex.run._job import Job
    from scpdex.run._statistics_table import Statistics, Table
    from scpdex.run._sufficient_statistics import SufficientStatistics


class Batch(Protocol):
    """Neighbouring genes that a strategy has brought together."""

    def write_to(self, table: Table) -> None:
        """Write the statistics of these genes to the table."""
        ...


class _TestedHere(ABC):
    """Genes whose sufficient statistics become statistics on the threads of this machine, tile by tile."""

    job: Job

    @property
    @abstractmethod
    def genes(self) -> range:
        """Tested genes of the batch."""

    @abstractmethod
    def add_up(self, tile: range) -> Any:
        """Give a context with the sufficient statistics of a tile, for each ranking unit in turn."""

    def write_to(self, table: Table) -> None:
        """Share the tiles among the threads."""
        job, part = self.job, table.room_for(self.genes)

        def work(tile: range, part: Statistics = part) -> None:
            with self.add_up(tile) as statistics:
                write_statistics(statistics, job.design, job.options, table, part)

        run_on_threads(job.pool, work, job.plan.tiles(self.genes))
        table.keep(part)


class BlockKernels:
    """Kernels with their work buffers, one for each thread: a thread takes those that another has put back."""

    def __init__(self, job: Job) -> None:
        """Allocate the buffers, which are touched only where they are used."""
        matrix = job.plan.matrix
        longest_gene = int(matrix.max_nonzeros.max())
        self._idle: SimpleQueue[BlockStatistics] = SimpleQueue()
        for _ in range(job.plan.n_threads):
            self._idle.put(statistics_for(job.options, job.design.ranking_units, longest_gene, matrix.key_dtype))

    @contextmanager
    def borrow(self) -> Generator[BlockStatistics, None, None]:
        """Lend the kernels of one thread."""
        statistics = self._idle.get()
        try:
            yield statistics
        finally:
            self._idle.put(statistics)


@dataclass(frozen=True)
class GatheredGenes(_TestedHere):
    """A gene block, whose values the kernels add up."""

    job: Job
    block: GeneBlock
    kernels: BlockKernels
    bar: Any
    """Counts genes."""

    @property
    def genes(self) -> range:
        """Tested genes of the batch."""
        return self.block.genes

    @contextmanager
    def add_up(self, tile: range) -> Generator[Iterator[SufficientStatistics], None, None]:
        """Add up the values of a tile."""
        with self.kernels.borrow() as kernels:
            yield kernels.add_up(self.block.part(tile))
        self.bar.update(len(tile))


@dataclass(frozen=True)
class SummedGenes(_TestedHere):
    """Genes whose values were added up while rows passed."""

    job: Job
    sums: SufficientStatistics

    @property
    def genes(self) -> range:
        """Tested genes of the batch."""
        return self.sums.genes

    @contextmanager
    def add_up(self, tile: range) -> Generator[Iterator[SufficientStatistics], None, None]:
        """Take the sums of a tile."""
        yield self.sums.part(tile).split_into_units(self.job.design.ranking_units)


@dataclass(frozen=True)
class RankedElsewhere:
    """Genes whose statistics a worker has made."""

    genes: range
    statistics: Table
    """Of these genes only."""

    def write_to(self, table: Table) -> None:
        """Take the statistics over."""
        table.place(self.genes, self.statistics)


def batches_of(job: Job, sums: SufficientStatistics) -> Iterator[SummedGenes]:
    """Cut genes that were added up into the blocks of the plan."""
    for block in job.plan.blocks:
        genes = range(max(block.start, sums.genes.start), min(block.stop, sums.genes.stop))
        if genes:
            yield SummedGenes(job, sums.part(genes))


def batches_of_blocks(job: Job, source: GeneSource) -> Generator[GatheredGenes, None, None]:
    """Gather the blocks of the plan one after the other, each of which overwrites the one before it."""
    with job.count(job.plan.matrix.n_genes, "gene") as bar, closing(source.blocks(job.plan, job.pool)) as blocks:
        kernels = BlockKernels(job)
        for block in blocks:
            yield GatheredGenes(job, block, kernels, bar)
