"""Plan: pure arithmetic from what is known of matrix, test and machine to a way through the data; touches no data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from scpdex.budget import Costs, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scpdex.facts import Limits, MatrixFacts, Needs

# Rows of a CSR matrix are walked once per block, and each block costs some milliseconds: wide ones pay, as far as the
# memory bound allows; with thousands, writing to so many genes at once misses the cache.
GENES_PER_BLOCK = 4096
# What a block may take, as a share of the matrix, and at least.
SHARE_OF_MATRIX = 0.2
LEAST_BYTES = 32 << 20
# The statistics of a block are made for so many (gene, group) pairs at a time, which keeps them in the cache.
PAIRS_PER_TILE = 1 << 15
# Less than this many non-zeros is done sooner than a further thread is started.
LEAST_EFFORT_PER_THREAD = 20_000
# Threads that are done early take a further tile.
_TILES_PER_THREAD = 2
# A pair of gene and group costs about as much as this many non-zeros.
_ENTRIES_PER_PAIR = 3
# Reading columns out of chunks that are wider than a block reads them again for each: more often than this, rows are
# read once instead, and their values sorted into genes.
_MOST_READS = 2

Strategy = Literal["shared buffers", "column blocks", "loaded rows", "row buckets", "row passes"]


@dataclass(frozen=True)
class Plan:
    """A way through the data, within a memory budget.

    Whatever it is, blocks of neighbouring genes are ranked one after the other: all threads gather a block, then share
    its genes, a tile at a time. ``repr`` gives it in words.
    """

    strategy: Strategy
    """``"shared buffers"`` of a matrix in memory; ``"column blocks"`` that are read one by one; ``"loaded rows"``: all
    of them fit the budget; ``"row buckets"``: rows are read once and sorted into genes; ``"row passes"``: sums are kept
    for each gene and group while rows pass by."""
    facts: MatrixFacts
    work: str
    """What the kernels do with the values, in a word or two."""
    blocks: tuple[range, ...]
    """Genes of each block; for loaded rows and row buckets a guess until rows are read."""
    genes_per_tile: int
    n_threads: int
    passes: int
    """How often the matrix is read."""
    max_memory: int
    """Bytes that may be held beyond the results."""
    peak_memory: int
    """Bytes that are expected to be held beyond the results, and beyond a matrix in memory."""
    scratch: int
    """Bytes that are expected to be written to the temporary folder."""
    kept: int
    """Bytes for what is kept of the rows: values, of which buckets send further ones to scratch, or tallies."""
    piece: int
    """Rows: values that are read together."""
    spill_table: bool
    """Whether statistics go to scratch until genes are ordered."""
    costs: Costs
    gene_chunk_size: int | None = None

    def __repr__(self) -> str:
        facts = self.facts
        n_blocks, widest = len(self.blocks), max(map(len, self.blocks))
        how = {
            "shared buffers": "",
            "column blocks": ", column by column",
            "loaded rows": ", read into memory",
            "row buckets": ", rows sorted into genes",
            "row passes": ", sums kept while rows pass",
        }[self.strategy]
        guessed = self.strategy in {"loaded rows", "row buckets"} and n_blocks > 1
        about = "about " if guessed and not self.gene_chunk_size else ""
        text = (
            f"{facts.format} {facts.dtype} {facts.place}, {facts.n_cells:,} cells x {facts.stored.size:,} genes{how}: "
            f"{self.work} in {about}{_counted(n_blocks, 'block')} of up to {_counted(widest, 'gene')} "
            f"on {_counted(self.n_threads, 'thread')}"
        )
        if facts.chunked:
            text += (
                f"; {_counted(self.passes, 'pass', 'es')} over the data, {size(self.peak_memory)} of "
                f"{size(self.max_memory)} memory, {size(self.scratch) if self.scratch else 'no'} scratch"
            )
        return text

    def tiles(self, block: range) -> Iterator[range]:
        """Cut a block into the runs of genes whose statistics are made together, some for each thread."""
        share = -(-len(block) // (_TILES_PER_THREAD * self.n_threads))
        return cut(block, min(self.genes_per_tile, share))

    def with_counts(self, stored: NDArray[np.int64], kept: int, *, spilled: bool) -> Plan:
        """Cut the blocks anew, now that the values of each gene are counted and ``kept`` bytes of them are held."""
        facts = replace(self.facts, stored=stored)
        n_bytes = self.costs.of_block(facts, spilled=spilled, spill_table=self.spill_table)
        room = self.max_memory - self.costs.fixed(facts, self.n_threads) - kept
        if not self.spill_table:
            room -= self.costs.table(facts)
        if self.strategy == "loaded rows":
            room = min(room, _enough_for_blocks(facts))
        blocks = _blocks(n_bytes, max(room, 1), self.gene_chunk_size, None)
        return replace(self, facts=facts, blocks=tuple(blocks))


def make_plan(facts: MatrixFacts, needs: Needs, limits: Limits) -> Plan:
    """Choose a strategy, blocks, and threads, no more than there is work for, within the memory budget.

    Raises
    ------
    ValueError
        The budget, or ``gene_chunk_size`` within it, is too small to work with.
    """
    costs = Costs(needs)
    effort = int(facts.as_rows.stored.sum()) + _ENTRIES_PER_PAIR * needs.n_codes * facts.stored.size
    n_threads = max(1, min(limits.n_threads, effort // LEAST_EFFORT_PER_THREAD))
    while n_threads > 1 and costs.least(facts, n_threads) > limits.max_memory:
        n_threads -= 1
    least = costs.least(facts, n_threads)
    if least > limits.max_memory:
        msg = (
            f"max_memory={size(limits.max_memory)} is too little: {size(least)} are needed for {facts.n_cells:,} "
            f"cells, {needs.n_codes:,} groups and the longest gene."
        )
        raise ValueError(msg)
    plan = _choose(facts, needs, costs, limits, n_threads)
    if plan.peak_memory > limits.max_memory:
        of_blocks = f"gene_chunk_size={limits.gene_chunk_size} would take" if limits.gene_chunk_size else "this takes"
        msg = (
            f"{of_blocks} {size(plan.peak_memory)}, more than max_memory={size(limits.max_memory)}: pass a "
            f"{'smaller gene_chunk_size, or None' if limits.gene_chunk_size else 'larger one'}."
        )
        raise ValueError(msg)
    return plan


def _choose(facts: MatrixFacts, needs: Needs, costs: Costs, limits: Limits, n_threads: int) -> Plan:
    fixed = costs.fixed(facts, n_threads)
    room = limits.max_memory - fixed
    table = costs.table(facts)
    spill_table = table > room // 3
    in_memory = 0 if spill_table else table
    per_gene = costs.of_block(facts, spilled=False, spill_table=spill_table)
    chunk_size = limits.gene_chunk_size
    common = {
        "facts": facts,
        "work": needs.work,
        "genes_per_tile": max(1, PAIRS_PER_TILE // needs.n_codes),
        "n_threads": n_threads,
        "max_memory": limits.max_memory,
        "spill_table": spill_table,
        "costs": costs,
        "gene_chunk_size": chunk_size,
    }

    def columns(strategy: Strategy, most: int) -> Plan:
        blocks = tuple(_blocks(per_gene, most, chunk_size, facts.chunk_starts))
        widest = max(int(per_gene[block.start : block.stop].sum()) for block in blocks)
        return Plan(
            **common,  # type: ignore[arg-type]
            strategy=strategy,
            blocks=blocks,
            passes=1,
            peak_memory=fixed + in_memory + widest,
            scratch=table if spill_table else 0,
            kept=0,
            piece=0,
        )

    if not facts.chunked:
        most = min(room - in_memory, _enough_for_blocks(facts))
        return columns("shared buffers", max(1, most))
    if not facts.by_rows:
        plan = columns("column blocks", max(1, room - in_memory))
        if facts.chunk_starts is None or _reads(plan.blocks, facts.chunk_starts) <= _MOST_READS:
            return plan

    facts = facts.as_rows
    per_gene = costs.of_block(facts, spilled=False, spill_table=spill_table)
    # Rows: a quarter of the room is for what is on its way, and later for blocks.
    piece = costs.piece(facts, room // 4, n_threads)
    on_its_way = costs.on_its_way(facts, piece, n_threads)
    loaded = costs.loaded(facts)
    if facts.can_load and loaded + max(on_its_way, _enough_for_blocks(facts)) <= room - in_memory:
        plan = columns("loaded rows", _enough_for_blocks(facts))
        return replace(plan, peak_memory=plan.peak_memory + loaded, kept=loaded, piece=piece)
    entries = costs.entries(facts, piece)
    most_kept = max(0, room - in_memory - max(on_its_way, room // 4))
    sums = costs.of_passes(facts)
    spilled = max(0, entries - most_kept)
    if spilled and not chunk_size and sums <= room - in_memory - on_its_way and _can_pass(facts, needs):
        return Plan(
            **common,  # type: ignore[arg-type]
            strategy="row passes",
            blocks=tuple(_blocks(per_gene, max(1, room // 4), None, None)),
            passes=2,
            peak_memory=fixed + in_memory + on_its_way + sums,
            scratch=table if spill_table else 0,
            kept=room - in_memory - on_its_way - sums,
            piece=piece,
        )
    per_gene = costs.of_block(facts, spilled=spilled > 0, spill_table=spill_table)
    most_of_block = room - in_memory - min(entries, most_kept)
    blocks = tuple(_blocks(per_gene, max(1, most_of_block), chunk_size, None))
    widest = max(int(per_gene[block.start : block.stop].sum()) for block in blocks)
    return Plan(
        **common,  # type: ignore[arg-type]
        strategy="row buckets",
        blocks=blocks,
        passes=1,
        peak_memory=fixed + in_memory + min(entries, most_kept) + max(on_its_way, widest),
        scratch=spilled + (table if spill_table else 0),
        kept=most_kept,
        piece=piece,
    )


def _enough_for_blocks(facts: MatrixFacts) -> int:
    """Bytes that blocks need not exceed, beside a matrix in memory."""
    return int(max(LEAST_BYTES, SHARE_OF_MATRIX * facts.n_bytes))


def _can_pass(facts: MatrixFacts, needs: Needs) -> bool:
    return needs.moments or (facts.are_counts and needs.few_cells and not needs.normalized)


def _reads(blocks: tuple[range, ...], chunks: NDArray[np.int64]) -> float:
    """How often each chunk of columns is read, on average."""
    reads = sum(np.unique(chunks[block.start : block.stop]).size for block in blocks)
    return float(reads / np.unique(chunks).size)


def cut(run: range, most: int) -> Iterator[range]:
    """Cut a run into parts of at most so many."""
    return (range(first, min(first + most, run.stop)) for first in range(run.start, run.stop, most))


def _blocks(
    n_bytes: NDArray[np.int64], most_bytes: int, chunk_size: int | None, chunks: NDArray[np.int64] | None
) -> Iterator[range]:
    """Cut neighbouring genes into blocks of at most ``GENES_PER_BLOCK`` genes and, beyond one, ``most_bytes``.

    Blocks are about equal, so that as many as are needed take no more memory than they must; or of ``chunk_size``. They
    end where a chunk of the file does, if one ends within them.
    """
    if chunk_size is not None:
        yield from cut(range(n_bytes.size), chunk_size)
        return
    n_blocks = max(-(-int(n_bytes.sum()) // most_bytes), -(-n_bytes.size // GENES_PER_BLOCK))
    about = min(most_bytes, int(n_bytes.sum()) // n_blocks + int(n_bytes.max()))
    start = 0
    while start < n_bytes.size:
        ahead = np.cumsum(n_bytes[start : start + GENES_PER_BLOCK])
        stop = start + max(1, int(np.searchsorted(ahead, about, side="right")))
        if chunks is not None and stop < n_bytes.size:
            ends = 1 + np.flatnonzero(np.diff(chunks[start : stop + 1]))
            stop = start + int(ends[-1]) if ends.size else stop
        yield range(start, stop)
        start = stop


def _counted(n: int, noun: str, plural: str = "s") -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}{plural}"
