"""Tools: one call of each that does the same job; imports happen on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from anndata import AnnData


def scpdex(adata: AnnData, method: str, reference: str, n_threads: int, **options: Any) -> None:
    from scpdex.tl import rank_genes_parallel

    options |= {"tie_correct": method == "wilcoxon", "n_jobs": n_threads, "show_progress": False}
    rank_genes_parallel(adata, "group", method=method, reference=reference, **options)


def illico(adata: AnnData, method: str, reference: str, n_threads: int) -> None:
    from illico import asymptotic_wilcoxon

    assert method == "wilcoxon"
    asymptotic_wilcoxon(
        adata,
        is_log1p=True,
        group_keys="group",
        reference=None if reference == "rest" else reference,
        n_threads=n_threads,
        use_continuity=False,
    )


def scanpy(adata: AnnData, method: str, reference: str, n_threads: int) -> None:
    import scanpy as sc

    sc.settings.n_jobs = n_threads
    sc.tl.rank_genes_groups(adata, "group", method=method, reference=reference, tie_correct=True)


def pdex(adata: AnnData, method: str, reference: str, n_threads: int) -> None:
    from pdex import pdex as compare

    assert method == "wilcoxon"
    mode = {"rest": "all", CONTROL: "ref"}[reference]
    compare(adata, "group", mode=mode, threads=n_threads, is_log1p=True, as_pandas=True)


TOOLS: dict[str, Callable[..., None]] = {
    "scpdex": scpdex,
    "illico": illico,
    "scanpy": scanpy,
    "pdex": pdex,
}
