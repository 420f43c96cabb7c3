"""Result entries: the parameters that a call records beside its numbers."""

import importlib.metadata

import scpdex


def test_a_call_reads_no_metadata_of_the_package(pbmc, monkeypatch):
    """The version is known since the import: Python parses the metadata each time that it is asked."""
    read_distribution, asked = importlib.metadata.distribution, []
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: asked.append(name) or read_distribution(name))
    assert importlib.metadata.version("numpy")
    scpdex.tl.rank_genes_parallel(pbmc, "bulk_labels", method="t-test")
    assert "numpy" in asked
    assert "scpdex" not in asked
    assert pbmc.uns["rank_genes_groups"]["params"]["version"] == scpdex.__version__
