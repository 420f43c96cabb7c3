"""Scaled times: those of some genes, extended to all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anndata import AnnData


def cut_genes(adata: AnnData, share: float) -> list[AnnData]:
    """Give the object itself, or two parts of it: with a share of the genes and with half of that."""
    numbers = [adata.n_vars] if share == 1 else [round(share * adata.n_vars), round(share * adata.n_vars / 2)]
    return [adata if n == adata.n_vars else adata[:, : max(1, n)].copy() for n in numbers]


def scaled(times: list[float], parts: list[AnnData], whole: AnnData) -> float:
    """Extend the times for two numbers of genes to all genes along a line: what a call costs once is not multiplied."""
    if len(times) == 1:
        return times[0]
    per_gene = (times[0] - times[1]) / (parts[0].n_vars - parts[1].n_vars)
    return times[0] + per_gene * (whole.n_vars - parts[0].n_vars)
