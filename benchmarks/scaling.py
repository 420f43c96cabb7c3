"""Print what each step on a cluster costs one thread for each non-zero, and what dask costs for each task and byte."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from cases import SCREEN
from data import generate
from distributed import Client, LocalCluster, wait

from scpdex.comparisons import compare
from scpdex.matrix import ChunkReader, Part, block_of
from scpdex.plan import PAIRS_PER_TILE, cut
from scpdex.run._combined import PartialSums
from scpdex.run._summary import Summary
from scpdex.run._table import Table
from scpdex.statistics.options import TestOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from scpdex.matrix import Piece

CELLS_PER_CHUNK, GENES_PER_BLOCK, N_TASKS = 50_000, 100, 20_000


def median_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Time some work 3 times, after once that compiles, and give what it makes as well."""
    made = work()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        made = work()
        times.append(time.perf_counter() - start)
    return float(np.median(times)), made


def time_steps() -> Piece:
    """Time split, cut, rank and combine, and give a piece."""
    adata = generate(SCREEN)
    comparison = compare(adata.obs, "group")
    options = TestOptions(method="wilcoxon", tie_correct=True)
    codes = comparison.codes.astype(np.uint16)
    n_cells, n_genes = adata.shape
    nanoseconds = 1e9 / adata.X.nnz
    reader = ChunkReader("X", None, adata.X.dtype)
    starts = range(0, n_cells, CELLS_PER_CHUNK)
    chunks = [adata.X[start : start + CELLS_PER_CHUNK] for start in starts]
    whole = Part(slice(0), None, range(n_genes), np.arange(n_genes), range(1), range(1))
    blocks = list(cut(range(n_genes), GENES_PER_BLOCK))

    def split(codes: NDArray[np.uint16]) -> list[Piece]:
        found = zip(starts, chunks, strict=True)
        return [reader.piece([[chunk]], whole, codes[i : i + CELLS_PER_CHUNK], n_genes) for i, chunk in found]

    taken, pieces = median_seconds(lambda: split(codes))
    print(f"split {taken * nanoseconds:.1f} ns")
    taken, parts = median_seconds(lambda: [[piece.part(block).copy() for piece in pieces] for block in blocks])
    print(f"cut {taken * nanoseconds:.1f} ns, {sum(piece.n_bytes for piece in pieces) / adata.X.nnz:.2f} bytes moved")
    taken, gathered = median_seconds(lambda: [block_of(some, comparison.sizes.size) for some in parts])
    print(f"bring together {taken * nanoseconds:.1f} ns")

    def rank() -> None:
        for block in gathered:
            table = Table.empty(comparison, options, len(block.genes), None)
            part = table.room_for(block.genes)
            summary = Summary(comparison, options, n_cells, block.keys.dtype)
            for tile in cut(block.genes, PAIRS_PER_TILE // comparison.sizes.size):
                summary.sums(block.part(tile)).conclude(comparison, options, table, part)

    print(f"rank {median_seconds(rank)[0] * nanoseconds:.1f} ns, {comparison.n_groups:,} groups")
    few = compare(adata.obs.assign(group=np.resize(list("abcdefghijklmnopqrst"), n_cells)), "group")
    moments, of_few = replace(options, method="t-test", tie_correct=False), few.codes.astype(np.uint16)

    of_few_groups = split(of_few)

    def add_up() -> PartialSums:
        found = zip(starts, of_few_groups, strict=True)
        return PartialSums.sum_of(
            [
                PartialSums.of(piece, range(n_genes), of_few[i : i + CELLS_PER_CHUNK], few, moments, 0)
                for i, piece in found
            ]
        )

    print(f"add up and combine {median_seconds(add_up)[0] * nanoseconds:.1f} ns, {few.n_groups} groups")
    return pieces[0]


def time_dask(piece: Piece) -> None:
    """Time tasks that do nothing, and a piece on its way from one worker to another."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        first, second = client.nthreads()
        tasks = {("add", i): (sum, [i, 1]) for i in range(N_TASKS)}
        start = time.perf_counter()
        wait(client.get(tasks, list(tasks), sync=False))
        print(f"task {(time.perf_counter() - start) / N_TASKS * 1e3:.2f} ms")
        times = []
        for i in range(4):
            held = client.submit(
                lambda piece, _: piece.copy(), client.scatter(piece, workers=[first]), i, workers=[first]
            )
            wait(held)
            start = time.perf_counter()
            wait(client.submit(lambda piece, _: piece.n_cells, held, i, workers=[second]))
            times.append(time.perf_counter() - start)
        print(f"move {piece.n_bytes / 1e6:.0f} MB: {piece.n_bytes / float(np.median(times[1:])) / 1e9:.2f} GB/s")


if __name__ == "__main__":
    time_dask(time_steps())
