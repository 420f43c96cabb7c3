"""Views of objects in memory, and of raw, are ranked as their copies are."""

from typing import Any

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from oracles import assert_same_bits, assert_same_numbers, by_scanpy, by_scpdex
from small import METHODS, small, three, tied

import scpdex
from scpdex.results._scanpy_records import make_records

VIEWS = {
    "slice": (slice(4, 50), slice(2, 9)),
    "steps": (slice(None, None, 2), slice(None, None, 3)),
    "mask": (np.arange(60) % 3 > 0, np.arange(12) % 2 == 0),
    "order": (np.random.default_rng(0).permutation(60)[:50], [5, 1, 9]),
    "repeats": ([*range(60), 3, 3, 8], slice(None)),
    "genes by name": (slice(None), ["gene7", "gene2", "gene11"]),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
@pytest.mark.parametrize("method", [*METHODS, "logreg"])
def test_views(monkeypatch, storage, view, method):
    """Row 21: a view gives the bits of its copy, without its matrix being made."""
    adata = small(storage(tied()), three())
    adata.layers["other"] = storage(tied(seed=1))
    part = adata[view]
    expected = {layer: by_scpdex(part.copy(), "label", method=method, layer=layer) for layer in (None, "other")}
    stored: dict[str, Any] = {}

    def keep(_adata: Any, results: Any, _lists: Any, _storage: Any, var_names: Any, **__: Any) -> None:
        stored.update(make_records(*results.values(), var_names))

    monkeypatch.setattr("scpdex.tl._rank_and_write.write_results", keep)
    monkeypatch.setattr(ad.AnnData, "copy", _refuse_to_copy)
    monkeypatch.setattr("anndata._core.anndata._subset", _refuse_to_copy)
    for layer, of_copy in expected.items():
        scpdex.tl.rank_genes_parallel(part, "label", method=method, layer=layer)
        assert_same_bits(stored, of_copy)
    assert part.is_view


def _refuse_to_copy(*_args: Any) -> None:
    msg = "the matrix was copied"
    raise AssertionError(msg)


def test_view_becomes_an_object_of_its_own():
    """Row 21: as in scanpy, storing the result makes the view an object, and leaves the parent as it was."""
    adata = small(tied(), three())
    view = adata[:40]
    scpdex.tl.rank_genes_parallel(view, "label")
    assert not view.is_view
    assert "rank_genes_groups" in view.uns
    assert "rank_genes_groups" not in adata.uns


def test_view_of_raw():
    """Row 21: raw follows the cells of a view and keeps all its genes."""
    adata = sc.datasets.pbmc68k_reduced()
    view = adata[100:600, :50]
    arguments = {"method": "wilcoxon", "reference": "Dendritic"}
    result = by_scpdex(view, "bulk_labels", **arguments)
    assert result["names"].shape == (adata.raw.n_vars,)
    assert_same_numbers(result, by_scanpy(view, "bulk_labels", **arguments))
