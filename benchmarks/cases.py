"""Cases: matrix, storage, test, reference, and the peers that each is run against."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from data import CONTROL, Recipe

SCREEN = Recipe(300_000, 1_000, 2_001, 0.4, log=True)
COUNTS = replace(SCREEN, log=False)
PAPALEXI = "papalexi"
SMALL_SCREEN = Recipe(30_000, 300, 201, 0.4, log=True)
# Groups and genes are many, and values few.
GENOME_WIDE = Recipe(300_000, 8_000, 10_001, 0.05, log=True, control=0.035)
SPARSE_SCREEN = Recipe(100_000, 4_000, 5_001, 0.04, log=True, control=0.035)
SMALL_PANEL = Recipe(100_000, 500, 1_001, 0.3, log=True, control=0.035)
ESSENTIAL_GENES = Recipe(300_000, 7_000, 2_001, 0.404, log=True, control=0.035)
CLUSTERS = Recipe(100_000, 5_000, 20, 0.08, log=True, control=0)
FEW_VALUES = Recipe(100_000, 2_000, 20, 0.0885, log=True, control=0)
TINY = Recipe(1_200, 40, 5, 0.4, log=True)


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    recipe: Recipe | str | None
    """None is pbmc3k, a string the screen of that name."""
    storage: str = "csr"
    method: str = "wilcoxon"
    reference: str = "rest"
    peers: dict[str, float] = field(default_factory=lambda: {"illico": 1.0})
    """Share of the genes that each peer is run on; below 1, half of that as well, and the time is scaled up."""
    on_disk: bool = False
    """Whether the matrix is left in a file; peers are then run on all genes."""
    compression: str | None = None
    drop_in: str | None = None
    """Package whose function is replaced, "pdex 0.1" or "pdex 0.3"; None ranks by rank_genes_parallel."""
    within_levels: bool = False
    """Whether it is run within levels and strata too."""
    with_pairs: bool = False
    """Whether the cost of a pair of gene and group is told too, and results as matrices in varm."""
    scores_markers: bool = False
    """Whether groups are compared with each other one, beside scranpy."""
    through_dask: bool = False
    """Whether the file is opened lazily too, beside the same file backed."""


CASES = [
    Case("vs reference, log CSR", SCREEN, reference=CONTROL, peers={"illico": 0.1, "pdex": 0.04}),
    Case("vs rest, log CSR", SCREEN),
    Case("t-test vs rest, log CSR", SCREEN, method="t-test", peers={"scanpy": 1}),
    Case("t-test vs reference, log CSR", SCREEN, method="t-test", reference=CONTROL, peers={"scanpy": 1}),
    Case("vs reference, log CSC", SCREEN, "csc", reference=CONTROL, peers={"illico": 0.1}),
    Case("vs rest, log CSC", SCREEN, "csc"),
    Case("vs reference, log dense", SCREEN, "dense", reference=CONTROL, peers={"illico": 0.1}),
    Case("vs rest, log dense", SCREEN, "dense"),
    Case("vs reference, raw counts CSR", COUNTS, reference=CONTROL, peers={"illico": 0.1}),
    Case("vs rest, raw counts CSR", COUNTS),
    Case("20 clusters vs rest, log CSR", CLUSTERS, peers={"illico": 1, "scanpy": 0.1}),
    Case("20 clusters, 17.7 million values, vs rest", FEW_VALUES, peers={}),
    Case("20 clusters, 17.7 million values, t-test", FEW_VALUES, method="t-test", peers={}),
    Case("pbmc3k vs rest, log CSR", None, peers={"scanpy": 1}),
]
PAIR_CASES = [
    Case("100,000 x 4,000, 5,001 groups vs rest", SPARSE_SCREEN, with_pairs=True),
    Case("100,000 x 500, 1,001 groups vs rest, log", SMALL_PANEL, with_pairs=True),
    Case("100,000 x 500, 1,001 groups vs reference, log", SMALL_PANEL, reference=CONTROL, with_pairs=True),
    Case("100,000 x 500, 1,001 groups vs rest, counts", replace(SMALL_PANEL, log=False), with_pairs=True),
    Case(
        "100,000 x 500, 1,001 groups vs reference, counts",
        replace(SMALL_PANEL, log=False),
        reference=CONTROL,
        with_pairs=True,
    ),
    Case("300,000 x 8,000, 10,001 groups vs rest", GENOME_WIDE, with_pairs=True),
    Case("300,000 x 7,000, 2,001 groups vs rest", ESSENTIAL_GENES, peers={}, with_pairs=True),
    Case("300,000 x 7,000, 2,001 groups vs reference", ESSENTIAL_GENES, reference=CONTROL, peers={}, with_pairs=True),
]
DISK_CASES = [
    Case("vs rest, CSR", SCREEN, peers={}, on_disk=True),
    Case("vs rest, CSR, gzip", SCREEN, peers={}, on_disk=True, compression="gzip"),
    Case("vs reference, CSR", SCREEN, reference=CONTROL, on_disk=True),
    Case("vs reference, CSR, gzip", SCREEN, reference=CONTROL, peers={}, on_disk=True, compression="gzip"),
    Case("t-test vs rest, CSR, gzip", SCREEN, method="t-test", peers={}, on_disk=True, compression="gzip"),
    Case("vs rest, CSC", SCREEN, "csc", on_disk=True),
    Case("vs rest, CSC, gzip", SCREEN, "csc", on_disk=True, compression="gzip"),
]
LAZY_CASES = [
    Case("vs rest, CSR", SCREEN, through_dask=True),
    Case("vs reference, CSR", SCREEN, reference=CONTROL, through_dask=True),
    Case("vs rest, CSR, gzip", SCREEN, compression="gzip", through_dask=True),
    Case("t-test vs rest, CSR", SCREEN, method="t-test", through_dask=True),
    Case("20 clusters vs rest, CSR", CLUSTERS, through_dask=True),
    Case("20 clusters, t-test vs rest, CSR", CLUSTERS, method="t-test", through_dask=True),
]
TABLE_CASES = [
    *(
        Case(name, recipe, method=method, reference=CONTROL, drop_in="pdex 0.1")
        for name, recipe in (("Papalexi 2021", PAPALEXI), ("30,000 x 300, 200 groups", SMALL_SCREEN))
        for method in ("wilcoxon", "anderson", "t-test")
    ),
    *(
        Case(name, recipe, reference=reference, peers={"pdex": share}, drop_in="pdex 0.3")
        for name, recipe, share in (("Papalexi 2021", PAPALEXI, 1), ("300,000 x 1,000, 2,000 groups", SCREEN, 0.04))
        for reference in (CONTROL, "rest")
    ),
    Case("Papalexi 2021", PAPALEXI, method="anderson", reference=CONTROL),
    Case("vs reference, log CSR", SCREEN, method="anderson", reference=CONTROL),
    Case("vs rest, log CSR", SCREEN, method="anderson"),
    Case("vs reference, raw counts CSR", COUNTS, method="anderson", reference=CONTROL),
    Case("20 clusters vs rest, log CSR", CLUSTERS, method="anderson"),
    Case("vs reference, log CSR", SCREEN, method="brunner-munzel", reference=CONTROL),
    Case("vs rest, log CSR", SCREEN, method="brunner-munzel"),
    Case("vs reference, raw counts CSR", COUNTS, method="brunner-munzel", reference=CONTROL),
    Case("vs rest, raw counts CSR", COUNTS, method="brunner-munzel"),
    Case("20 clusters vs rest, log CSR", CLUSTERS, method="brunner-munzel"),
]
MARKER_CASES = [
    Case("20 clusters, 17.7 million values", FEW_VALUES, scores_markers=True),
    Case("200 clusters, 17.7 million values", replace(FEW_VALUES, n_groups=200), scores_markers=True),
]
SPLIT_CASES = [
    Case(name, replace(SCREEN, n_groups=301), method=method, reference=reference, within_levels=True)
    for method in ("wilcoxon", "t-test")
    for name, reference in (("300 groups vs rest, log CSR", "rest"), ("300 groups vs reference, log CSR", CONTROL))
]


def quick(case: Case) -> Case:
    """Shrink a case to about a hundredth of the work."""
    if case.recipe is None or isinstance(case.recipe, str):
        return case
    recipe = replace(case.recipe, n_cells=30_000, n_genes=300, n_groups=min(case.recipe.n_groups, 201))
    return replace(case, recipe=recipe, peers={tool: max(share, 0.2) for tool, share in case.peers.items()})


def small(case: Case) -> Case:
    """Shrink a case until all it shows is that it runs; the screen is cut by who reads it."""
    recipe = case.recipe
    if not isinstance(recipe, str):
        recipe = replace(TINY, log=recipe is None or recipe.log)
    return replace(case, recipe=recipe, peers={tool: min(share, 0.5) for tool, share in case.peers.items()})
