"""Faults: calls that have to fail, leave nothing, and work the next time."""

import threading
from pathlib import Path
from typing import Any

import anndata as ad
import pytest
from oracles import assert_same_bits, by_scpdex
from stored import FORMS, labelled, on_disk, tightest, values_of, without_slack

import scpdex

ARGUMENTS = {"method": "wilcoxon", "tie_correct": True}


def assert_nothing_is_left(adata: ad.AnnData, scratch: Path) -> None:
    assert adata.uns == {"rank_genes_groups": "as before"}
    assert not list(scratch.iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scpdex")]


def assert_fails_and_then_works(
    monkeypatch: pytest.MonkeyPatch,
    adata: ad.AnnData,
    scratch: Path,
    patches: dict[str, Any],
    error: type[BaseException],
    message: str,
    **arguments: Any,
) -> None:
    arguments = ARGUMENTS | arguments
    adata.uns = {"rank_genes_groups": "as before"}
    with monkeypatch.context() as patch:
        for name, value in patches.items():
            patch.setattr(name, value)
        with pytest.raises(error, match=message or None):
            scpdex.tl.rank_genes_parallel(adata, "group", n_jobs=2, **arguments)
    assert_nothing_is_left(adata, scratch)
    ours = by_scpdex(adata, "group", **arguments)
    assert_same_bits(ours, by_scpdex(labelled(adata.X[:]), "group", **(arguments | {"max_memory": None})))


def open_tight(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ad.AnnData, int]:
    """Open an object on disk that is too large for the budget."""
    without_slack(monkeypatch)
    adata = on_disk(labelled(FORMS[form](values_of("float32"))), tmp_path, "h5ad")
    return adata, tightest(adata, **ARGUMENTS)
