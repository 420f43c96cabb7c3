"""Row buckets and row passes: the bits of the same data in memory, within any budget."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import scanpy as sc
from oracles import assert_same_bits, by_scpdex
from scipy import sparse
from stored import EVERYTHING, FORMS, TESTS, budget_for, labelled, on_disk, tightest, values_of, without_slack

import scpdex


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("strategy", ["row buckets", "row passes"])
@pytest.mark.parametrize("form", ["CSR", "dense"])
@pytest.mark.parametrize("options", [{}, {"mean_in_log_space": False}, {"tie_correct": True}], ids=str)
def test_row_strategies(monkeypatch, form, strategy, method, reference, options):
    """Counts in rows, sorted into genes and passing by, in pieces of a few rows."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 100)
    monkeypatch.setattr("scpdex.matrix.chunked._stored_matrix._chunk_shape", lambda _: (1, 10_000))
    monkeypatch.setattr("scpdex.plan.strategies.column_blocks.MOST_READS", 0.5)
    passes = strategy == "row passes"
    if not passes:
        monkeypatch.setattr("scpdex.plan.strategies.row_passes.propose", lambda *_: None)
    adata = labelled(FORMS[form](values_of("float32" if method == "t-test" else "int16")))
    arguments = {"method": method, "reference": reference, "pts": True, **options}
    budget = budget_for(adata, strategy, low_memory=True, **arguments)
    plan = scpdex.get.plan(adata, "group", low_memory=True, max_memory=budget, **arguments)
    assert passes or plan.scratch
    expected = by_scpdex(adata, "group", **arguments)
    for factor in (1, 1.05):
        ours = by_scpdex(adata, "group", low_memory=True, max_memory=int(factor * budget), **arguments)
        assert_same_bits(ours, expected)


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize("genes", [1, 7, 1000])
def test_chunk_sizes(storage, method, genes):
    """Row 16: every chunk size, every storage, in memory and read as if it were not."""
    adata = labelled(storage(values_of("float64", 60, 12)))
    arguments = {"method": method, **EVERYTHING}
    expected = by_scpdex(adata, "group", **arguments)
    assert_same_bits(by_scpdex(adata, "group", gene_chunk_size=genes, **arguments), expected)
    assert_same_bits(by_scpdex(adata, "group", gene_chunk_size=genes, low_memory=True, **arguments), expected)


def test_constant_groups_take_a_third_pass(monkeypatch):
    """A mean that was rounded shows no spread that is not there, as in memory."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 100)
    values = values_of("float64")
    labels = labelled(values).obs["group"]
    values[labels == "a", 3] = 0.1
    values[labels == "c", 5] = 1e7 + 0.1
    adata = labelled(sparse.csr_matrix(values))
    budget = budget_for(adata, "row passes", low_memory=True)
    seen = []
    bar = nullcontext(SimpleNamespace(update=seen.append))
    monkeypatch.setattr("scpdex.run._job.progress_bar", lambda *_, **__: bar)
    ours = by_scpdex(adata, "group", low_memory=True, max_memory=budget)
    assert sum(seen) > 2 * (labels.size)
    assert_same_bits(ours, by_scpdex(adata, "group"))


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("odd", [0.5, -1.0, 1e9], ids=["a fraction", "a negative number", "a high number"])
def test_what_is_no_count_after_all(monkeypatch, messages, reference, odd):
    """Tallies give way to buckets when a value turns up that they cannot hold."""
    without_slack(monkeypatch)
    monkeypatch.setattr("scpdex.plan.memory_model.MOST_VALUES_PER_PIECE", 100)
    monkeypatch.setattr("scpdex.matrix.chunked._chunked_source._PROBED_VALUES", 100)
    values = values_of("int32").astype(np.float32)
    values[-1, 7] = odd
    adata = labelled(sparse.csr_matrix(values))
    arguments = {"method": "wilcoxon", "reference": reference, "tie_correct": True}
    budget = budget_for(adata, "row passes", low_memory=True, **arguments)
    sc.settings.verbosity = 2
    ours = by_scpdex(adata, "group", low_memory=True, max_memory=budget, **arguments)
    assert "cannot be tallied" in messages()
    assert_same_bits(ours, by_scpdex(adata, "group", **arguments))


@pytest.mark.parametrize("reference", ["rest", "b"])
@pytest.mark.parametrize("form", FORMS)
def test_top_genes(tmp_path, monkeypatch, form, reference):
    """Statistics that do not fit the budget wait in scratch until genes are ordered; n_genes of each are kept."""
    without_slack(monkeypatch)
    values = values_of("float32", 4000, 200)
    adata = labelled(FORMS[form](values))
    adata.obs["group"] = np.resize([f"group{i}" for i in range(1000)], 4000)
    reference = "group7" if reference == "b" else reference
    arguments = {"method": "wilcoxon", "reference": reference, "n_genes": 5}
    expected = by_scpdex(adata, "group", **arguments)
    disk = on_disk(adata, tmp_path, "h5ad") if reference == "rest" else adata
    budget = 2 * tightest(disk, low_memory=True, **arguments)
    plan = scpdex.get.plan(disk, "group", low_memory=True, max_memory=budget, **arguments)
    assert plan.spill_table
    assert plan.scratch >= 20 * 999 * 200
    ours = by_scpdex(disk, "group", low_memory=True, max_memory=budget, **arguments)
    assert ours["names"].shape == (5,)
    assert_same_bits(ours, expected)


@pytest.mark.parametrize("reference", ["rest", "b"])
def test_infinite_counts(monkeypatch, reference):
    """Row 3: a tally has no place for infinity."""
    without_slack(monkeypatch)
    values = values_of("int32").astype(np.float32)
    adata = labelled(sparse.csr_matrix(values))
    arguments = {"method": "wilcoxon", "reference": reference, "low_memory": True}
    budget = budget_for(adata, "row passes", **arguments)
    values[0, -1] = values[150, 3] = np.inf
    adata = labelled(sparse.csr_matrix(values))
    monkeypatch.setattr("scpdex.matrix.chunked._row_stream._PROBED_PLACES", 1)
    monkeypatch.setattr("scpdex.matrix.chunked._chunked_source._PROBED_VALUES", 1)
    with pytest.raises(ValueError, match=r"adata\.X holds 2 NaN or infinite values.*'gene3'"):
        by_scpdex(adata, "group", max_memory=budget, **arguments)
