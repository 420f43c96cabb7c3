"""Print what each step on a cluster costs one thread for each non-zero, and what dask costs for each task and byte."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from cases import SCREEN, TINY
from data import generate
from distributed import Client, LocalCluster, wait

from scpdex.comparisons.make_design import make_design
from scpdex.matrix import ChunkPart, ChunkReader, gather_pieces
from scpdex.plan.gene_blocks import cut_range
from scpdex.plan.plan import PAIRS_PER_TILE
from scpdex.run._gene_rows import GeneRows
from scpdex.run._partial_sums import PartialSums
from scpdex.run._test_measure import TestMeasure
from scpdex.statistics.options import TestOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from data import Recipe
    from numpy.typing import NDArray

    from scpdex.matrix import Piece

CELLS_PER_CHUNK, GENES_PER_BLOCK, N_TASKS = 50_000, 100, 20_000
SMALL_CELLS_PER_CHUNK, SMALL_GENES_PER_BLOCK, SMALL_N_TASKS = 400, 10, 20


def median_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Time some work 3 times, after once that compiles, and give what it makes as well."""
    made = work()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        made = work()
        times.append(time.perf_counter() - start)
    return float(np.median(times)), made


def time_steps(recipe: Recipe, cells_per_chunk: int, genes_per_block: int) -> Piece:
    """Time split, cut, rank and combine, and give a piece."""
    adata = generate(recipe)
    design = make_design(adata.obs, "group")
    ranks = TestMeasure(TestOptions(method="wilcoxon", tie_correct=True))
    moments = TestMeasure(TestOptions(method="t-test"))
    codes = design.codes.astype(np.uint16)
    n_cells, n_genes = adata.shape
    nanoseconds = 1e9 / adata.X.nnz
    starts = range(0, n_cells, cells_per_chunk)
    chunks = [adata.X[start : start + cells_per_chunk] for start in starts]
    reader = ChunkReader("X", np.arange(n_genes), None, 0, dtype=adata.X.dtype)
    blocks = list(cut_range(range(n_genes), genes_per_block))

    def split(codes: NDArray[np.uint16]) -> list[Piece]:
        pieces = []
        for i, (start, chunk) in enumerate(zip(starts, chunks, strict=True)):
            cells = slice(start, start + chunk.shape[0])
            part = ChunkPart(cells, None, range(n_genes), 0, [[chunk.shape]], (i,), range(1))
            pieces.append(reader.piece([[chunk]], part, codes[cells], n_genes))
        return pieces

    taken, pieces = median_seconds(lambda: split(codes))
    print(f"split {taken * nanoseconds:.1f} ns")
    taken, parts = median_seconds(lambda: [[piece.part(block).copy() for piece in pieces] for block in blocks])
    print(f"cut {taken * nanoseconds:.1f} ns, {sum(piece.n_bytes for piece in pieces) / adata.X.nnz:.2f} bytes moved")
    taken, gathered = median_seconds(lambda: [gather_pieces(some, design.sizes.size) for some in parts])
    print(f"bring together {taken * nanoseconds:.1f} ns")

    def rank() -> None:
        for block in gathered:
            table = ranks.make_table(design, len(block.genes), GeneRows.of_block(len(block.genes)), None)
            statistics = ranks.choose_kernels(design.ranking_units, n_cells, block.keys.dtype)
            for tile in cut_range(block.genes, PAIRS_PER_TILE // design.sizes.size):
                ranks.write(statistics.add_up(block.part(tile)), design, table)

    print(f"rank {median_seconds(rank)[0] * nanoseconds:.1f} ns, {design.n_groups:,} groups")
    few = make_design(adata.obs.assign(group=np.resize(list("abcdefghijklmnopqrst"), n_cells)), "group")
    of_few = few.codes.astype(np.uint16)
    of_few_groups = split(of_few)

    def add_up() -> PartialSums:
        found = zip(starts, of_few_groups, strict=True)
        return PartialSums.sum_of(
            [
                PartialSums.of(piece, range(n_genes), of_few[i : i + cells_per_chunk], few, moments, 0)
                for i, piece in found
            ]
        )

    print(f"add up and combine {median_seconds(add_up)[0] * nanoseconds:.1f} ns, {few.n_groups} groups")
    return pieces[0]


def time_dask(piece: Piece, n_tasks: int) -> None:
    """Time tasks that do nothing, and a piece on its way from one worker to another."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        first, second = client.nthreads()
        tasks = {("add", i): (sum, [i, 1]) for i in range(n_tasks)}
        start = time.perf_counter()
        wait(client.get(tasks, list(tasks), sync=False))
        print(f"task {(time.perf_counter() - start) / n_tasks * 1e3:.2f} ms")
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


def main() -> None:
    """Time all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="only see that it runs: a tiny matrix, few tasks")
    if parser.parse_args().small:
        time_dask(time_steps(TINY, SMALL_CELLS_PER_CHUNK, SMALL_GENES_PER_BLOCK), SMALL_N_TASKS)
    else:
        time_dask(time_steps(SCREEN, CELLS_PER_CHUNK, GENES_PER_BLOCK), N_TASKS)


if __name__ == "__main__":
    main()
