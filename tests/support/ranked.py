"""Ranked: objects with a result, in either form."""

from typing import Any

import anndata as ad
from oracles import KEY
from stored import labelled, values_of

import scpdex

GROUPBY = "bulk_labels"


def rank(adata: ad.AnnData, storage: str = "varm", groupby: str = GROUPBY, **arguments: Any) -> dict[str, Any]:
    scpdex.tl.rank_genes_parallel(adata, groupby, storage=storage, **({"method": "wilcoxon", "pts": True} | arguments))
    return adata.uns[arguments.get("key_added", KEY)]


def without_raw(adata: ad.AnnData) -> ad.AnnData:
    return adata.raw.to_adata()


def ranked(storage: str = "uns", **arguments: Any) -> ad.AnnData:
    adata = labelled(values_of("float32"))
    arguments = {"method": "wilcoxon", "pts": True, "storage": storage} | arguments
    scpdex.tl.rank_genes_parallel(adata, "group", **arguments)
    return adata
