"""Batches: neighbouring genes whose cells are all together, and how their statistics get into the table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from scpdex.machine.threads import Lender, run_on_threads

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from scpdex.matrix import GeneBlock, GeneSource
    from scpdex.run._block_kernels import BlockKernels
    from scpdex.run._job import Job
    from scpdex.run._statistics_table import Table
    from scpdex.run._sufficient_statistics import SufficientStatistics


class Batch(Protocol):
    """Neighbouring genes that a strategy has brought together."""

    def write_to(self, table: Table) -> None:
        """Write the statistics of these genes to the table."""
        ...


class _LocalBatch(ABC):
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
        job = self.job

        def work(tile: range) -> None:
            with self.add_up(tile) as statistics:
                job.measure.write(statistics, job.design, table)

        table.begin_block(self.genes)
        run_on_threads(job.pool, work, job.plan.tiles(self.genes))
        table.end_block()


def lend_kernels(job: Job) -> Lender[BlockKernels]:
    """Choose kernels for each thread, with their work buffers, which are touched only where they are used."""
    matrix = job.plan.matrix
    longest_gene = int(matrix.max_nonzeros.max())
    return Lender(
        job.measure.choose_kernels(job.design.ranking_units, longest_gene, matrix.key_dtype)
        for _ in range(job.plan.n_threads)
    )


@dataclass(frozen=True)
class GatheredBatch(_LocalBatch):
    """A gene block, whose values the kernels add up."""

    job: Job
    block: GeneBlock
    kernels: Lender[BlockKernels]
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
class SummedBatch(_LocalBatch):
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
class WorkerBatch:
    """Genes whose statistics a worker has made."""

    genes: range
    table: Table
    """Of these genes only."""

    def write_to(self, table: Table) -> None:
        """Take the statistics over."""
        table.copy_block(self.genes, self.table)


def cut_into_batches(job: Job, sums: SufficientStatistics) -> Iterator[SummedBatch]:
    """Cut genes that were added up into the blocks of the plan."""
    for block in job.plan.blocks:
        genes = range(max(block.start, sums.genes.start), min(block.stop, sums.genes.stop))
        if genes:
            yield SummedBatch(job, sums.part(genes))


def gather_batches(job: Job, source: GeneSource) -> Generator[GatheredBatch, None, None]:
    """Gather the blocks of the plan one after the other, each of which overwrites the one before it."""
    with (
        job.open_progress_bar(job.plan.matrix.n_genes, "gene") as bar,
        closing(source.blocks(job.plan, job.pool)) as blocks,
    ):
        kernels = lend_kernels(job)
        for block in blocks:
            yield GatheredBatch(job, block, kernels, bar)
